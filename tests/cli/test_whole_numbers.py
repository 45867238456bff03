from __future__ import annotations

import pytest

from rankscope.cli.whole_numbers import refuse_fractions_in_call, refuse_fractions_in_file
from rankscope.errors import SettingsError


@pytest.mark.parametrize(
    "tokens",
    [
        ("evaluate", "m", "--limit=1.5"),
        ("evaluate", "m", "--max-length", "2.5"),
        ("align", "m", "--integration_items", "-0.5"),
        ("study", "scaling", "--max-new-tokens=9.9"),
    ],
)
def test_a_fraction_is_refused_and_not_rounded(tokens: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=r"--\S+ must be an integer, got -?\d\.\d"):
        refuse_fractions_in_call(tokens)


def test_whole_numbers_and_other_flags_pass() -> None:
    refuse_fractions_in_call(
        ("evaluate", "m", "--limit", "3", "--window=30.0", "--prefix=1.5", "--field", "1.5", "1.5")
    )
    refuse_fractions_in_call(("evaluate", "m", "--limit", "three.5", "--limit"))
    refuse_fractions_in_file({"limit": 3, "window": 30.0, "prefix": "1.5", "metrics": ["loss"]})


@pytest.mark.parametrize("value", [1.5, "1.5"])
def test_a_fraction_in_a_file(value: object) -> None:
    with pytest.raises(SettingsError, match=r"untrained-seeds must be an integer, got 1\.5"):
        refuse_fractions_in_file({"untrained-seeds": value})
