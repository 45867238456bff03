"""The settings of `watch`, in addition to those of its evaluations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rankscope.errors import SettingsError
from rankscope.setting_values import at_least


@dataclass(frozen=True)
class WatchSettings:
    """How often a watch looks for checkpoints, and when it stops.

    Attributes:
        every: Seconds between two looks at the folder.
        until_step: Stop after measuring a checkpoint of this step or a later one.
        idle_minutes: Stop when nothing in the folder has changed for this many minutes.
    """

    every: float = 30.0
    until_step: int | None = None
    idle_minutes: float | None = None

    def __post_init__(self) -> None:
        at_least("until_step", self.until_step, 0)
        for name, value in (("every", self.every), ("idle_minutes", self.idle_minutes)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise SettingsError(f"{name} must be a number above 0, got {value}")
