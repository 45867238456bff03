"""Baselines for a trained model: untrained twins and their alternatives."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from rankscope.errors import ModelError
from rankscope.models.architectures import auto_class_of
from rankscope.models.loading import as_model_error, load_model
from rankscope.models.outline import unquantized
from rankscope.models.placement import Placement, place

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from rankscope.models.loading import ModelDescription


def untrained_twin(
    description: ModelDescription, seed: int, placement: Placement, *, train_mode: bool = False
) -> PreTrainedModel:
    """A model with the same configuration and random weights; no weights are read for it.

    Equal to `torch.manual_seed(seed); AutoModelForCausalLM.from_config(config)` in float32, then
    cast to the placement's dtype: a seed gives the same network in every dtype.

    Args:
        description: whose configuration is used, except for its dtype and quantization.
        seed: of torch's generator, which is restored afterwards.
        placement: dtype and device.
        train_mode: keep dropout active, as in the published Diff-eRank script.
    """
    placement = placement.of(description.config)
    config = unquantized(description.config)
    with torch.random.fork_rng(), as_model_error(description.reference, "configuration"):
        torch.manual_seed(seed)
        model = auto_class_of(config).from_config(
            config, dtype=torch.float32, trust_remote_code=description.trust_remote_code
        )
    return place(model.to(placement.torch_dtype).train(train_mode), placement)


def permuted_twin(description: ModelDescription, seed: int, placement: Placement) -> PreTrainedModel:
    """The trained model with each weight tensor's values shuffled: the same scale, no structure.

    Each tensor is shuffled by its own generator, seeded by the seed and the tensor's name, so that the result
    does not depend on the order of tensors. Tied weights stay tied. In eval mode.
    """
    placement = placement.of(description.config)
    model = load_model(description, Placement(placement.dtype, "cpu"))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
            order = torch.randperm(weight.numel(), generator=generator)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return place(model, placement)


def check_same_shape(model: ModelDescription, baseline: ModelDescription) -> None:
    """Checks that a checkpoint used in place of the untrained twin has the same architecture.

    Raises:
        ModelError: another model type, hidden size or number of blocks.
    """
    for name in ("model_type", "hidden_size", "num_hidden_layers", "vocab_size"):
        ours, theirs = _config_value(model.config, name), _config_value(baseline.config, name)
        if ours != theirs:
            raise ModelError(
                f"{baseline.reference.text} cannot replace the untrained twin of {model.reference.text}: "
                f"its {name} is {theirs}, not {ours}"
            )


def _config_value(config: PretrainedConfig, name: str) -> object:
    return getattr(config.get_text_config(), name, None)
