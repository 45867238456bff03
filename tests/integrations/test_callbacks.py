from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from monitored import monitor
from rankscope.errors import ForwardPassError, RankscopeError, SettingsError
from rankscope.integrations.callbacks import Observer, values_of
from rankscope.monitoring import Alarm, Alarms
from tiny import SENTENCES, tiny_model, tiny_tokenizer


def observer(**settings: Any) -> Observer:
    return Observer(monitor(**settings), every=2)


def without_numbers() -> Any:
    model = tiny_model("llama")
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.inf)
    return model


def test_values_have_names_of_their_layers_and_the_loss_has_its_own() -> None:
    one, model = monitor(layers="1,last"), tiny_model("llama")
    rows = one.measure(model, 0)
    found = values_of(rows)
    assert found["rankscope/1/effective_rank"] == rows.filter(layer="1", metric="effective_rank")["value"].item()
    assert found["rankscope/last/rankme"] == rows.filter(layer="last", metric="rankme")["value"].item()
    assert found["rankscope/loss"] == rows.filter(layer="last", metric="loss")["value"].item()
    assert len(found) == rows.height - 1  # the loss is a row of each layer


def test_a_step_is_observed_once() -> None:
    one, model = observer(), tiny_model("llama")
    assert one.observe(model, 0).values
    assert not one.observe(model, 0).values
    assert one.observe(model, 4).values
    assert one.monitor.history()["step"].unique(maintain_order=True).to_list() == [0, 4]
    assert [step for step in range(6) if one.is_due(step)] == [0, 2, 4]


@pytest.mark.parametrize(("action", "stops"), [("warn", False), ("stop", True)])
def test_an_alarm_is_a_line_and_a_number(action: Any, stops: bool, caplog: pytest.LogCaptureFixture) -> None:
    one = observer(alarms=Alarms(action=action))
    assert one.observe(tiny_model("llama"), 0).values["rankscope/alarms"] == 0
    seen = one.observe(without_numbers(), 1200)
    assert seen.values == {"rankscope/alarms": 1}
    assert seen.stop is stops
    (line,) = caplog.records
    assert (line.name, line.levelno) == ("rankscope.training", logging.WARNING)
    assert line.getMessage().startswith("rankscope: step 1,200: nan: ")
    assert "\n" not in line.getMessage()
    assert not one.observe(tiny_model("llama"), 1300).stop


def test_an_alarm_calls_a_function() -> None:
    heard: list[Alarm] = []
    one = observer(alarms=Alarms(action=heard.append))
    assert not one.observe(without_numbers(), 7).stop
    assert [(alarm.kind, alarm.step) for alarm in heard] == [("nan", 7)]


def test_a_failure_is_an_error_at_first_and_a_line_later(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no room")

    one, model = observer(), tiny_model("llama")
    model.model.layers[1].register_forward_pre_hook(handle := fail)
    with pytest.raises(RankscopeError, match="no room"):
        one.observe(model, 0)
    model.model.layers[1]._forward_pre_hooks.clear()
    one.observe(model, 0)
    model.model.layers[1].register_forward_pre_hook(handle)
    assert not one.observe(model, 1).values
    assert "could not measure step 1" in caplog.text
    assert ForwardPassError.__name__ not in caplog.text
    model.model.layers[1]._forward_pre_hooks.clear()
    assert one.observe(model, 2).values


def test_the_trainings_tokenizer_is_taken_where_there_is_none() -> None:
    class Processor:
        tokenizer = tiny_tokenizer()

    for given in (tiny_tokenizer(), Processor()):
        one = Observer.of(SENTENCES, None, 1, {"layers": "last"})
        assert one.observe(tiny_model("llama"), 0, given).values
    with pytest.raises(SettingsError, match="tokenizer"):
        Observer.of(SENTENCES, None, 1, {}).observe(tiny_model("llama"), 0)


def test_settings_that_do_not_go_together() -> None:
    with pytest.raises(SettingsError, match="at least 1, got 0"):
        Observer.of(SENTENCES, None, 0, {})
    with pytest.raises(SettingsError, match="pass layers, tokenizer to the Monitor"):
        Observer.of(monitor(), tiny_tokenizer(), 1, {"layers": "last"})
    given = monitor()
    assert Observer.of(given, None, 1, {}).monitor is given
