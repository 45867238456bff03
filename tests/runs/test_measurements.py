"""Reading a run's measurements, as a whole and one model and data set at a time."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankscope.measuring import text_columns
from rankscope.runs.carry_out import UnitFile
from rankscope.runs.folder import open_run_folder
from rankscope.runs.manifest import UnitRecord, to_json, unit_file
from rankscope.runs.measurements import read_each_model, read_measurements

NAMES = {"00-a.b": "a.b", "01-a": "a"}
DATA = {"00-one": "one", "01-two.three": "two.three"}


def test_models_are_read_one_by_one_with_their_twins(tmp_path: Path) -> None:
    """Finished units and those in batches alike, and the whole is all of them in order."""
    folder = open_run_folder(tmp_path / "run", {"settings": {}})
    record = UnitRecord("tokens", "everything", 2, ("last",), "layer")
    for model, data in ((model, data) for model in NAMES for data in DATA):
        for role in ("trained", "untrained-0", "untrained-1"):
            unit = f"{model}_{data}_{role}"
            folder.storage.create(unit_file(unit), to_json(record.as_json()))
            about = {"model": NAMES[model], "dataset": DATA[data], "layer": "last", "role": role}
            for batch in range(2):
                row = dict.fromkeys(text_columns()) | about | {"text_index": 1 - batch}
                UnitFile(folder, unit, ("last",)).keep(batch, [row])
            if role == "trained":
                folder.finish_unit(unit, record)
    each = list(read_each_model(folder.storage))
    assert [frame.select("model", "dataset").unique().rows() for frame in each] == [
        [("a.b", "one")],
        [("a.b", "two.three")],
        [("a", "one")],
        [("a", "two.three")],
    ]
    assert all(frame["text_index"].to_list() == [0, 1] * 3 for frame in each)
    assert read_measurements(folder.storage).equals(pl.concat(each))
