"""Notes on texts fire where they should, and are silent where they should be."""

from __future__ import annotations

import pytest

from noted import ROW, fired


def test_lengths_of_compared_models() -> None:
    assert fired([ROW, ROW | {"model": "n", "tokens": 11_100}]) == ["lengths-differ"]
    assert fired([ROW, ROW | {"model": "n", "tokens": 10_900}]) == []
    assert fired([ROW, ROW | {"dataset": "e", "tokens": 20_000}]) == []


@pytest.mark.parametrize(
    ("name", "fires", "silent"),
    [
        ("few-texts", {"texts": 29}, {"texts": 30}),
        ("texts-cut", {"cut": 1}, {"cut": 0}),
        ("many-skipped", {"texts": 94, "skipped": 6}, {"texts": 95, "skipped": 5}),
    ],
)
def test_thresholds(name: str, fires: dict, silent: dict) -> None:
    assert fired([ROW | fires]) == [name]
    assert fired([ROW | silent]) == []
