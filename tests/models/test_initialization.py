"""Which numbers initialisation reads, where they come from, and that the twin is drawn with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from rankscope.errors import ModelError, SettingsError
from rankscope.models import (
    ModelDescription,
    Placement,
    describe_model,
    outline_of,
    parse_model_reference,
    untrained_twin,
)
from rankscope.models.initialization import assumed_initializer, borrowed_initializer, initializer_of
from tiny import VOCABULARY, save_tiny, tiny_tokenizer
from tiny_gguf import gguf_config, save_gguf

MAMBA = {
    "initializer_range": 0.1, "time_step_scale": 1.0, "time_step_init_scheme": "random", "time_step_max": 0.1,
    "time_step_min": 0.001, "time_step_floor": 0.0001, "rescale_prenorm_residual": False,
}  # fmt: skip


def described(path: Path | str) -> ModelDescription:
    return describe_model(parse_model_reference(str(path)))


def folder_of(path: Path, model_type: str, **keys: Any) -> ModelDescription:
    """A folder with a configuration that holds these keys, and a tokenizer."""
    CONFIG_MAPPING[model_type](vocab_size=VOCABULARY, **keys).save_pretrained(path)
    tiny_tokenizer().save_pretrained(path)
    return described(path)


def without(path: Path, *keys: str) -> ModelDescription:
    """The same folder as a converter would write it that leaves keys out."""
    file = path / "config.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in written.items() if key not in keys}))
    return described(path)


@pytest.mark.parametrize(
    ("model_type", "sizes", "values"),
    [
        ("llama", {"hidden_size": 32, "num_hidden_layers": 1, "initializer_range": 0.03}, {"initializer_range": 0.03}),
        ("gpt2", {"n_embd": 24, "n_layer": 1, "initializer_range": 0.03}, {"initializer_range": 0.03}),
        ("opt", {"hidden_size": 24, "num_hidden_layers": 1, "init_std": 0.006}, {"init_std": 0.006}),
        ("mamba", {"hidden_size": 32, "num_hidden_layers": 1}, MAMBA),
        ("xlm", {"emb_dim": 32, "n_layers": 1, "init_std": 1.0, "embed_init_std": 0.5},
         {"init_std": 1.0, "embed_init_std": 0.5, "sinusoidal_embeddings": False}),
    ],
)  # fmt: skip
def test_what_initialisation_reads(model_type: str, sizes: dict, values: dict, tmp_path: Path) -> None:
    model = folder_of(tmp_path, model_type, **sizes)
    found = initializer_of(model, outline_of(model))
    assert (found.values, found.source) == (values, "configuration")
    assert found.range == next(iter(values.values()))
    assert found.config is model.config


def test_a_key_that_a_converter_left_out_is_the_librarys(tmp_path: Path) -> None:
    folder_of(tmp_path, "llama", hidden_size=32, num_hidden_layers=1, initializer_range=0.3)
    model = without(tmp_path, "initializer_range")
    found = initializer_of(model, outline_of(model))
    assert (found.range, found.source) == (0.02, "library default")


def test_any_missing_key_makes_it_the_librarys(tmp_path: Path) -> None:
    folder_of(tmp_path, "mamba", hidden_size=32, num_hidden_layers=1)
    model = without(tmp_path, "time_step_max")
    assert initializer_of(model, outline_of(model)).source == "library default"


def test_zero_means_the_librarys_range(tmp_path: Path) -> None:
    """transformers draws with `initializer_range or 0.02`."""
    model = folder_of(tmp_path, "llama", hidden_size=32, num_hidden_layers=1, initializer_range=0.0)
    found = initializer_of(model, outline_of(model))
    assert (found.range, found.source) == (0.02, "library default")
    weight = untrained_twin(model, 0, Placement()).model.embed_tokens.weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_the_text_part_of_a_composite_counts(tmp_path: Path) -> None:
    text = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 48, "num_attention_heads": 2,
            "vocab_size": VOCABULARY, "head_dim": 8, "initializer_range": 0.05}  # fmt: skip
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 24, "num_attention_heads": 2,
              "initializer_range": 0.9}  # fmt: skip
    config = CONFIG_MAPPING["gemma3"](text_config=text, vision_config=vision)
    config.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    model = described(tmp_path)
    found = initializer_of(model, outline_of(model))
    assert (found.values, found.source) == ({"initializer_range": 0.05}, "configuration")
    assumed = assumed_initializer(model, outline_of(model), 0.5)
    assert assumed.config.get_text_config().initializer_range == 0.5
    assert assumed.config.vision_config.initializer_range == 0.9


def test_a_gguf_file_states_nothing_and_borrows_all(tmp_path: Path) -> None:
    folder, file = save_gguf(tmp_path)
    model, original = described(file), described(folder)
    outline = outline_of(model)
    assert not initializer_of(model, outline).is_known
    assert initializer_of(model, outline).range is None
    expected = dict(untrained_twin(original, 3, Placement()).named_parameters())
    for place in (folder, folder / "config.json"):
        found = borrowed_initializer(model, outline, str(place))
        assert (found.range, found.source) == (0.15, f"--config-from {place}")
        twin = untrained_twin(replace(model, config=found.config), 3, Placement())
        assert all(torch.equal(weight, expected[name]) for name, weight in twin.named_parameters())
    assert model.config.initializer_range == 0.02


def test_only_initialisation_is_borrowed(tmp_path: Path) -> None:
    """The twin stays the model's own network, whatever else the other configuration says."""
    _, file = save_gguf(tmp_path)
    gguf_config(rope_parameters={"rope_type": "default", "rope_theta": 5.0}).save_pretrained(tmp_path / "other")
    model = described(file)
    found = borrowed_initializer(model, outline_of(model), str(tmp_path / "other"))
    assert found.config.rope_parameters == model.config.rope_parameters
    assert found.config.initializer_range == 0.15


def test_an_assumed_range_is_what_weights_are_drawn_with(tiny_folder: Path, tmp_path: Path) -> None:
    for model in (described(tiny_folder), described(save_tiny(tmp_path / "opt", "opt"))):
        found = assumed_initializer(model, outline_of(model), 0.3)
        assert (found.range, found.source) == (0.3, "flag")
        twin = untrained_twin(replace(model, config=found.config), 0, Placement())
        assert float(twin.get_input_embeddings().weight.detach().std()) == pytest.approx(0.3, rel=0.05)


def test_a_configuration_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    folder, file = save_gguf(tmp_path)
    model = described(file)
    outline = outline_of(model)
    for changes, message in (
        ({"hidden_size": 64}, "its hidden_size is 64, not 32"),
        ({"num_hidden_layers": 3}, "its num_hidden_layers is 3, not 2"),
        ({"num_key_value_heads": 2}, "its num_key_value_heads is 2, not 4"),
        ({"vocab_size": 301}, "its vocab_size is 301, not 300"),
        ({"mlp_bias": True}, r"its weight model.layers.0.mlp.down_proj.bias is \(32,\), not missing"),
    ):
        gguf_config(**changes).save_pretrained(tmp_path / "other")
        with pytest.raises(SettingsError, match=f"does not fit {file}: {message}"):
            borrowed_initializer(model, outline, str(tmp_path / "other"))
    gguf_config(tie_word_embeddings=True).save_pretrained(tmp_path / "other")
    assert borrowed_initializer(model, outline, str(tmp_path / "other")).range == 0.15
    with pytest.raises(SettingsError, match="its model_type is gpt_neox, not llama"):
        borrowed_initializer(model, outline, "pico")
    with pytest.raises(SettingsError, match="is a GGUF file, which does not say"):
        borrowed_initializer(model, outline, str(file))
    with pytest.raises(ModelError, match="model folder or file not found"):
        borrowed_initializer(model, outline, str(folder / "absent"))
    (tmp_path / "damaged.json").write_text("{")
    with pytest.raises(ModelError, match="cannot load the configuration"):
        borrowed_initializer(model, outline, str(tmp_path / "damaged.json"))


def test_watching_leaves_the_outline_as_it_was(tiny_folder: Path) -> None:
    model = described(tiny_folder)
    outline = outline_of(model)
    initializer_of(model, outline)
    assert all(
        type(module.config).__name__ == "LlamaConfig" for module in outline.modules() if hasattr(module, "config")
    )
    assert all(weight.is_meta for weight in outline.parameters())


def test_an_outline_draws_nothing_from_the_callers_generator(tiny_folder: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    outline_of(described(tiny_folder))
    assert torch.equal(before, torch.get_rng_state())


def test_a_twin_with_its_own_configuration_is_from_config(tiny_folder: Path) -> None:
    model = described(tiny_folder)
    twin = untrained_twin(replace(model, config=initializer_of(model, outline_of(model)).config), 7, Placement())
    torch.manual_seed(7)
    expected = AutoModelForCausalLM.from_config(model.config, dtype=torch.float32)
    assert all(torch.equal(*pair) for pair in zip(twin.parameters(), expected.parameters(), strict=True))
