from __future__ import annotations

import os

import pytest

from rankscope.names import valid_text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain", "plain"),
        ("dätä→".encode(), "dätä→"),
        (b"d\xff", "d\N{REPLACEMENT CHARACTER}"),
        (b"\xfe-\xff", "\N{REPLACEMENT CHARACTER}-\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_files_name_as_it_can_be_stored(name: bytes, shown: str) -> None:
    assert valid_text(name.decode("utf-8", "surrogateescape")) == shown
    assert valid_text(name.decode("ascii", "surrogateescape")) == shown  # as Python reads it where LC_ALL is C
    valid_text(os.fsdecode(name)).encode()


def test_surrogates_that_stand_for_no_byte() -> None:
    assert valid_text("a\ud800é") == "a\N{REPLACEMENT CHARACTER}é"
