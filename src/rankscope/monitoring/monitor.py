"""Spectra of a fixed probe during training: values, differences from earlier measurements, alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import ref

import polars as pl
import torch
from torch import nn

from rankscope.errors import LayerError, SettingsError
from rankscope.measuring import Layers, Layout, Plan, TextTask, choose_layers, measure_batches, plan_batches
from rankscope.models import LoadedNetwork, TransformersNetwork, positions_of
from rankscope.monitoring.alarms import Alarm, Alarms
from rankscope.monitoring.curves import Measurement, tidy_rows
from rankscope.monitoring.untouched import is_sharded, untouched, unwrapped
from rankscope.settings import Pool, Settings
from rankscope.texts import Text, TextSet, load_texts, parse_data_reference

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rankscope.measuring import Row

DEFAULT_METRICS = ("effective_rank", "normalized_matrix_entropy", "stable_rank", "loss")
_BATCH_TOKENS = 4096


@dataclass
class Monitor:
    """Measures a model on the same texts repeatedly, and leaves the model unchanged.

    Attributes:
        probe: strings, or a data reference such as `stdlib-docs` or `texts.jsonl`.
        tokenizer: the model's; None if a callback provides the training's.
        layers: as for `evaluate`.
        metrics: names of metrics.
        pool: input of RankMe and alpha-ReQ: the `mean` of each text's states, or the `last` or `first` state.
        max_length: truncate texts to this many tokens.
        limit: number of texts to use from a data reference.
        alarms: when to warn; see `Alarms`.
        fired: all alarms that have fired.
    """

    probe: Sequence[str] | str
    tokenizer: PreTrainedTokenizerBase | None
    layers: str | int | Sequence[int | str] = "middle,last"
    metrics: Sequence[str] = DEFAULT_METRICS
    pool: Pool = "mean"
    max_length: int = 256
    limit: int = 16
    alarms: Alarms = field(default_factory=Alarms)
    fired: list[Alarm] = field(default_factory=list)
    _texts: TextSet | None = None
    _plan: Plan | None = None
    _chosen: Layers | None = None
    _network: tuple[ref[nn.Module], LoadedNetwork] | None = None
    _measured: list[Measurement] = field(default_factory=list)

    def measure(self, model: nn.Module, step: int) -> pl.DataFrame:
        """Measures a model on the probe.

        If parameters are sharded over processes, all of them must call this and run the model; otherwise only the
        first process measures. The other processes get no rows.

        Args:
            model: of transformers, bare or wrapped (torch.compile, DDP, FSDP2, DeepSpeed, PEFT), in any mode.
            step: of the training. Measurements of this step and of later ones are discarded: training was resumed from
                an earlier state, or restarted.

        Returns:
            A row for each layer and metric: `step`, `layer`, `metric`, `value` with its interval over texts, and its
            difference from the first and from the last measurement, `from_first` and `from_last`, with intervals.

        Raises:
            SettingsError: unknown layers or metrics, or a probe with fewer than two usable texts.
            RankscopeError: the model cannot be run. Problems that trigger an alarm are not errors.
        """
        whole, bare = model, unwrapped(model)
        sharded = is_sharded(whole)
        if not sharded and _rank() != 0:
            return tidy_rows(None, [], None)
        with untouched(whole):
            rows, fault = self._rows(bare, sharded=sharded)
            return tidy_rows(None, [], None) if _rank() else self._found(step, rows, fault)

    def _found(self, step: int, rows: Sequence[Row], fault: str | None) -> pl.DataFrame:
        """Adds a measurement, and returns its rows after checking for alarms."""
        self._measured = [one for one in self._measured if one.step < step]
        self.fired = [one for one in self.fired if one.step < step]
        measurement = Measurement.of(step, rows, self._layers.names, fault)
        found = tidy_rows(measurement, _sound(self._measured), self._asked)
        self.fired += self.alarms.check(measurement, self._measured)
        self._measured.append(measurement)
        return found

    @property
    def last_step(self) -> int | None:
        """The step of the last measurement; None before the first one, and on processes that get no rows."""
        return self._measured[-1].step if self._measured else None

    @property
    def last_alarms(self) -> list[Alarm]:
        """The alarms of the last measurement."""
        return [one for one in self.fired if one.step == self.last_step]

    @property
    def new_alarms(self) -> list[Alarm]:
        """The alarms of the last measurement that did not fire at the previous one for the same layer."""
        earlier = self._measured[-2].step if len(self._measured) > 1 else None
        known = {(one.kind, one.layer) for one in self.fired if one.step == earlier}
        return [one for one in self.last_alarms if (one.kind, one.layer) not in known]

    def history(self) -> pl.DataFrame:
        """All measurements so far, as `measure` returns them."""
        frames = [
            tidy_rows(one, _sound(self._measured[:place]), self._asked) for place, one in enumerate(self._measured)
        ]
        return pl.concat([tidy_rows(None, [], None), *frames])

    @property
    def _layers(self) -> Layers:
        assert self._chosen is not None  # noqa: S101 (for the type checker: `_rows` comes first)
        return self._chosen

    @property
    def _asked(self) -> tuple[str, ...]:
        return self._settings.metric_names

    @property
    def _settings(self) -> Settings:
        return Settings(layers=self.layers, metrics=self.metrics, max_length=self.max_length)  # type: ignore[arg-type]

    def _rows(self, model: Any, *, sharded: bool) -> tuple[list[Row], str | None]:
        """A row per text and layer, or the problem with the model's states."""
        if self._plan is None:
            self._prepare(model)
        plan = self._plan
        assert plan is not None  # noqa: S101 (for the type checker)
        network = self._loaded(model, sharded=sharded)
        task = TextTask("model", "probe", layers=self._layers, metrics=self._asked, pool=self.pool)
        try:
            return [row for _, rows in measure_batches(task, plan, network) for row in rows], None
        except LayerError as error:
            return [], str(error)

    def _prepare(self, model: Any) -> None:
        settings = self._settings
        if self.tokenizer is None:
            raise SettingsError("the monitor has no tokenizer: pass the model's, tokenizer=...")
        self._chosen = choose_layers(model.config, settings)
        layout = Layout.of(settings, positions_of(model.config), _BATCH_TOKENS)
        self._plan = plan_batches(self._probe_texts(), self.tokenizer, layout)
        if sum(map(len, self._plan.batches)) < 2:
            raise SettingsError("a probe needs at least two texts with two or more tokens")

    def _probe_texts(self) -> TextSet:
        if isinstance(self.probe, str):
            return load_texts(parse_data_reference(self.probe, None, None, None), limit=self.limit)
        return TextSet("probe", "memory", tuple(Text(str(place), text) for place, text in enumerate(self.probe)))

    def _loaded(self, model: Any, *, sharded: bool) -> LoadedNetwork:
        """The network, examined once for each model."""
        if self._network is None or self._network[0]() is not model:
            assert self._plan is not None  # noqa: S101 (for the type checker)
            network = TransformersNetwork.of(model, as_a_whole=sharded).fitted_to("model", self._plan.token_ids)
            self._network = (ref(model), network)
        return self._network[1]


def _sound(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The measurements that have values."""
    return [one for one in measurements if one.columns]


def _rank() -> int:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_rank() if distributed else 0
