from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_module import Module, fit
from monitored import monitor
from rankscope.errors import MissingExtraError, SettingsError
from rankscope.integrations.lightning import SpectrumCallback
from rankscope.monitoring import Alarms
from tiny import SENTENCES, tiny_model, tiny_tokenizer
from trained import STEPS, model_to_train, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),  # what Lightning calls of torch
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*GPU available but not used"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
]


def callback(**settings: Any) -> SpectrumCallback:
    return SpectrumCallback(SENTENCES, tiny_tokenizer(), **{"every": 2} | settings)


def steps(one: SpectrumCallback) -> list[int]:
    return one.monitor.history()["step"].unique(maintain_order=True).to_list()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"precision": "bf16-mixed"},
        {"checkpointing": True},
        {"accumulate_grad_batches": 2},
        {"limit_val_batches": 1.0, "val_check_interval": 2},
    ],
    ids=["float32", "bf16", "checkpointing", "accumulation", "validation"],
)
def test_a_training_is_the_same_with_the_callback(arguments: dict[str, Any], tmp_path: Path) -> None:
    alone, _ = fit(tmp_path, **arguments)
    one = callback()
    watched, _ = fit(tmp_path, one, **arguments)
    assert watched.losses == alone.losses
    assert len(set(alone.losses)) == len(alone.losses) >= STEPS
    assert weights(watched) == weights(alone)
    assert weights(alone.model) != weights(model_to_train())
    assert steps(one) == [0, 2, 4, 5]


def test_values_go_to_the_loggers(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    one = callback()
    board = TensorBoardLogger(tmp_path)
    watched, _ = fit(tmp_path, one, logger=[board, CSVLogger(tmp_path / "table")])
    events = EventAccumulator(board.log_dir).Reload()
    rows = one.monitor.history().filter(layer="last", metric="effective_rank")
    read = [(event.step, event.value) for event in events.Scalars("rankscope/last/effective_rank")]
    assert read == [(step, pytest.approx(value, rel=1e-6)) for step, value in rows.select("step", "value").iter_rows()]
    assert [event.value for event in events.Scalars("rankscope/alarms")] == [0] * 4
    (table,) = (tmp_path / "table").rglob("metrics.csv")
    assert "rankscope/last/effective_rank" in table.read_text()
    after = monitor().measure(watched.model, 0).filter(layer="last", metric="effective_rank")
    assert read[-1] == (STEPS, pytest.approx(after["value"].item(), rel=1e-6))


def test_validation_beside_the_training_is_measured_and_that_of_a_sanity_check_is_not(tmp_path: Path) -> None:
    one = callback(every=100)
    fit(tmp_path, one, limit_val_batches=1.0, val_check_interval=3, num_sanity_val_steps=1)
    assert steps(one) == [0, 3, 5]


def test_an_alarm_stops_the_training(tmp_path: Path) -> None:
    one = callback(layers="last", alarms=Alarms(floor=1e9, action="stop"))
    _, trainer = fit(tmp_path, one)
    assert trainer.global_step == 2
    assert [alarm.step for alarm in one.monitor.fired] == [2]


def test_where_the_model_and_the_tokenizer_are(tmp_path: Path) -> None:
    class Elsewhere(Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.tokenizer = self.model, tiny_tokenizer()
            del self.model

    class Loop:
        """As much of a trainer as a measurement needs."""

        global_step, loggers = 0, ()

    module = Elsewhere()
    with pytest.raises(SettingsError, match="Elsewhere has no transformers model in its attribute `model`"):
        callback().on_train_start(Loop(), module)
    one = SpectrumCallback(SENTENCES, model=lambda module: module.inside)
    one.on_train_start(Loop(), module)
    assert one.monitor.history().equals(_history(tiny_model("gpt2")))


def _history(model: Any) -> Any:
    one = monitor()
    one.measure(model, 0)
    return one.history()


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not imported the module, nor Lightning."""
    for name in ("rankscope.integrations.lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_without_the_package(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankscope\[lightning\]'"):
        importlib.import_module("rankscope.integrations.lightning")


def test_the_package_under_its_other_name(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        class Callback:
            pass

    monkeypatch.setitem(sys.modules, "pytorch_lightning", Other)
    module = importlib.import_module("rankscope.integrations.lightning")
    assert issubclass(module.SpectrumCallback, Other.Callback)
