from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.errors import DataError
from rankscope.texts.delimited import read_delimited
from rankscope.texts.rows import BadRow, LocatedRow

FIELDS = st.text(st.sampled_from('ab,"\t\n\r\u2028é 1'), max_size=8)


def rows(content: bytes, delimiter: str = ",", *, quoted: bool = True) -> list[LocatedRow | BadRow]:
    return list(read_delimited(Path("a.csv"), io.BytesIO(content), delimiter, quoted=quoted))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=6), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_what_pythons_writer_writes_is_read_back(table: list[tuple[str, str]], end: str, everything: bool) -> None:
    stream = io.StringIO(newline="")
    everything = everything or any(
        {*"\r\n"} & {*field} for row in table for field in row
    )  # Python may leave these bare
    quoting = csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL
    csv.writer(stream, lineterminator=end, quoting=quoting).writerows([("text", "n"), *table])
    found = rows(stream.getvalue().encode())
    assert [tuple(row.row.values()) for row in found if isinstance(row, LocatedRow)] == table
    assert len(found) == len(table)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.text(st.sampled_from('ab,"\u2028é 1'), min_size=1, max_size=8)] * 2), max_size=6))
def test_tsv_is_what_stands_between_the_tabs(table: list[tuple[str, str]]) -> None:
    content = "".join("\t".join(fields) + "\n" for fields in [("text", "n"), *table])
    found = rows(content.encode(), "\t", quoted=False)
    assert [tuple(row.row.values()) for row in found if isinstance(row, LocatedRow)] == table


def test_a_byte_order_mark_and_empty_lines_are_no_data() -> None:
    assert [row.row for row in rows(b"\xef\xbb\xbftext\n\na\r\n\r\nb")] == [{"text": "a"}, {"text": "b"}]


def test_a_field_may_be_huge() -> None:
    (row,) = rows(b'text,n\n"' + b"long, " * 100_000 + b'",1\n')
    assert len(row.row["text"]) == 600_000


def test_rows_that_do_not_fit_are_bad_by_themselves() -> None:
    content = b'text,n\n"a\nb",1\nc\nd,2,3\ne\xff,4\nf\0,5\n"g\n\xfe",6\nh,7\n'
    found = rows(content)
    assert [row.row["text"] for row in found if isinstance(row, LocatedRow)] == ["a\nb", "h"]
    assert [(row.where, row.reason) for row in found if isinstance(row, BadRow)] == [
        ("a.csv:4", "expected 2 fields, as in the first line, got 1"),
        ("a.csv:5", "expected 2 fields, as in the first line, got 3"),
        ("a.csv:6", "not UTF-8: byte 0xff at column 2"),
        ("a.csv:7", "a NUL byte at column 2: not a text file, or not UTF-8"),
        ("a.csv:8", "not UTF-8: byte 0xfe at column 1"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'text,n\na,1\n"never closed,2\nb,3\n', "a.csv:3: a quote is opened here and never closed"),
        (b'text,n\n"Hello," she said,2\n', "a.csv:2: text after a closing quote"),
        (b'text,n\n"never closed,2\nb,3\n"c",4\n', "a.csv:4: text after a closing quote"),
        (b"text,label,text\na,1,b\n", "a.csv:1: two columns are named 'text'"),
        (b"", "empty file: expected"),
    ],
)
def test_what_makes_rows_uncertain_stops_the_reading(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows(content)


def test_columns_without_a_name_may_be_several() -> None:
    assert [row.row["text"] for row in rows(b",,text\n0,1,a\n")] == ["a"]
