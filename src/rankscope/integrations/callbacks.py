"""What the callbacks of training libraries share: each step measured once, values by name, alarms that act."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rankscope.errors import RankscopeError, SettingsError
from rankscope.metrics.table import metrics_that_read
from rankscope.monitoring import Monitor

if TYPE_CHECKING:
    import polars as pl
    from torch import nn
    from transformers import PreTrainedTokenizerBase

PREFIX = "rankscope"
LOGGER = logging.getLogger("rankscope.training")


@dataclass(frozen=True)
class Observation:
    """What one measurement is to the training.

    Attributes:
        values: to be logged, by name; none on processes other than the first.
        stop: an alarm asks for the training's end. Known to the first process alone.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    stop: bool = False


@dataclass
class Observer:
    """Measures a model in training, each step at most once.

    Attributes:
        monitor: what measures.
        every: so many steps lie between measurements.
        last: the step that was measured last.
    """

    monitor: Monitor
    every: int
    last: int | None = None

    @classmethod
    def of(
        cls,
        probe: Sequence[str] | str | Monitor,
        tokenizer: PreTrainedTokenizerBase | None,
        every: int,
        settings: Mapping[str, Any],
    ) -> Observer:
        """An observer of a probe, or with a monitor that is there.

        Raises:
            SettingsError: not even one step between measurements, or settings beside a monitor that has its own.
        """
        if every < 1:
            raise SettingsError(f"every: expected a number of steps of at least 1, got {every}")
        if not isinstance(probe, Monitor):
            return cls(Monitor(probe, tokenizer, **settings), every)
        if settings or tokenizer is not None:
            given = ", ".join([*settings, *(() if tokenizer is None else ("tokenizer",))])
            raise SettingsError(f"a monitor has settings of its own: give it {given}, or give a probe")
        return cls(probe, every)

    def is_due(self, step: int) -> bool:
        """Whether a step is one of every so many."""
        return step % self.every == 0

    def observe(self, model: nn.Module, step: int, tokenizer: object = None) -> Observation:
        """Measures a model unless this step was measured; every process calls it, at the same steps.

        Each alarm is one line of the log `rankscope.training` when it begins, and acts as `Alarms.action` says. The
        first measurement may fail; a later one that fails is a line of the log, so that it ends no training.

        Args:
            model: as for `Monitor.measure`.
            step: of the training.
            tokenizer: the training's, for a monitor that has none; or a processor that has one.

        Raises:
            RankscopeError: the first measurement failed.
        """
        if step == self.last:
            return Observation()
        if self.monitor.tokenizer is None and tokenizer is not None:
            self.monitor.tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
        try:
            rows = self.monitor.measure(model, step)
        except RankscopeError as error:
            if self.last is None:
                raise
            self.last = step
            LOGGER.warning("rankscope: step %s could not be measured: %s", f"{step:,}", error)
            return Observation()
        self.last = step
        if self.monitor.last_step != step:
            return Observation()
        return Observation(values_of(rows) | {f"{PREFIX}/alarms": len(self.monitor.last_alarms)}, self._act())

    def _act(self) -> bool:
        """Tells of alarms that have begun, and says whether any stop the training."""
        action = self.monitor.alarms.action
        for alarm in self.monitor.new_alarms:
            LOGGER.warning("rankscope: %s", alarm)
            if callable(action):
                action(alarm)
        return action == "stop" and bool(self.monitor.last_alarms)


def values_of(rows: pl.DataFrame) -> dict[str, float]:
    """Values by name: `rankscope/LAYER/METRIC`, and `rankscope/METRIC` for what no layer has of its own, the loss."""
    of_the_model = {metric.name for metric in metrics_that_read("logits")}
    found = {}
    for row in rows.iter_rows(named=True):
        metric = str(row["metric"])
        name = metric if metric in of_the_model else f"{row['layer']}/{metric}"
        if row["value"] is not None:
            found[f"{PREFIX}/{name}"] = float(row["value"])
    return found
