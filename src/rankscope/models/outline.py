"""The outline of a network: all modules and shapes, without data."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from rankscope.models.architectures import auto_class_of
from rankscope.models.loading import as_model_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PretrainedConfig, PreTrainedModel

    from rankscope.models.loading import ModelDescription


def outline_of(description: ModelDescription) -> PreTrainedModel:
    """The causal language model of a configuration on torch's meta device: fast to build, whatever its size.

    Raises:
        ModelError: the configuration does not define a network.
    """
    config = unquantized(description.config)
    with (
        torch.random.fork_rng(devices=[]),
        torch.device("meta"),
        as_model_error(description.reference, "configuration"),
    ):
        model: PreTrainedModel = auto_class_of(config).from_config(
            config, dtype=torch.float32, trust_remote_code=description.trust_remote_code
        )
    return model


def unquantized(config: PretrainedConfig) -> PretrainedConfig:
    """A copy of a configuration with unquantised weights."""
    plain = copy.deepcopy(config)
    if hasattr(plain, "quantization_config"):
        del plain.quantization_config
    return plain


def language_sections(config: PretrainedConfig) -> dict[str, PretrainedConfig]:
    """The parts of a configuration that define the language model, by key: the whole as "", its text part."""
    text = config.get_text_config()
    parts = {key: getattr(config, key, None) for key in getattr(config, "sub_configs", {})}
    return {"": config} | {key: part for key, part in parts.items() if part is text}


def language_modules(model: PreTrainedModel) -> Iterator[tuple[nn.Module, PreTrainedModel]]:
    """The modules of the language model, each with the pretrained model whose code initialises it.

    Inner modules come before those that contain them. Other networks inside the model, such as a vision tower, are
    excluded.
    """
    from transformers import PreTrainedModel as Pretrained

    kinds = {type(part) for part in language_sections(model.config).values()}

    def inside(module: nn.Module, owner: PreTrainedModel) -> Iterator[tuple[nn.Module, PreTrainedModel]]:
        for child in module.children():
            is_model = isinstance(child, Pretrained)
            if not is_model or type(child.config) in kinds:
                yield from inside(child, child if is_model else owner)
        yield module, owner

    return inside(model, model)
