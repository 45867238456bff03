"""The recipe of the pico family: its table of models is what the package ships, and each of them trains."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

from rankscope.models import Placement, describe_model, parse_model_reference, pico_family, untrained_twin
from rankscope.models.pico import FAMILY

RECIPE = Path(__file__).parents[2] / "recipes" / "pico"
TABLE = tomllib.loads((RECIPE / "pico.toml").read_text())
MEMBERS = [model for model in pico_family() if "@" not in model.name]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pico_{name}", RECIPE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def train() -> ModuleType:
    return script("train")


@pytest.fixture(scope="module")
def shrink() -> ModuleType:
    return script("shrink")


def test_the_table_names_what_the_package_ships() -> None:
    assert set(TABLE["models"]) == {model.name for model in MEMBERS}
    for model in pico_family():
        name, _, stage = model.name.partition("@step-")
        assert not stage or int(stage) in TABLE["models"][name]["checkpoints"]


@pytest.mark.parametrize("model", MEMBERS, ids=lambda model: model.name)
def test_a_model_of_the_table_has_the_shipped_parameters(model: object, train: ModuleType) -> None:
    made = train.make_model(TABLE["models"][model.name], TABLE["data"], seed=0)
    assert made.num_parameters() == model.parameters
    assert made.config.model_type == model.architecture
    stored = load_file(FAMILY / model.name / "model.safetensors")
    buffers = dict(made.named_buffers())
    weights = {name: weight for name, weight in stored.items() if name not in buffers}
    assert sum(weight.numel() for weight in weights.values()) == model.parameters
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    for name in stored.keys() - weights:
        torch.testing.assert_close(stored[name], buffers[name], rtol=0, atol=0)


@pytest.mark.parametrize("model", MEMBERS, ids=lambda model: model.name)
def test_step_0_is_the_untrained_twin_of_seed_0(model: object, train: ModuleType) -> None:
    """Which is why it is stored of one model only."""
    made = train.make_model(TABLE["models"][model.name], TABLE["data"], seed=0)
    twin = untrained_twin(describe_model(parse_model_reference(model.name)), 0, Placement())
    for one, other in zip(made.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("model", MEMBERS[4:], ids=lambda model: model.name)
def test_every_architecture_learns_and_a_stopped_training_goes_on(
    model: object, train: ModuleType, tmp_path: Path
) -> None:
    recipe = TABLE | {"training": TABLE["training"] | {"steps": 8, "batch": 2, "warmup": 2, "validate_every": 4}}
    recipe["training"]["save_every"] = 4
    windows = torch.randint(1, 40, (4, 17), generator=torch.Generator().manual_seed(0))
    whole = train.Trainer(model.name, recipe, tmp_path / "whole")
    whole.run(windows, windows, 8)
    train.Trainer(model.name, recipe, tmp_path / "parts").run(windows, windows, 4)
    parts = train.Trainer(model.name, recipe, tmp_path / "parts")
    assert parts.step == 4
    parts.run(windows, windows, 8)
    assert train.validate(whole.model, windows) < 7  # from ln 2048
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_rounded_weights_are_near_and_on_few_levels(shrink: ModuleType) -> None:
    weight = torch.randn(200, 100, generator=torch.Generator().manual_seed(0)).half()
    once = shrink.rounded(weight, 4)
    spacing = float(torch.diff(once.float().unique()).min())
    assert 0.17 < spacing / float(weight.float().std()) < 0.36  # a power of two near a quarter
    assert float((once - weight).abs().max()) <= spacing / 2 + 1e-3
    assert len(once.unique()) < 50
    for kept in (weight[0], weight.float()):
        assert shrink.rounded(kept, 4) is kept
