"""The transformers auto class for a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rankscope.errors import ModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def auto_class_of(config: PretrainedConfig) -> Any:
    """`AutoModelForCausalLM`, or `AutoModelForImageTextToText` for a vision-language model read on text alone.

    Raises:
        ModelError: a model of another kind; the message names it.
    """
    import transformers
    from transformers.models.auto import modeling_auto

    kind = type(config)
    code = getattr(config, "auto_map", None) or {}
    if "AutoModelForCausalLM" in code or kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM
    if "AutoModelForImageTextToText" in code or kind in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return transformers.AutoModelForImageTextToText
    others = {
        "an encoder-decoder": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        "an encoder": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING,
        "a speech recogniser": modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING,
    }
    what = next((name for name, mapping in others.items() if kind in mapping), "not a language model")
    raise ModelError(
        f"{config.model_type} is {what}: rankscope evaluates models that predict the next token "
        "(transformers' AutoModelForCausalLM), and vision-language models on text alone"
    )
