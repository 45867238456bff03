from __future__ import annotations

import gzip
import json
from pathlib import Path

import datasets
import polars as pl
import pytest

from rankscope.errors import DataError
from rankscope.texts.files import read_files, read_path, scan_files, scan_path
from rankscope.texts.rows import BadRow, LocatedRow

ROWS = [{"text": "one", "n": 1}, {"text": "two\u2028still two", "n": 2}, {"text": "", "n": 3}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def texts(path: Path) -> list[str]:
    return [row["text"] for _, row in read_path(path)]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz", "a.json"])
@pytest.mark.parametrize("change", [lambda c: c, lambda c: c.replace(b"\n", b"\r\n"), lambda c: b"\xef\xbb\xbf" + c])
def test_json_lines(tmp_path: Path, name: str, change) -> None:
    path = write(tmp_path / name, change(LINES))
    assert texts(path) == ["one", "two\u2028still two", ""]
    assert [where for where, _ in read_path(path)] == [f"{path}:{number}" for number in (1, 2, 3)]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"version": 1, "data": rows}])
def test_json(tmp_path: Path, name: str, wrap) -> None:
    path = write(tmp_path / name, json.dumps(wrap(ROWS), indent=1).encode())
    assert texts(path) == [row["text"] for row in ROWS]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b'text,n\n"a, ""b""\nc\td",1\n12,2\n,3\n')
    assert texts(path) == ['a, "b"\nc\td', "12", ""]  # a column of numbers stays text


def test_a_quote_in_a_tsv_is_a_quote(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b'n\ttext\n1\t"Hello," she said.\n2\t"never closed\n3\tplain\n')
    assert texts(path) == ['"Hello," she said.', '"never closed', "plain"]


def test_parquet(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet") == [row["text"] for row in ROWS]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_plain_text_is_a_text_a_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "first\nsecond\u2028goes on\r\n\nlast".encode())
    assert texts(path) == ["first", "second\u2028goes on", "", "last"]


def test_arrow_folder(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "arrow")
    assert texts(tmp_path / "arrow") == [row["text"] for row in ROWS]
    datasets.DatasetDict({"a": datasets.Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "splits")
    with pytest.raises(DataError, match="has several splits: choose .*splits/a"):
        list(read_path(tmp_path / "splits"))


def test_a_folder_of_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "1.ndjson", b'{"text": "second"}\n')
    write(tmp_path / "c.jsonl.gz", b'{"text": "third"}\n')
    write(tmp_path / "a.jsonl", b'{"text": "first"}\n')
    write(tmp_path / "README.md", b"not data")
    assert texts(tmp_path) == ["first", "second", "third"]


def test_bad_rows_are_handed_on_between_good_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"text": "one"}\n{"text": \n\n[2]\n{"text": "\xff"}\n{"text": "two"}\n')
    rows = list(scan_path(path))
    assert [row.row["text"] for row in rows if isinstance(row, LocatedRow)] == ["one", "two"]
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert [row.where for row in bad] == [f"{path}:{number}" for number in (2, 4, 5)]
    labelled = list(scan_files([path, write(tmp_path / "a.lst", b"0\n1\n2\n3\n4\n")]))
    assert [row.row["label"] for row in labelled if isinstance(row, LocatedRow)] == ["0", "4"]


def test_labels_are_joined_line_by_line(tmp_path: Path) -> None:
    rows, labels = write(tmp_path / "a.jsonl", LINES), write(tmp_path / "a.lst", b"0\n1\n0\n")
    assert [row["label"] for _, row in read_files([rows, labels])] == ["0", "1", "0"]
    assert "label" not in next(iter(read_files([rows, rows, labels]))).row
    with pytest.raises(DataError, match="has fewer lines than the data has rows"):
        list(read_files([rows, write(tmp_path / "few.lst", b"0\n")]))
    with pytest.raises(DataError, match="has 2 more lines than the data has rows"):
        list(read_files([rows, write(tmp_path / "many.lst", b"0\n" * 5)]))
    with pytest.raises(DataError, match="put the data file before it"):
        list(read_files([labels]))
    with pytest.raises(DataError, match="file of labels not found"):
        list(read_files([rows, tmp_path / "absent.lst"]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", LINES + b'{"text": "broken', "a.jsonl:4: not JSON: .* at column"),
        ("a.jsonl", LINES + b"[1]\n", "a.jsonl:4: expected an object with fields, got list"),
        ("a.jsonl", b"\xff\xfe", "a.jsonl:1: not UTF-8: byte 0xff"),
        ("a.json", b'[{"text": "a"},\n {]', "a.json:2: not JSON"),
        ("a.json", b'{"a": [], "b": []}', "got 2 lists"),
        ("a.json", b"3", "expected a list of objects, got int"),
        ("a.json", b"[3]", "item 0: expected an object"),
        ("a.jsonl", b'{"text": ' + b"[" * 100_000 + b"\n", "a.jsonl:1: unreadable JSON"),
        ("a.json", b'{"text": ' + b"[" * 100_000, "a.json: unreadable JSON"),
        ("a.jsonl", b'{"text": ' + b"1" * 5_000 + b"}\n", "a.jsonl:1: unreadable JSON"),
        ("a.csv", b"te\xffxt,n\na,1\n", "a.csv:1: not UTF-8: byte 0xff at column 3"),
        ("a.csv", b"text,n\na\xff,1\n", "a.csv:2: not UTF-8: byte 0xff at column 2"),
        ("a.csv", b"text,n\na,1\nb\n", "a.csv:3: expected 2 fields, as in the first line, got 1"),
        ("a.parquet", b"not parquet", "not a readable Parquet file"),
        ("a.xyz", b"", "unknown file type: .*a.xyz"),
        ("a.txt", b"fine\nn\0o\0\n", "a.txt:2: a NUL byte"),
        ("a.jsonl", LINES + b'{"text": "a", "text": "b"}\n', "a.jsonl:4: two fields are named 'text'"),
        ("a.json", b'[{"text": "a", "text": "b"}]', "a.json: two fields are named 'text'"),
    ],
)
def test_malformed_files_name_the_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(read_path(write(tmp_path / name, content)))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz", "a.txt.gz", "a.csv.gz"])
def test_a_damaged_gzip_file(tmp_path: Path, name: str) -> None:
    path, whole = tmp_path / name, gzip.compress(LINES * 1000)
    for content in (whole[:-20], b"plain", whole[:10] + b"\xff" * 50 + whole[60:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a complete gzip file"):
            list(read_path(path))


def test_a_damaged_arrow_folder(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "arrow")
    next((tmp_path / "arrow").glob("*.arrow")).write_bytes(b"half")
    with pytest.raises(DataError, match="not a readable Arrow data set"):
        list(read_path(tmp_path / "arrow"))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data file not found"):
        read_path(tmp_path / "absent.jsonl")
    with pytest.raises(DataError, match="no data in"):
        list(read_path(tmp_path))
