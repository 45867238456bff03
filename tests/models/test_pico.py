from __future__ import annotations

import json
import math
import zlib

import pytest
import torch
from transformers import AutoModelForCausalLM

from rankscope.errors import UnknownNameError
from rankscope.models import (
    Placement,
    describe_model,
    load_model,
    parse_model_reference,
    pico_architectures,
    pico_checkpoints,
    pico_family,
    pico_sizes,
    untrained_twin,
)
from rankscope.models.pico import FAMILY, WITH_CHECKPOINTS, pico_folder
from rankscope.models.trial import examine

EVERY = [model.name for model in pico_family()]


def test_four_sizes_and_a_trajectory_from_step_0() -> None:
    assert pico_sizes() == ("pico-0.1m", "pico-0.4m", "pico-1m", "pico-3m")
    checkpoints = pico_checkpoints()
    assert [model.name for model in checkpoints[:2]] == ["pico@step-0", "pico@step-128"]
    assert [model.name for model in checkpoints[-2:]] == ["pico", "pico@overfit"]
    steps = [model.step for model in checkpoints]
    assert steps == [0, 128, 256, 512, 1024, 2048, steps[-1]]
    assert steps[-1] > 2048


def test_architectures_of_one_size_width_and_training() -> None:
    members = {model.name: model for model in pico_family() if model.name in pico_architectures()}
    assert {model.architecture for model in members.values()} == {"gpt_neox", "llama", "mixtral", "minimax", "mamba2"}
    assert {model.architecture for model in pico_family() if model.name in pico_sizes()} == {"gpt_neox"}
    counts = [model.parameters for model in members.values()]
    assert max(counts) <= 1.03 * min(counts)
    assert {(model.hidden_size, model.step, model.tokens) for model in members.values()} == {(80, 2048, 4_194_304)}
    for name in members:
        steps = [model.step for model in pico_checkpoints(name)]
        assert {128, 512, 2048} <= set(steps)
        assert steps == sorted(steps)


@pytest.mark.parametrize("name", pico_architectures())
def test_all_layers_of_every_architecture_can_be_read_padded_and_apart_from_the_head(name: str) -> None:
    network = examine(load_model(describe_model(parse_model_reference(name)), Placement()))
    assert network.causal
    assert network.body is not None
    assert (network.fault, network.padding_fault) == (None, None)
    assert len(network.blocks) == next(model.layers for model in pico_family() if model.name == name)


def test_validation_loss_falls_with_size_and_training_and_rises_when_overfitted() -> None:
    losses = {model.name: model.validation_loss for model in pico_family()}
    sizes = [losses[name] for name in pico_sizes()]
    assert sizes == sorted(sizes, reverse=True)
    *along, overfitted = [model.validation_loss for model in pico_checkpoints()]
    assert along == sorted(along, reverse=True)
    assert overfitted > along[-1] + 0.1
    assert along[0] == pytest.approx(math.log(2048), abs=0.1)  # untrained: a uniform guess


@pytest.mark.parametrize("name", EVERY)
def test_the_weights_are_what_the_list_says(name: str) -> None:
    (entry,) = (model for model in pico_family() if model.name == name)
    description = describe_model(parse_model_reference(name))
    model = load_model(description, Placement())
    assert model.num_parameters() == entry.parameters
    assert description.config.hidden_size == entry.hidden_size
    assert model.dtype is torch.float32
    ids = description.tokenizer("Once upon a time there was a little dog.", return_tensors="pt").input_ids
    loss = float(model(ids, labels=ids).loss.detach())
    assert loss == pytest.approx(math.log(2048), abs=0.3) if entry.step == 0 else loss < 6


def test_step_0_is_the_untrained_twin() -> None:
    description = describe_model(parse_model_reference("pico@step-0"))
    twin, start = untrained_twin(description, 0, Placement()), load_model(description, Placement())
    for one, other in zip(twin.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=2**-10, atol=1e-7)  # stored in float16


def test_pico_is_short_for_the_one_with_checkpoints() -> None:
    assert pico_folder("pico") == FAMILY / WITH_CHECKPOINTS
    assert pico_folder("pico@step-128") == pico_folder(f"{WITH_CHECKPOINTS}@step-128")
    assert pico_folder("facebook/opt-125m") is None
    with pytest.raises(UnknownNameError, match="did you mean .*pico@step-128"):
        parse_model_reference("pico@step-129")
    with pytest.raises(UnknownNameError, match="did you mean"):
        parse_model_reference("pico-2m")


def test_the_log_of_losses_lies_beside_the_weights() -> None:
    for name in (*pico_sizes(), *pico_architectures(), f"{WITH_CHECKPOINTS}@overfit"):
        lines = [json.loads(line) for line in (FAMILY / name / "log.jsonl").read_text().splitlines()]
        steps = [line["step"] for line in lines]
        assert steps == sorted(set(steps))
        (entry,) = (model for model in pico_family() if model.name == name)
        assert lines[-1]["validation_loss"] == entry.validation_loss


def test_the_family_fits_in_its_room_and_loads_without_network_code() -> None:
    files = [file for file in FAMILY.rglob("*") if file.is_file()]
    of_architectures = [file for file in files if file.parent.name.partition("@")[0] in set(pico_architectures())]
    added = [file for file in of_architectures if not file.parent.name.startswith(WITH_CHECKPOINTS)]
    assert sum(file.stat().st_size for file in files if file not in added) <= 14e6
    assert sum(len(zlib.compress(file.read_bytes())) for file in added) <= 4e6  # rounded, for the archive's sake
    assert {file.suffix for file in files} == {".json", ".jsonl", ".safetensors"}
    assert AutoModelForCausalLM.from_pretrained(FAMILY / "pico-0.1m").config.model_type == "gpt_neox"
