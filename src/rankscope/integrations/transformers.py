"""A callback for transformers' `Trainer`, and so for what is built on it: TRL, Axolotl, Unsloth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
    """Spectra of a probe as curves of the training: at its first step, every so many, at evaluations and at its end.

    Values are logged by `Trainer.log`, so that they are in the trainer's history and in whatever it reports to, under
    names such as `rankscope/last/effective_rank`; `rankscope/alarms` is the number of alarms of the measurement. The
    training itself is the same as without the callback.

    Attributes:
        monitor: with all measurements (`monitor.history()`) and alarms (`monitor.fired`).

    Args:
        probe: strings, a data reference such as `stdlib-docs`, or a `Monitor`.
        tokenizer: left out, the trainer's `processing_class`.
        every: so many steps lie between measurements.
        settings: those of `Monitor`: layers, metrics, pool, max_length, limit, alarms.

    Raises:
        SettingsError: `every` below 1, or settings beside a monitor.
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
        """What measures."""
        return self._observer.monitor

    def bind(self, trainer: Trainer) -> SpectrumCallback:
        """Names the trainer whose `log` is used. Not needed where the trainer itself calls its callbacks."""
        self._trainer = ref(trainer)
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The first step, or the one at which a training is taken up."""
        self._measure(args, state, control, kwargs)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Every so many steps, and the last one while the loggers are open."""
        ends = control.should_training_stop or 0 < state.max_steps <= state.global_step
        if ends or self._observer.is_due(state.global_step):
            self._measure(args, state, control, kwargs)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The last step, where a callback after this one stopped the training."""
        if control.should_training_stop:
            self._measure(args, state, control, kwargs)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Beside the trainer's own evaluation."""
        self._measure(args, state, control, kwargs)

    def _measure(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, given: dict[str, Any]
    ) -> None:
        trainer = self._found_trainer(state)
        model: nn.Module = given["model"] if trainer is None else trainer.model  # FSDP 1 wraps only the trainer's
        seen = self._observer.observe(model, state.global_step, given.get("processing_class"))
        if seen.values and trainer is not None:
            # `Trainer.log` and not a subclass's, which may add means since its last call and forget them (TRL). It says
            # that what was to be logged at this step has been.
            should_log = control.should_log
            Trainer.log(trainer, dict(seen.values))
            control.should_log = should_log
        elif seen.values and not self._warned:
            self._warned = True
            LOGGER.warning(
                "rankscope: no trainer calls this callback, so nothing is logged: use callback.bind(trainer)"
            )
        if self.monitor.alarms.action == "stop" and _any_process(seen.stop, args.device):
            control.should_training_stop = True

    def _found_trainer(self, state: TrainerState) -> Trainer | None:
        """The trainer that is calling, of this state; a callback is not given it. Else the one that it is bound to."""
        known = None if self._trainer is None else self._trainer()
        if known is not None and known.state is state:
            return known
        frame = sys._getframe(1)  # noqa: SLF001
        while frame is not None:
            caller = frame.f_locals.get("self")
            if isinstance(caller, Trainer) and any(one is self for one in caller.callback_handler.callbacks):
                self._trainer = ref(caller)
                return caller
            frame = frame.f_back  # type: ignore[assignment]
        return known


def _any_process(flag: bool, device: torch.device) -> bool:
    """Whether one of the processes says so; all have to ask."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return flag
    flags = torch.tensor(int(flag), device=device)
    torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return bool(flags)
