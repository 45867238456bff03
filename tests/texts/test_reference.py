from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.errors import DataError, UnknownNameError
from rankscope.texts import CATALOGUE, parse_data_reference
from rankscope.texts.hub import HubSource


def test_catalogue_names() -> None:
    reference = parse_data_reference("dolly-15k")
    assert reference.entry is CATALOGUE["dolly-15k"]
    assert reference.source == HubSource("databricks/databricks-dolly-15k", split="train")


def test_catalogue_names_from_files(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.lst"]
    for file in files:
        file.write_text("")
    reference = parse_data_reference(f"piqa={files[0]},{files[1]}")
    assert (reference.name, reference.source) == ("piqa", tuple(files))
    with pytest.raises(DataError, match="data file not found: .*absent"):
        parse_data_reference(f"piqa={tmp_path / 'absent'}")
    with pytest.raises(DataError, match="--field cannot be combined with piqa"):
        parse_data_reference("piqa", field="goal")


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("")
    reference = parse_data_reference(str(file), field="body")
    assert (reference.name, reference.source, reference.entry) == ("texts.jsonl", (file,), None)
    assert reference.render({"body": "hello"}) == "hello"
    assert parse_data_reference(str(file), template="<{body}>").render({"body": "hello"}) == "<hello>"
    with pytest.raises(DataError, match="no text field: add --field NAME"):
        parse_data_reference(str(file))


def test_a_text_file_needs_no_field(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("")
    assert parse_data_reference(str(file)).render({"text": "line"}) == "line"


def test_hub_ids() -> None:
    reference = parse_data_reference("owner/name:config@v1", field="text", split="test")
    assert reference.source == HubSource("owner/name", "config", "test", "v1")
    assert str(reference.source) == "owner/name:config@v1, split test"
    with pytest.raises(DataError, match="no text field"):
        parse_data_reference("owner/name")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("doly-15k", UnknownNameError, "did you mean dolly-15k"),
        ("doly-15k=x.jsonl", UnknownNameError, "unknown data set 'doly-15k'"),
        ("absent.jsonl.gz", DataError, "data file not found"),
        ("./absent", DataError, "data file not found"),
        ("folder/absent.ndjson", DataError, "data file not found"),
    ],
)
def test_what_is_no_data(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_data_reference(text, field="text")
