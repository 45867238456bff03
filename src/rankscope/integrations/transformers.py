"""A callback for transformers' `Trainer`, and libraries built on it: TRL, Axolotl, Unsloth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch
from torch import nn
from transformers import Trainer, TrainerCallback

from rankscope.integrations.callbacks import LOGGER, Observer
from rankscope.monitoring import Monitor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, TrainerControl, TrainerState, TrainingArguments


class SpectrumCallback(TrainerCallback):  # type: ignore[misc]
    """Logs spectra of a probe as training curves: at the first step, every `every` steps, at evaluation and at the end.

    Values are logged by `Trainer.log`, so they appear in the trainer's history and in all its reporting integrations,
    under names such as `rankscope/last/effective_rank`; `rankscope/alarms` is the number of alarms of the measurement.
    The callback does not change the training itself.

    Attributes:
        monitor: with all measurements (`monitor.history()`) and alarms (`monitor.fired`).

    Args:
        probe: strings, a data reference such as `stdlib-docs`, or a `Monitor`.
        tokenizer: by default the trainer's `processing_class`.
        every: number of steps between measurements.
        settings: those of `Monitor`: layers, metrics, pool, max_length, limit, alarms.

    Raises:
        SettingsError: `every` below 1, or settings together with a monitor.
    """

    def __init__(
        self,
        probe: Sequence[str] | str | Monitor,
        tokenizer: PreTrainedTokenizerBase | None = None,
        every: int = 100,
        **settings: Any,
    ) -> None:
        self._observer = Observer.of(probe, tokenizer, every, settings)
        self._trainer: ref[Trainer] | None = None
        self._warned = False

    @property
    def monitor(self) -> Monitor:
        """The monitor that takes the measurements."""
        return self._observer.monitor

    def bind(self, trainer: Trainer) -> SpectrumCallback:
        """Sets the trainer whose `log` is used. Not needed if the trainer itself calls its callbacks."""
        self._trainer = ref(trainer)
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measures the first step, or the step at which training resumes."""
        self._measure(args, state, control, kwargs)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measures every `every` steps, and the last one while the loggers are open."""
        ends = control.should_training_stop or 0 < state.max_steps <= state.global_step
        if ends or self._observer.is_due(state.global_step):
            self._measure(args, state, control, kwargs)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measures the last step if a later callback stopped the training."""
        if control.should_training_stop:
            self._measure(args, state, control, kwargs)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measures at each evaluation of the trainer."""
        self._measure(args, state, control, kwargs)

    def _measure(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, given: dict[str, Any]
    ) -> None:
        trainer = self._found_trainer(state)
        model: nn.Module = given["model"] if trainer is None else trainer.model  # FSDP 1 wraps only the trainer's
        seen = self._observer.observe(model, state.global_step, given.get("processing_class"))
        if seen.values and trainer is not None:
            # Calls `Trainer.log` itself: a subclass's `log` may add running means and reset them (TRL). It also marks
            # this step as logged.
            should_log = control.should_log
            Trainer.log(trainer, dict(seen.values))
            control.should_log = should_log
        elif seen.values and not self._warned:
            self._warned = True
            LOGGER.warning(
                "rankscope: no trainer is attached to this callback, so nothing is logged: use callback.bind(trainer)"
            )
        if self.monitor.alarms.action == "stop" and _any_process(seen.stop, args.device):
            control.should_training_stop = True

    def _found_trainer(self, state: TrainerState) -> Trainer | None:
        """The trainer that is calling and has this state (callbacks do not receive it); else the one bound to."""
        known = None if self._trainer is None else self._trainer()
        if known is not None and known.state is state:
            return known
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            caller = frame.f_locals.get("self")
            if isinstance(caller, Trainer) and any(one is self for one in caller.callback_handler.callbacks):
                self._trainer = ref(caller)
                return caller
            frame = frame.f_back
        return known


def _any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on any process; all processes must call this."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return flag
    flags = torch.tensor(int(flag), device=device)
    torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return bool(flags)
