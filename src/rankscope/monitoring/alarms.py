"""Alarms on a training's spectra, with thresholds tuned on sound and broken trainings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rankscope.monitoring.curves import Measurement

Action = Literal["warn", "stop"]
_RANK, _LOSS = "effective_rank", "loss"


@dataclass(frozen=True)
class Alarm:
    """One problem at one step.

    Attributes:
        kind: `nan`, `collapse`, `jump`, `divergence` or `not-learning`.
        step: of the training.
        layer: where; None if it concerns the whole model.
        text: the observation and the threshold.
    """

    kind: str
    step: int
    layer: str | None
    text: str

    def __str__(self) -> str:
        where = "" if self.layer is None else f", layer {self.layer}"
        return f"step {self.step:,}{where}: {self.kind}: {self.text}"


@dataclass(frozen=True)
class Alarms:
    """Thresholds; None switches an alarm off.

    Attributes:
        collapse: effective rank below this share of its median over the last `window` measurements. The first
            measurement is excluded: in a sound training the rank falls to a third or a fifth of it before it rises.
        floor: effective rank below this share of its first value.
        jump: effective rank at least this many times its last value.
        divergence: the ratio of two layers' effective ranks changed by this factor since the last measurement.
        patience: after this many measurements the probe's loss must be below its first value, beyond its interval.
        window: number of measurements in the median.
        action: what callbacks do: `warn`, `stop` the training, or call a function with the alarm.
    """

    collapse: float | None = 0.4
    floor: float | None = 0.15
    jump: float | None = 3.0
    divergence: float | None = 2.5
    patience: int | None = 5
    window: int = 8
    action: Action | Callable[[Alarm], None] = "warn"

    def check(self, one: Measurement, before: Sequence[Measurement]) -> list[Alarm]:
        """The alarms of a measurement, given the earlier ones."""
        if one.fault is not None:
            return [Alarm("nan" if "finite" in one.fault else "collapse", one.step, None, one.fault)]
        sound = [other for other in before if other.fault is None]
        found: list[Alarm] = []
        for layer in one.layers:
            found += self._of_rank(one, sound, layer)
        found += self._of_layers(one, sound)
        found += self._of_loss(one, sound)
        return found

    def _of_rank(self, one: Measurement, sound: Sequence[Measurement], layer: str) -> Iterator[Alarm]:
        rank = one.value(layer, _RANK)
        earlier = [value for other in sound if (value := other.value(layer, _RANK)) is not None]
        if rank is None or not earlier:
            return
        if self.floor is not None and rank < self.floor * earlier[0]:
            text = f"effective rank {rank:.3g} is below {self.floor:.0%} of its first value {earlier[0]:.3g}"
            yield Alarm("collapse", one.step, layer, text)
        elif self.collapse is not None and (recent := earlier[1:][-self.window :]):
            usual = statistics.median(recent)
            if rank < self.collapse * usual:
                text = f"effective rank {rank:.3g} is below {self.collapse:.0%} of its recent median {usual:.3g}"
                yield Alarm("collapse", one.step, layer, text)
        if self.jump is not None and rank >= self.jump * earlier[-1]:
            text = f"effective rank {rank:.3g} is {rank / earlier[-1]:.1f} times the last one, {earlier[-1]:.3g}"
            yield Alarm("jump", one.step, layer, f"{text} (at least {self.jump:g})")

    def _of_layers(self, one: Measurement, sound: Sequence[Measurement]) -> Iterator[Alarm]:
        if self.divergence is None or not sound:
            return
        for lower, upper in zip(one.layers, one.layers[1:], strict=False):
            now, then = (_ratio(measurement, lower, upper) for measurement in (one, sound[-1]))
            if now is not None and then is not None and abs(math.log(now / then)) >= math.log(self.divergence):
                text = f"its effective rank relative to layer {lower} went from {then:.3g} to {now:.3g}"
                yield Alarm("divergence", one.step, upper, f"{text} (a factor of {self.divergence:g} or more)")

    def _of_loss(self, one: Measurement, sound: Sequence[Measurement]) -> Iterator[Alarm]:
        if self.patience is None or len(sound) < self.patience or not one.layers:
            return
        falls = one.fall_of_loss(sound[0])
        if falls is not None and falls[0] <= 0:
            yield Alarm(
                "not-learning", one.step, None,
                f"after {len(sound)} measurements the probe's loss is not below its first value: it fell by "
                f"{falls[0]:.3g} to {falls[1]:.3g} nats per token (95 % interval over texts)",
            )  # fmt: skip


def _ratio(one: Measurement, lower: str, upper: str) -> float | None:
    below, above = one.value(lower, _RANK), one.value(upper, _RANK)
    return None if below is None or above is None else above / below
