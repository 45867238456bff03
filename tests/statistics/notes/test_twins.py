"""Notes on twins fire where they should, and are silent where they should be."""

from __future__ import annotations

import pytest

from noted import ROW, TWIN, fired
from rankscope.statistics import Facts, notes_on


def test_where_the_initialiser_comes_from() -> None:
    without = dict.fromkeys(("diff_erank", "diff_erank_low", "diff_erank_high", "effective_rank_untrained", TWIN))
    unknown = ROW | without | {"untrained_seeds": 0, "initializer_source": "unknown", "initializer_range": None}
    assert fired([unknown]) == ["initializer-unknown"]
    assert fired([unknown], protocol="paper", dropout={"m": 0.1}) == ["initializer-unknown"]
    for source in ("configuration", "--config-from X"):
        assert fired([ROW | {"initializer_source": source, "initializer_range": 0.3}]) == []
    for source in ("flag", "library default", "library default, --config-from X"):
        (note,) = notes_on([ROW, ROW | {"model": "n", "initializer_source": source, "initializer_range": 0.3}], Facts())
        assert (note.name, note.rows, "0.3" in note.text) == ("initializer-assumed", ("n | d | last",), True)


def test_dropout_in_the_twin() -> None:
    assert fired([ROW], protocol="paper", dropout={"m": 0.1}) == ["dropout-in-twin"]
    assert fired([ROW], protocol="paper", dropout={"m": 0.0}) == []
    assert fired([ROW], protocol="default", dropout={"m": 0.1}) == []


@pytest.mark.parametrize(
    ("name", "fires", "silent"),
    [
        ("negative-diff-erank", {"diff_erank_high": -0.1}, {"diff_erank_high": 0.1}),
        ("twin-collapsed", {TWIN: 0.14}, {TWIN: 0.16}),
        ("twin-wide", {TWIN: 0.71}, {TWIN: 0.69}),
    ],
)
def test_thresholds(name: str, fires: dict, silent: dict) -> None:
    assert fired([ROW | fires]) == [name]
    assert fired([ROW | silent]) == []
