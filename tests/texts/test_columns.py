from __future__ import annotations

from pathlib import Path

import datasets
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from rankscope.errors import DataError
from rankscope.texts import load_texts, parse_data_reference
from rankscope.texts.columns import plain_table, wanted_columns
from rankscope.texts.files import scan_path


@pytest.mark.parametrize(
    ("paths", "columns"),
    [
        (None, ["id", "text", "a.b", "question"]),
        (["text"], ["id", "text"]),
        (["a.b"], ["id", "a.b"]),
        (["question.stem", "text"], ["id", "text", "question"]),
        (["text", "absent"], ["id", "text", "a.b", "question"]),
    ],
)
def test_wanted_columns(paths: list[str] | None, columns: list[str]) -> None:
    assert wanted_columns(["id", "text", "a.b", "question"], paths) == columns


def test_of_a_parquet_file_only_the_field_is_decoded(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a"], "other": [1], "q": [{"stem": "why"}]}).write_parquet(tmp_path / "a.parquet")
    assert [row.row for row in scan_path(tmp_path / "a.parquet", ["text"])] == [{"text": "a"}]
    assert [row.row for row in scan_path(tmp_path / "a.parquet", ["q.stem"])] == [{"q": {"stem": "why"}}]
    with pytest.raises(DataError, match="no field 'txt': did you mean text.* available fields: text, other, q"):
        load_texts(parse_data_reference(str(tmp_path / "a.parquet"), field="txt"))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="two columns are named 'text'"):
        list(scan_path(tmp_path / "a.parquet", ["text"]))


def test_an_arrow_folder_with_images_and_a_format(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "image": datasets.Image(), "images": datasets.List(datasets.Image())}
    )
    stored = {"bytes": b"no image", "path": None}
    rows = [{"text": f"text {number}", "image": stored, "images": [stored]} for number in range(3)]
    table = datasets.Dataset.from_list(rows, features=features)
    table.with_format("numpy", columns=["image"]).save_to_disk(tmp_path / "arrow")
    reference = parse_data_reference(str(tmp_path / "arrow"), field="text")
    assert [text.text for text in load_texts(reference).texts] == ["text 0", "text 1", "text 2"]
    assert [row.row for row in scan_path(tmp_path / "arrow")] == rows  # nothing was decoded


def test_shuffled_tables_and_json_columns_stay_as_they_are() -> None:
    table = datasets.Dataset.from_list([{"text": letter} for letter in "abc"]).select([2, 0]).with_format("torch")
    assert list(plain_table(table)) == [{"text": "c"}, {"text": "a"}]
