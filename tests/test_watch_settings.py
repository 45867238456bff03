from __future__ import annotations

import pytest

from rankscope.errors import SettingsError
from rankscope.watch_settings import WatchSettings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"every": 0.0}, "every must be a number above 0, got 0.0"),
        ({"every": float("nan")}, "every must be a number above 0"),
        ({"idle_minutes": -1.0}, "idle_minutes must be a number above 0, got -1.0"),
        ({"idle_minutes": float("inf")}, "idle_minutes"),
        ({"until_step": -1}, "until_step must be an integer of at least 0, got -1"),
    ],
)
def test_what_no_watch_can_keep_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        WatchSettings(**changes)


def test_it_looks_twice_a_minute_and_never_stops_unless_told() -> None:
    assert WatchSettings() == WatchSettings(every=30.0, until_step=None, idle_minutes=None)
