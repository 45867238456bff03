"""When a training's spectra say that something is wrong."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rankscope.monitoring.curves import Measurement

Action = Literal["warn", "stop"]


@dataclass(frozen=True)
class Alarm:
    """One thing that is wrong at one step.

    Attributes:
        kind: `collapse`, `jump`, `divergence`, `loss` or `nan`.
        step: of the training.
        layer: where; None where it concerns the whole model.
        text: what was seen, and the threshold.
    """

    kind: str
    step: int
    layer: str | None
    text: str


@dataclass(frozen=True)
class Alarms:
    """Thresholds.

    Attributes:
        collapse: effective rank below this share of its median over the last `window` measurements.
        jump: change of ln effective rank from one measurement to the next.
        divergence: change of the difference in ln effective rank between two layers since the first measurement.
        loss: the probe's loss above its least value so far by this many nats.
        window: measurements that a median is over.
        action: what callbacks do: `warn`, `stop`, or a function that is given the alarm.
    """

    collapse: float = 0.5
    jump: float = 0.7
    divergence: float = 1.5
    loss: float = 0.5
    window: int = 5
    action: Action | Callable[[Alarm], None] = "warn"

    def check(self, one: Measurement, before: Sequence[Measurement]) -> list[Alarm]:
        """The alarms of a measurement, given those before it."""
        if one.fault is not None:
            return [Alarm("nan", one.step, None, one.fault)]
        sound = [other for other in before if other.fault is None]
        found: list[Alarm] = []
        for layer in dict.fromkeys(layer for layer, _ in one.columns):
            rank = one.value(layer, "effective_rank")
            earlier = [value for other in sound if (value := other.value(layer, "effective_rank")) is not None]
            if rank is None or not earlier:
                continue
            usual = statistics.median(earlier[-self.window :])
            if rank < self.collapse * usual:
                text = f"effective rank {rank:.3g} is below {self.collapse:.0%} of its recent median {usual:.3g}"
                found.append(Alarm("collapse", one.step, layer, text))
        return found
