from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import rankscope as rs
from rankscope.errors import RunFolderError
from rankscope.reports import build_report
from tiny import SENTENCES


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    data = folder / "texts.txt"
    data.write_text("\n".join(SENTENCES[:3]))
    return rs.evaluate(str(tiny_folder), str(data), output=folder / "run").path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(made, tmp_path / "run"))
    (session,) = (copy / "sessions").iterdir()
    session.rename(copy / "sessions" / "1.json")
    return copy


def change(file: Path, edit: Callable[[Any], object]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("manifest.json", lambda it: it["identity"]["data"][0].pop("fingerprint"), r"\[0\]\.fingerprint is missing"),
        ("manifest.json", lambda it: it["identity"]["models"].append(3), r"identity\.models\[1\] is not an object"),
        ("manifest.json", lambda it: it["identity"]["models"][0].update(dropout="x"), r"models\[0\]\.dropout is 'x'"),
        ("sessions/1.json", lambda it: it.update(sources=3), r"1\.json is damaged.*: sources is not a list"),
        ("sessions/1.json", lambda it: it.update(versions=[1]), r"1\.json is damaged.*: versions is not an object"),
        ("summary.json", lambda it: it["rows"][0].pop("layer"), r"rows\[0\]\.layer is missing"),
        ("summary.json", lambda it: it["rows"][0].update(texts=True), r"rows\[0\]\.texts is 'True'"),
        ("summary.json", lambda it: it["rows"][0].update(effective_rank="7"), r"effective_rank is '7'"),
        ("summary.json", lambda it: it["rows"].append(None), r"rows\[1\] is not an object"),
        ("summary.json", lambda it: it.update(notes=3), "notes is not a list"),
        ("summary.json", lambda it: it["notes"][0].update(rows=True), r"notes\[0\]\.rows is not a list"),
        ("summary.json", lambda it: it["notes"][0].update(numbers={"a": []}), r"notes\[0\]\.numbers\.a is"),
    ],
)  # fmt: skip
def test_a_damaged_document_is_named_with_the_value(
    run: Path, file: str, edit: Callable[[Any], object], message: str
) -> None:
    change(run / file, edit)
    with pytest.raises(RunFolderError, match=message) as caught:
        build_report(run)
    assert str(run / file) in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop("text_id"), "the column text_id has empty values"),
        (lambda frame: frame.with_columns(layer=None), "the column layer has empty values"),
        (lambda frame: frame.with_columns(hidden_size=None), "the column hidden_size has empty values"),
        (lambda frame: frame.with_columns(dataset=pl.lit("other")), "the data set 'other' is not in the manifest"),
    ],
)
def test_measurements_that_name_no_text_are_refused(
    run: Path, spoil: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    file = sorted((run / "measurements").glob("*.parquet"))[0]
    spoil(pl.read_parquet(file)).write_parquet(file)
    with pytest.raises(RunFolderError, match=message):
        rs.Run(run).measurements()


def test_keys_and_columns_of_other_versions_are_welcome(run: Path) -> None:
    before = rs.Run(run).measurements()
    change(run / "summary.json", lambda it: it["rows"][0].update(initialiser="flag", effective_rank_new=None))
    change(run / "manifest.json", lambda it: it["identity"].update(tokenizer={"sha256": "x"}))
    file = sorted((run / "measurements").glob("*.parquet"))[0]
    pl.read_parquet(file).with_columns(curvature=pl.lit(1.0)).write_parquet(file)
    assert rs.Run(run).measurements().equals(before)
    assert rs.Run(run).summary_rows()[0]["initialiser"] == "flag"
