"""A callback for Lightning. Importing this module requires the extra `lightning`, or `pytorch_lightning`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch import nn

from rankscope.errors import MissingExtraError, SettingsError
from rankscope.integrations.callbacks import Observer
from rankscope.monitoring import Monitor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def _lightning() -> Any:
    """The Lightning package, by whichever of its two names is already imported or installed."""
    for name in sorted(("lightning.pytorch", "pytorch_lightning"), key=lambda name: name not in sys.modules):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise MissingExtraError("lightning", "lightning")


class SpectrumCallback(_lightning().Callback):  # type: ignore[misc]
    """Logs spectra of a probe as training curves: at the first step, every `every` steps, at validation and at the end.

    Values go to all loggers of the trainer, under names such as `rankscope/last/effective_rank`; `rankscope/alarms` is
    the number of alarms of the measurement. Steps are the trainer's `global_step`. The callback does not change the
    training itself.

    Attributes:
        monitor: with all measurements (`monitor.history()`) and alarms (`monitor.fired`).

    Args:
        probe: strings, a data reference such as `stdlib-docs`, or a `Monitor`.
        tokenizer: by default the module's attribute `tokenizer`.
        every: number of steps between measurements.
        model: from the LightningModule to the transformers model; by default its attribute `model`.
        settings: those of `Monitor`: layers, metrics, pool, max_length, limit, alarms.

    Raises:
        SettingsError: `every` below 1, or settings together with a monitor.
    """

    def __init__(
        self,
        probe: Sequence[str] | str | Monitor,
        tokenizer: PreTrainedTokenizerBase | None = None,
        every: int = 100,
        model: Callable[[Any], nn.Module] | None = None,
        **settings: Any,
    ) -> None:
        self._observer = Observer.of(probe, tokenizer, every, settings)
        self._model = model or _attribute_model

    @property
    def monitor(self) -> Monitor:
        """The monitor that takes the measurements."""
        return self._observer.monitor

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Measures the first step, or the step at which training resumes."""
        self._measure(trainer, pl_module)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_batch: Any) -> None:
        """Measures every `every` steps; batches with accumulated gradients are not steps."""
        if self._observer.is_due(trainer.global_step):
            self._measure(trainer, pl_module)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Measures at each validation during training."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Measures the last step."""
        self._measure(trainer, pl_module)

    def _measure(self, trainer: Any, pl_module: Any) -> None:
        step = trainer.global_step
        seen = self._observer.observe(self._model(pl_module), step, getattr(pl_module, "tokenizer", None))
        if seen.values:
            for logger in trainer.loggers:
                logger.log_metrics(dict(seen.values), step=step)
        if self.monitor.alarms.action == "stop" and trainer.strategy.reduce_boolean_decision(seen.stop, all=False):
            trainer.should_stop = True


def _attribute_model(module: Any) -> nn.Module:
    model = getattr(module, "model", None)
    if not isinstance(model, nn.Module):
        raise SettingsError(
            f"{type(module).__name__} has no transformers model in its attribute `model`: "
            "pass a function that returns it, such as model=lambda module: module.backbone"
        )
    return model
