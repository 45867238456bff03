"""The claims page is that of the list of claims, pages still say what the list quotes, and a wrong figure shows."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "claims.py"


@pytest.fixture(scope="module")
def claims() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FILE.parent))  # as for a script in that folder
    found = importlib.util.spec_from_file_location("claims", FILE)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    yield module
    sys.path.remove(str(FILE.parent))


def test_the_page_is_written_from_the_list(claims: ModuleType) -> None:
    assert claims.PAGE.read_text(encoding="utf-8") == claims.page(), "run benchmarks/claims.py --write"


def test_each_page_says_what_is_claimed(claims: ModuleType) -> None:
    assert [claim["id"] for claim in claims.claims() if not claims.states(claim)] == []


def test_a_figure_that_is_off_by_more_than_its_spread_is_a_fault(claims: ModuleType) -> None:
    printed = "pico-3m stdlib-docs 100 22,679  43.27 → 36.06  7.20  6.83 to 7.58  29% 0.6767 0.8696 4.523"
    claim = {"spread": 0.03}
    assert claims.faults_of_line(printed, printed.replace("36.06", "36.26"), claim) == []
    assert len(claims.faults_of_line(printed, printed.replace("36.06", "39.06"), claim)) == 1
    assert len(claims.faults_of_line(printed, printed.replace("22,679", "12,679"), claim)) == 1
    assert len(claims.faults_of_line(printed, "", claim)) == 1


def test_bounds_are_kept(claims: ModuleType) -> None:
    assert claims.fault_of_value({"at_least": 40}, 41) == []
    assert claims.fault_of_value({"at_least": 40}, 39) != []
    assert claims.fault_of_value({"at_most": 2}, 2.1) != []
    assert claims.fault_of_value({"about": 1.0, "spread": 0.1}, 1.05) == []
    assert claims.fault_of_value({"about": 1.0, "spread": 0.1}, 0.8) != []


def test_values_of_a_row_are_compared(claims: ModuleType) -> None:
    document = {"rows": [{"model": "a", "loss": 4.0, "rank": None}, {"model": "b", "loss": 5.0}]}
    for stated, faults in (
        ({"model": "a", "loss": 4.05}, 0),
        ({"model": "b", "loss": 4.05}, 1),
        ({"model": "a", "rank": 1.0}, 1),
        ({"model": "c", "loss": 4.0}, 1),
        ({"loss": 4.0}, 1),
    ):
        assert len(claims.faults_of_values({"spread": 0.03, "values": [stated]}, document)) == faults


def test_every_claim_says_how_it_is_checked(claims: ModuleType) -> None:
    ways = ("elsewhere", "command", "check", "test")
    for claim in claims.claims():
        assert sum(way in claim for way in ways) == 1, claim["id"]
        if "check" in claim:
            assert callable(getattr(claims.claim_checks, claim["check"][0]))
            assert {"about", "at_least", "at_most"} & set(claim)
    names = [claim["id"] for claim in claims.claims()]
    assert len(set(names)) == len(names)
