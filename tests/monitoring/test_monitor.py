from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import monitored
from gloo import in_processes
from monitored import monitor, numbers
from rankscope import Monitor, evaluate
from rankscope.errors import RankscopeError, SettingsError
from tiny import SENTENCES, save_tiny, tiny_model

pytestmark = pytest.mark.slow


def test_values_are_those_of_evaluate(tmp_path: Path) -> None:
    save_tiny(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))
    settings: dict[str, Any] = {"layers": "1,last", "metrics": ("effective_rank", "stable_rank", "loss")}
    folder, texts = str(tmp_path / "model"), str(tmp_path / "texts.txt")
    measured = evaluate(folder, texts, output=tmp_path / "run", untrained_seeds=0, **settings).measurements()
    found = {(layer, metric): value for layer, metric, value in numbers(monitor(**settings), tiny_model("llama"))}
    for layer in ("1", "last"):
        here = measured.filter(layer=layer)
        assert len(here) == len(SENTENCES)
        assert found[layer, "effective_rank"] == pytest.approx(math.exp(here["matrix_entropy"].mean()), rel=1e-6)
        for metric in ("stable_rank", "loss"):
            assert found[layer, metric] == pytest.approx(here[metric].mean(), rel=1e-6)


def test_distances_are_from_the_first_and_the_last_step() -> None:
    one, models = monitor(layers="last"), [tiny_model("llama", seed) for seed in (0, 1, 2)]
    values = [
        one.measure(model, step).filter(metric="effective_rank")["value"].item() for step, model in enumerate(models)
    ]
    last = one.history().filter(step=2, metric="effective_rank").row(0, named=True)
    assert last["from_first"] == pytest.approx(values[2] - values[0])
    assert last["from_last"] == pytest.approx(values[2] - values[1])
    assert last["from_first_low"] < last["from_first"] < last["from_first_high"]


def test_a_training_that_begins_anew_forgets_the_later_steps() -> None:
    one = monitor(layers="last")
    for step in (0, 10, 20, 10):
        one.measure(tiny_model("llama", step), step)
    assert one.history()["step"].unique(maintain_order=True).to_list() == [0, 10]
    again = monitor(layers="last")
    for step in (0, 10):
        again.measure(tiny_model("llama", step), step)
    assert one.history().equals(again.history())


def test_without_a_tokenizer_there_is_no_measurement() -> None:
    with pytest.raises(SettingsError, match="tokenizer"):
        Monitor(SENTENCES, None).measure(tiny_model("llama"), 0)


@pytest.mark.parametrize("work", [monitored.ddp, monitored.fsdp2, monitored.fsdp2_root])
def test_two_processes_give_the_numbers_of_one(work: Any, tmp_path: Path) -> None:
    model = tiny_model("llama").train()
    one = monitor()
    first, losses = numbers(one, model), [monitored.backward(model)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.step()
    optimizer.zero_grad()
    second = numbers(one, model, 2)
    losses.append(monitored.backward(model))
    of_first, of_other = in_processes(work, 2, tmp_path)
    assert of_other[:2] == ([], [])
    for expected, found in ((first, of_first[0]), (second, of_first[1])):
        assert [place for *place, _ in found] == [place for *place, _ in expected]
        assert [value for *_, value in found] == pytest.approx([value for *_, value in expected], rel=1e-6, abs=1e-6)
    for _, _, trained in (of_first, of_other):
        assert trained == pytest.approx(losses, abs=1e-5)


def test_a_divided_model_goes_on_after_states_that_are_no_numbers(tmp_path: Path) -> None:
    (rows, alarms, loss), (others, none, same) = in_processes(monitored.without_numbers, 2, tmp_path)
    assert rows[0] == rows[2] > 0 == rows[1]
    assert others == [0, 0, 0]
    assert (alarms, none) == ([("nan", 1)], [])
    assert loss == same == pytest.approx(monitored.backward(tiny_model("llama").train()), abs=1e-5)


def test_a_process_whose_partner_is_killed_ends_with_an_error(tmp_path: Path) -> None:
    (said,) = in_processes(monitored.one_is_killed, 2, tmp_path, seconds=60, killed=(1,))
    assert issubclass(getattr(__import__("rankscope.errors").errors, said), RankscopeError)
