from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from rankscope.errors import MissingExtraError, ModelError
from rankscope.models import (
    Placement,
    describe_model,
    load_model,
    parse_model_reference,
    permuted_twin,
    untrained_twin,
    weight_files,
)
from tiny import save_tiny, tiny_model

IDS = torch.arange(20)[None]
LORA = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
SAVED = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], init_lora_weights=False)
DORA = LoraConfig(r=4, use_dora=True, target_modules=["v_proj"], init_lora_weights=False)
IA3 = IA3Config(target_modules=["q_proj", "down_proj"], feedforward_modules=["down_proj"], init_ia3_weights=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "base")


def save_adapter(base: Path, folder: Path, settings: Any) -> torch.Tensor:
    """An adapter with weights of its own, and the logits of the base with it."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "modules_to_save" in name:
                    parameter.add_(0.1)
            logits = model(IDS).logits if settings.peft_type not in ("PROMPT_TUNING", "PREFIX_TUNING") else IDS
        model.save_pretrained(folder)
    return logits


def load(text: object) -> torch.nn.Module:
    return load_model(describe_model(parse_model_reference(str(text))), Placement())


@pytest.mark.parametrize("settings", [LORA, SAVED, DORA, IA3], ids=["lora", "saved", "dora", "ia3"])
def test_an_adapter_is_in_the_weights(base: Path, tmp_path: Path, settings: Any) -> None:
    expected = save_adapter(base, tmp_path / "adapter", settings)
    assert not torch.allclose(expected, tiny_model("llama")(IDS).logits, atol=1e-2)
    names = [name for name, _ in load(base).named_parameters()]
    for text in (f"{base}+{tmp_path / 'adapter'}", tmp_path / "adapter"):
        model = load(text)
        assert [name for name, _ in model.named_parameters()] == names
        with torch.no_grad():
            torch.testing.assert_close(model(IDS).logits, expected, atol=1e-5, rtol=1e-5)


def test_references_with_adapters(base: Path, tmp_path: Path) -> None:
    save_adapter(base, tmp_path / "adapter", LORA)
    both = parse_model_reference(f"{base}+{tmp_path / 'adapter'}")
    assert (both.location, both.label) == (str(base), "base+adapter")
    assert [file.name for file in weight_files(both)] == [
        "model.safetensors", "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    alone = parse_model_reference(str(tmp_path / "adapter"))
    assert (alone.location, alone.label) == (str(base), "adapter")
    assert weight_files(alone) == weight_files(both)
    checkpoint = tmp_path / "run" / "checkpoint-5"
    shutil.copytree(tmp_path / "adapter", checkpoint)
    assert parse_model_reference(f"{base}+{tmp_path / 'run'}@checkpoint-5").adapter is not None
    assert parse_model_reference(f"{tmp_path / 'run'}@checkpoint-5").location == str(base)
    assert parse_model_reference(f"pico-0.4m+{tmp_path / 'adapter'}").label == "pico-0.4m+adapter"
    hub = parse_model_reference("owner/base@v1+owner/adapter@v2")
    assert hub.adapter is not None
    assert (hub.location, hub.revision, hub.adapter.location, hub.adapter.revision) == (
        "owner/base", "v1", "owner/adapter", "v2",
    )  # fmt: skip
    assert hub.label == "owner/base@v1+owner/adapter@v2"


def test_a_folder_whose_name_has_a_plus(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "a+b")
    assert parse_model_reference(str(tmp_path / "a+b")).adapter is None
    save_adapter(base, tmp_path / "c+d", LORA)
    found = parse_model_reference(f"{tmp_path / 'a+b'}+{tmp_path / 'c+d'}")
    assert found.adapter is not None
    assert (found.location, found.adapter.location) == (str(tmp_path / "a+b"), str(tmp_path / "c+d"))


def test_a_base_beside_its_adapter(base: Path, tmp_path: Path) -> None:
    save_adapter(base, tmp_path / "adapter", LORA)
    shutil.copytree(base, tmp_path / "adapter" / "inner")
    rename_base(tmp_path / "adapter", "inner")
    assert parse_model_reference(str(tmp_path / "adapter")).location == str(tmp_path / "adapter" / "inner")
    rename_base(tmp_path / "adapter", "owner/name")
    assert parse_model_reference(str(tmp_path / "adapter")).location == "owner/name"
    rename_base(tmp_path / "adapter", "/nowhere/at/all")
    with pytest.raises(ModelError, match=r"the base '/nowhere/at/all' of the adapter .* was not found: give its"):
        parse_model_reference(str(tmp_path / "adapter"))
    rename_base(tmp_path / "adapter", None)
    with pytest.raises(ModelError, match="does not name its base"):
        parse_model_reference(str(tmp_path / "adapter"))


def rename_base(adapter: Path, base: str | None) -> None:
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": base}))


def test_twins_are_of_the_base_or_of_the_merged_weights(base: Path, tmp_path: Path) -> None:
    save_adapter(base, tmp_path / "adapter", LORA)
    with_adapter = describe_model(parse_model_reference(f"{base}+{tmp_path / 'adapter'}"))
    alone = describe_model(parse_model_reference(str(base)))
    for ours, theirs in zip(
        untrained_twin(with_adapter, 0, Placement()).parameters(),
        untrained_twin(alone, 0, Placement()).parameters(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    merged = dict(load(f"{base}+{tmp_path / 'adapter'}").named_parameters())
    for name, weight in permuted_twin(with_adapter, 0, Placement()).named_parameters():
        assert torch.equal(weight.flatten().sort().values, merged[name].flatten().sort().values)


@pytest.mark.parametrize("settings", [PromptTuningConfig, PrefixTuningConfig])
def test_adapters_that_are_no_change_of_weights(base: Path, tmp_path: Path, settings: Any) -> None:
    save_adapter(base, tmp_path / "adapter", settings(task_type="CAUSAL_LM", num_virtual_tokens=4))
    with pytest.raises(ModelError, match=r"adapter of type P\w+_TUNING, which cannot be merged"):
        parse_model_reference(str(tmp_path / "adapter"))


def test_full_weights_and_an_adapter_in_one_folder(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "both")
    save_adapter(base, tmp_path / "both", LORA)
    with pytest.raises(ModelError, match=r"has both full weights \(model.safetensors\) and an adapter"):
        parse_model_reference(str(tmp_path / "both"))


def test_adapters_that_do_not_fit(base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    save_adapter(base, adapter, LORA)
    weights = load_file(adapter / "adapter_model.safetensors")
    extra = {"base_model.model.model.layers.9.mlp.up_proj.lora_A.weight": torch.ones(4, 32)}
    save_file(weights | extra, adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"has 1 weight .*layers.9.* that do not fit the base"):
        load(adapter)
    first = sorted(weights)[0]
    save_file(
        {name: weight for name, weight in weights.items() if name != first}, adapter / "adapter_model.safetensors"
    )
    with pytest.raises(ModelError, match=r"lacks 1 weight .* that its settings require"):
        load(adapter)
    other = save_tiny(tmp_path / "gpt2", "gpt2")
    with pytest.raises(ModelError, match="cannot load the adapter"):
        load(f"{other}+{adapter}")
    (adapter / "adapter_model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        load(adapter)
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="neither adapter_model.safetensors nor adapter_model.bin"):
        load(adapter)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", "[" * 100_000])
def test_damaged_settings(base: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(ModelError, match="is damaged: expected JSON with a peft_type"):
        parse_model_reference(f"{base}+{tmp_path}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{base}+{base}", "is not a PEFT adapter"),
        ("{base}+{adapter}+{adapter}", "already has an adapter"),
        ("{base}+./nowhere", "an adapter must be a folder with adapter_config.json or a hub id, got './nowhere'"),
    ],
)
def test_what_is_no_adapter(base: Path, tmp_path: Path, text: str, message: str) -> None:
    save_adapter(base, tmp_path / "adapter", LORA)
    with pytest.raises(ModelError, match=message):
        parse_model_reference(text.format(base=base, adapter=tmp_path / "adapter"))


def test_without_peft(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_adapter(base, tmp_path / "adapter", LORA)
    monkeypatch.setattr("rankscope.models.adapters.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankscope\[peft\]'"):
        load(tmp_path / "adapter")
