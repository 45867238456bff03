from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from rankscope.errors import ModelError, SettingsError
from rankscope.models import (
    Placement,
    describe_model,
    load_model,
    parse_model_reference,
    resolve_device,
    untrained_twin,
)
from rankscope.models.loading import ModelDescription
from tiny import save_tiny, tiny_config, tiny_tokenizer

CPU = Placement()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def describe(folder: Path, **options: bool) -> ModelDescription:
    return describe_model(parse_model_reference(str(folder)), **options)


def test_trained_weights_are_read_and_in_eval_mode(folder: Path) -> None:
    model = load_model(describe(folder), CPU)
    saved = AutoModel.from_pretrained(folder).state_dict()
    assert not model.training
    for name, weight in model.model.state_dict().items():
        assert torch.equal(weight, saved[name])


@pytest.mark.parametrize("train_mode", [False, True])
def test_the_twin_is_from_config_alone(folder: Path, train_mode: bool) -> None:
    description = describe(folder)
    for file in ("model.safetensors",):
        (folder / file).rename(folder / "hidden")
    try:
        twin = untrained_twin(description, 7, CPU, train_mode=train_mode)
    finally:
        (folder / "hidden").rename(folder / "model.safetensors")
    torch.manual_seed(7)
    expected = AutoModel.from_config(description.config, dtype=torch.float32).state_dict()
    assert twin.training is train_mode
    assert twin.dtype is torch.float32
    for name, weight in twin.model.state_dict().items():
        assert torch.equal(weight, expected[name])


def test_the_twins_dtype_is_the_placements_not_the_configurations(folder: Path) -> None:
    description = describe(folder)
    description.config.dtype = torch.bfloat16
    description.config.quantization_config = {"quant_method": "gguf"}
    twin = untrained_twin(description, 0, CPU)
    assert twin.dtype is torch.float32
    half = untrained_twin(description, 0, Placement("bfloat16"))
    assert half.dtype is torch.bfloat16
    for one, other in zip(twin.parameters(), half.parameters(), strict=True):
        assert torch.equal(one.bfloat16(), other)
    assert description.config.quantization_config


def test_the_callers_generator_is_left_alone(folder: Path) -> None:
    description = describe(folder)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    untrained_twin(description, 0, CPU)
    assert torch.equal(torch.rand(4), expected)


def test_a_folder_without_tokenizer(folder: Path, tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    with pytest.raises(ModelError, match="tokenizer"):
        describe(tmp_path)


def test_missing_and_incomplete_weights(folder: Path, tmp_path: Path) -> None:
    tiny_config("llama").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    description = describe(tmp_path)
    with pytest.raises(ModelError, match="cannot load the weights"):
        load_model(description, CPU)
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights .* model.layers.1.mlp.up_proj.weight"):
        load_model(description, CPU)


@pytest.mark.parametrize(
    ("name", "message"),
    [("model.safetensors", "not a complete safetensors file"), ("pytorch_model.bin", "cannot load the weights")],
)
def test_damaged_weights_are_one_line(tmp_path: Path, name: str, message: str) -> None:
    tiny_config("llama").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(b"garbage, more than eight bytes of it")
    with pytest.raises(ModelError, match=message):
        load_model(describe(tmp_path), CPU)


def test_weights_of_another_size_are_named(folder: Path, tmp_path: Path) -> None:
    config = tiny_config("llama")
    config.intermediate_size = 64
    config.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"lacks 9 weights .* model.layers.0.mlp.down_proj.weight"):
        load_model(describe(tmp_path), CPU)


def test_a_configuration_with_a_wrong_value_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt_neox", "hidden_size": "wide"}))
    with pytest.raises(ModelError, match="cannot load the configuration"):
        describe(tmp_path)


def test_an_unknown_architecture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-thing"}))
    with pytest.raises(ModelError, match="cannot load the configuration") as caught:
        describe(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_follows_configuration_and_weights(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert describe(copy).fingerprint == describe(folder).fingerprint
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(weights))
    assert describe(copy).fingerprint != describe(folder).fingerprint


OWN_CODE = '''
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast


class OwnConfig(PretrainedConfig):
    model_type = "own"

    def __init__(self, vocab_size=300, model_dim=16, num_transformer_layers=3, **kwargs):
        self.vocab_size, self.model_dim, self.num_transformer_layers = vocab_size, model_dim, num_transformer_layers
        super().__init__(**kwargs)


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.linear = nn.Linear(size, size)

    def forward(self, hidden):
        return hidden + torch.tanh(self.linear(hidden))


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.token_embeddings = nn.Embedding(config.vocab_size, config.model_dim)
        self.layers = nn.ModuleList(Block(config.model_dim) for _ in range(3))
        self.post_init()

    def get_input_embeddings(self):
        return self.token_embeddings

    def forward(self, input_ids=None, attention_mask=None, use_cache=None, **kwargs):
        hidden = self.token_embeddings(input_ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return BaseModelOutputWithPast(last_hidden_state=hidden)


class OwnForCausalLM(PreTrainedModel):
    """Its head is the embedding matrix itself: there is no module to hook."""

    config_class = OwnConfig
    base_model_prefix = "transformer"

    def __init__(self, config):
        super().__init__(config)
        self.transformer = OwnModel(config)
        self.post_init()

    def get_output_embeddings(self):
        return None

    def get_decoder(self):
        return self.transformer

    def forward(self, input_ids=None, attention_mask=None, use_cache=None, **kwargs):
        hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask)[0]
        return CausalLMOutputWithPast(logits=hidden @ self.transformer.token_embeddings.weight.T)
'''


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with its own modelling code, as OpenELM's: no num_hidden_layers, no head module."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "modelling.py").write_text(OWN_CODE)
    config = {
        "model_type": "own",
        "auto_map": {"AutoConfig": "modelling.OwnConfig", "AutoModelForCausalLM": "modelling.OwnForCausalLM"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_own_code_needs_consent(own_code: Path) -> None:
    with pytest.raises(ModelError, match="allow it with --trust-remote-code"):
        describe(own_code)


def test_own_code_with_consent_is_measured(own_code: Path) -> None:
    from rankscope.models import Batch, examine, forward

    description = describe(own_code, trust_remote_code=True)
    twin = untrained_twin(description, 0, CPU)
    twin.save_pretrained(own_code, safe_serialization=True)
    model = load_model(describe(own_code, trust_remote_code=True), CPU)
    ids = description.tokenizer("Trust is good.").input_ids
    seen: dict[str, torch.Tensor] = {}
    losses = forward(
        examine(model), Batch.of([ids]), ("0", "3", "last"), lambda layer, hidden: seen.update({layer: hidden[0]})
    )
    inputs = torch.tensor([ids])
    logits = model(input_ids=inputs).logits[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1], inputs[0, 1:])
    assert losses is not None
    assert losses.tolist() == [pytest.approx(float(expected.detach()), abs=1e-6)]
    torch.testing.assert_close(seen["3"], seen["last"])
    torch.testing.assert_close(seen["0"], model.transformer.token_embeddings(inputs)[0].detach())


def test_devices() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(SettingsError, match="device 'abacus' is not available"):
        resolve_device("abacus")


def test_a_model_spread_over_devices_gives_the_same_numbers(folder: Path) -> None:
    from rankscope.models import Batch, examine, forward

    results = []
    for device in ("cpu", "spread"):
        model = load_model(describe(folder), Placement("float32", device))
        seen: list[torch.Tensor] = []
        losses = forward(
            examine(model),
            Batch.of([[3, 4, 5, 6]]),
            ("2", "last"),
            lambda _, hidden, to=seen: to.append(hidden[0].cpu()),
        )
        assert losses is not None
        results.append((losses.tolist(), torch.stack(seen)))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-5, rtol=1e-5)
