"""Which networks are read as language models."""

from __future__ import annotations

import pytest
import transformers
from transformers import CONFIG_MAPPING

from rankscope.errors import ModelError
from rankscope.models.architectures import auto_class_of


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "bart", "bert", "gemma3"])
def test_causal_language_models(model_type: str) -> None:
    assert auto_class_of(CONFIG_MAPPING[model_type]()) is transformers.AutoModelForCausalLM


@pytest.mark.parametrize("model_type", ["llava", "qwen2_vl", "idefics3"])
def test_vision_language_models_are_read_on_text(model_type: str) -> None:
    assert auto_class_of(CONFIG_MAPPING[model_type]()) is transformers.AutoModelForImageTextToText


@pytest.mark.parametrize(
    ("model_type", "what"),
    [
        ("t5", "an encoder-decoder"),
        ("distilbert", "an encoder"),
        ("vit", "not a language model"),
        ("clip", "not a language"),
    ],
)
def test_other_models_are_refused_by_kind(model_type: str, what: str) -> None:
    with pytest.raises(ModelError, match=f"{model_type} is {what}"):
        auto_class_of(CONFIG_MAPPING[model_type]())
