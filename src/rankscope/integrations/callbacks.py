"""Shared by the training callbacks: measuring each step once, values by name, acting on alarms."""

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
    """The result of one measurement for the training.

    Attributes:
        values: to be logged, by name; empty on all processes but the first.
        stop: an alarm requests that training stop. Only set on the first process.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    stop: bool = False


@dataclass
class Observer:
    """Measures a model in training, each step at most once.

    Attributes:
        monitor: takes the measurements.
        every: number of steps between measurements.
        last: the last measured step.
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
        """An observer for a probe or an existing monitor.

        Raises:
            SettingsError: `every` is below 1, or settings were given together with a monitor, which has its own.
        """
        if every < 1:
            raise SettingsError(f"every must be a number of steps of at least 1, got {every}")
        if not isinstance(probe, Monitor):
            return cls(Monitor(probe, tokenizer, **settings), every)
        if settings or tokenizer is not None:
            given = ", ".join([*settings, *(() if tokenizer is None else ("tokenizer",))])
            raise SettingsError(f"a monitor has its own settings: pass {given} to the Monitor, or pass a probe")
        return cls(probe, every)

    def is_due(self, step: int) -> bool:
        """Whether a step is a multiple of `every`."""
        return step % self.every == 0

    def observe(self, model: nn.Module, step: int, tokenizer: object = None) -> Observation:
        """Measures a model unless this step was measured already; every process must call it, at the same steps.

        A new alarm is logged once to `rankscope.training`, and acts as set in `Alarms.action`. If the first
        measurement fails, the error is raised; a later failure is only logged, so that it does not end the training.

        Args:
            model: as for `Monitor.measure`.
            step: of the training.
            tokenizer: the training's, for a monitor without one; or a processor that has a tokenizer.

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
            LOGGER.warning("rankscope: could not measure step %s: %s", f"{step:,}", error)
            return Observation()
        self.last = step
        if self.monitor.last_step != step:
            return Observation()
        return Observation(values_of(rows) | {f"{PREFIX}/alarms": len(self.monitor.last_alarms)}, self._act())

    def _act(self) -> bool:
        """Reports new alarms, and returns whether any of them stops the training."""
        action = self.monitor.alarms.action
        for alarm in self.monitor.new_alarms:
            LOGGER.warning("rankscope: %s", alarm)
            if callable(action):
                action(alarm)
        return action == "stop" and bool(self.monitor.last_alarms)


def values_of(rows: pl.DataFrame) -> dict[str, float]:
    """Values by name: `rankscope/LAYER/METRIC`, and `rankscope/METRIC` for the loss, which belongs to no layer."""
    of_the_model = {metric.name for metric in metrics_that_read("logits")}
    found = {}
    for row in rows.iter_rows(named=True):
        metric = str(row["metric"])
        name = metric if metric in of_the_model else f"{row['layer']}/{metric}"
        if row["value"] is not None:
            found[f"{PREFIX}/{name}"] = float(row["value"])
    return found
