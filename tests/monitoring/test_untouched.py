from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from monitored import backward, everything, in_training, monitor
from rankscope.errors import RankscopeError
from rankscope.monitoring.untouched import is_sharded, untouched, unwrapped

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral", "mamba"])
def test_a_measurement_changes_nothing(name: str) -> None:
    model = in_training(name)
    before = everything(model)
    with torch.autocast("cpu", torch.bfloat16):
        inside = everything(model)
        assert len(monitor().measure(model, 0))
        assert everything(model) == inside
    assert everything(model) == before
    assert len(set(before["modes"].values())) == 2


def test_nor_does_one_that_fails() -> None:
    model = in_training()
    model.transformer.h[2].register_forward_pre_hook(fail)
    before = everything(model)
    with pytest.raises(RankscopeError, match="out of order"):
        monitor().measure(model, 0)
    assert everything(model) == before


def fail(*_: Any) -> None:
    raise RuntimeError("out of order")


def test_within_it_the_model_is_in_eval_mode_outside_autocast_and_inference_mode() -> None:
    model = in_training()
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode(), untouched(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_autocast_enabled("cpu")
        assert not torch.is_inference_mode_enabled()
        torch.rand(3)


def test_a_model_measured_in_inference_mode_can_be_trained() -> None:
    model = in_training("llama")
    with torch.inference_mode():
        inside = monitor().measure(model, 0)
    backward(model)
    assert inside.equals(monitor().measure(model, 0))


def test_the_autocast_of_accelerate_is_left_out_and_put_back() -> None:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # trainings before may have set another precision, which stays for the process
    expected = monitor().measure(in_training(), 0)
    model = Accelerator(cpu=True, mixed_precision="bf16").prepare(in_training())
    before = everything(model)
    assert monitor().measure(model, 0).equals(expected)
    assert everything(model) == before
    AcceleratorState._reset_state()


@pytest.mark.filterwarnings("ignore::UserWarning")  # what the compiler reads of tensors
@pytest.mark.parametrize("way", ["wrapper", "in place", "blocks"])
def test_a_compiled_model_is_not_compiled_again(way: str) -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    expected = monitor().measure(in_training(), 0)
    model = inner = in_training()
    if way == "wrapper":
        model = torch.compile(inner, backend=backend)
    elif way == "in place":
        inner.compile(backend=backend)
    else:
        inner.transformer.h = nn.ModuleList(torch.compile(block, backend=backend) for block in inner.transformer.h)
    backward(model)
    compiled = len(graphs)
    before = everything(model)
    found = monitor().measure(model, 0)
    assert everything(model) == before
    assert found.equals(expected)
    backward(model)
    assert len(graphs) == compiled > 0


@pytest.mark.filterwarnings("ignore::FutureWarning")  # what peft calls of transformers
def test_a_peft_model_is_measured_with_its_adapters() -> None:
    from peft import LoraConfig, get_peft_model

    bare = monitor().measure(in_training(), 0)
    model = get_peft_model(in_training(), LoraConfig(target_modules=["c_attn"], fan_in_fan_out=True))
    assert monitor().measure(model, 0).equals(bare)  # an untrained adapter adds nothing
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(1)
    before = everything(model)
    changed = monitor().measure(model, 0)
    assert everything(model) == before
    assert not changed.equals(bare)
    assert changed.equals(monitor().measure(model.merge_and_unload(), 0)) or agree(changed, model)


def agree(changed: Any, model: nn.Module) -> bool:
    """The merged weights are rounded anew."""
    merged = monitor().measure(unwrapped(model), 0)
    return bool((merged["value"] - changed["value"]).abs().max() < 1e-5)


def test_wrappers_are_taken_off() -> None:
    model = in_training()
    assert unwrapped(model) is model
    assert unwrapped(torch.compile(nn.DataParallel(model), backend="eager")) is model
    assert not is_sharded(model)
