from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer, TrainerCallback

from gloo import in_processes
from monitored import monitor
from rankscope.integrations.transformers import SpectrumCallback
from rankscope.monitoring import Alarms
from tiny import SENTENCES, tiny_model
from trained import STEPS, curve, history, trainer, weights
from trained_in_processes import stopped_by_an_alarm

pytestmark = pytest.mark.slow

RANK, ALARMS = "rankscope/last/effective_rank", "rankscope/alarms"


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # its new name is not yet in 5.0
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"bf16": True},
        {"gradient_checkpointing": True},
        {"gradient_accumulation_steps": 2, "logging_steps": 2},
        {"eval_strategy": "steps", "eval_steps": 2, "bf16": True},
    ],
    ids=["float32", "bf16", "checkpointing", "accumulation", "evaluation"],
)
def test_a_training_is_the_same_with_the_callback(arguments: dict[str, Any], tmp_path: Path) -> None:
    alone = trainer(tmp_path, **arguments)
    alone.train()
    watched = trainer(tmp_path, SpectrumCallback(SENTENCES, every=2), **arguments)
    watched.train()
    assert history(watched) == history(alone)
    losses = {entry["loss"] for entry in history(alone) if "loss" in entry}
    assert len(losses) == STEPS // arguments.get("logging_steps", 1)
    assert weights(watched.model) == weights(alone.model) != weights(tiny_model("gpt2"))
    assert [step for step, _ in curve(watched, RANK)] == [0, 2, 4, 5]


def test_values_are_those_of_a_monitor_in_float32(tmp_path: Path) -> None:
    watched = trainer(tmp_path, SpectrumCallback(SENTENCES, every=100, layers="2,last"), bf16=True)
    before = monitor(layers="2,last").measure(watched.model, 0)
    watched.train()
    after = monitor(layers="2,last").measure(watched.model, 0)
    for layer in ("2", "last"):
        for metric in ("effective_rank", "rankme"):
            expected = [rows.filter(layer=layer, metric=metric)["value"].item() for rows in (before, after)]
            assert curve(watched, f"rankscope/{layer}/{metric}") == [(0, expected[0]), (STEPS, expected[1])]


def test_a_trainer_with_a_log_of_its_own_logs_as_before(tmp_path: Path) -> None:
    """As TRL's, which adds means over the steps since the last call."""

    class Counting(Trainer):
        steps = 0

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            self.steps += 1
            return super().training_step(*args, **kwargs)

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            super().log(logs | {"steps": self.steps}, *args, **kwargs)
            self.steps = 0

    made = []
    for callbacks in ([], [SpectrumCallback(SENTENCES, every=1)]):
        one = trainer(tmp_path, *callbacks, logging_steps=3)
        one.__class__ = Counting
        one.train()
        made.append(history(one))
    assert made[0] == made[1]
    assert {entry["steps"] for entry in made[0]} == {3, 2}


@pytest.mark.parametrize("when", ["this callback", "a later one"])
def test_the_last_step_of_a_training_that_is_stopped(when: str, tmp_path: Path) -> None:
    class Stop(TrainerCallback):
        def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 3

    callbacks = [SpectrumCallback(SENTENCES), Stop()]
    watched = trainer(tmp_path, *(reversed(callbacks) if when == "this callback" else callbacks))
    watched.train()
    assert [step for step, _ in curve(watched, RANK)] == [0, 3]


def test_an_alarm_stops_the_training(tmp_path: Path) -> None:
    never = Alarms(floor=1e9, action="stop")  # every rank is below that share of its first value
    watched = trainer(tmp_path, SpectrumCallback(SENTENCES, every=2, alarms=never, layers="last"))
    watched.train()
    assert watched.state.global_step == 2
    assert curve(watched, ALARMS) == [(0, 0), (2, 1)]


def test_an_alarm_of_the_first_process_stops_them_all(tmp_path: Path) -> None:
    (steps, logged), (other_steps, nothing) = in_processes(stopped_by_an_alarm, 2, tmp_path)
    assert steps == other_steps == 2
    assert [step for step, _ in logged] == [0, 2]
    assert nothing == []


def test_a_second_training_is_logged_by_its_own_trainer(tmp_path: Path) -> None:
    callback = SpectrumCallback(SENTENCES, every=100)
    first = trainer(tmp_path, callback)
    first.train()
    kept = list(first.state.log_history)
    second = trainer(tmp_path, callback)
    second.train()
    assert first.state.log_history == kept
    assert [step for step, _ in curve(second, RANK)] == [0, STEPS]
    assert callback.monitor.history()["step"].unique(maintain_order=True).to_list() == [0, STEPS]


def test_a_loop_that_is_no_trainer_says_that_nothing_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = trainer(tmp_path)
    callback = SpectrumCallback(SENTENCES, every=1)
    given = {"model": trained.model, "processing_class": trained.processing_class}
    for _ in range(2):
        callback.on_train_begin(trained.args, trained.state, trained.control, **given)
        trained.state.global_step += 1
    assert caplog.text.count("use callback.bind(trainer)") == 1
    assert callback.monitor.last_step == 1
    callback.bind(trained).on_train_begin(trained.args, trained.state, trained.control, **given)
    assert [step for step, _ in curve(trained, RANK)] == [2]


def test_tensorboard_has_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    watched = trainer(tmp_path, SpectrumCallback(SENTENCES, every=2), report_to="tensorboard")
    watched.train()
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    for name in (RANK, ALARMS, "rankscope/loss"):
        read = [(event.step, event.value) for event in events.Scalars(f"train/{name}")]
        assert read == [(step, pytest.approx(value, rel=1e-6)) for step, value in curve(watched, name)]
        assert [step for step, _ in read] == [0, 2, 4, 5]


@pytest.mark.usefixtures("trackio_store")
def test_a_local_trackio_store_has_the_curves(tmp_path: Path) -> None:
    callback = SpectrumCallback(SENTENCES, every=2)
    watched = trainer(tmp_path, callback, report_to="trackio", project=tmp_path.name, run_name="one")
    watched.train()

    from trackio.sqlite_storage import SQLiteStorage

    logs = SQLiteStorage.get_logs(tmp_path.name, "one")
    for name in (RANK, ALARMS, "rankscope/loss"):
        read = [(one["train/global_step"], one[f"train/{name}"]) for one in logs if f"train/{name}" in one]
        assert read == curve(watched, name)
        assert len(read) == 4
