"""Notes on networks fire where they should, and are silent where they should be."""

from __future__ import annotations

from noted import ROW, fired
from rankscope.statistics import Facts, ReadingFacts, notes_on


def test_several_versions_are_named() -> None:
    (note,) = notes_on([ROW], Facts(versions={"torch": ["2.6.0", "2.7.0"], "transformers": ["5.1", "5.2"]}))
    assert note.name == "several-versions"
    assert "(torch 2.6.0 and 2.7.0; transformers 5.1 and 5.2)" in note.text
    assert (note.rows, note.numbers) == (("m | d | last",), {"versions": 2.0})
    assert fired([ROW]) == []


def test_networks_that_are_not_causal_or_read_one_by_one_or_carry_streams() -> None:
    rows = [ROW, ROW | {"layer": "3"}, ROW | {"model": "n"}]
    two_ways = {"m": ReadingFacts(causal=False)}
    (note,) = notes_on(rows, Facts(readings=two_ways))
    assert (note.name, note.rows) == ("not-causal", ("m | d | last", "m | d | 3"))
    assert note.text.startswith("m reads texts in both directions")
    faults = {"m": ReadingFacts(padding_fault="no mask"), "n": ReadingFacts(padding_fault="no positions")}
    first, second = notes_on(rows, Facts(readings=faults))
    assert [first.name, second.name] == ["texts-one-by-one"] * 2
    assert (first.text, second.rows) == ("m no mask: its texts were run one at a time", ("n | d | last",))
    (note,) = notes_on(rows, Facts(readings={"m": ReadingFacts(streams=True)}))
    assert (note.name, note.rows) == ("mean-of-streams", ("m | d | 3",))
