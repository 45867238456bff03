"""Low-rank weight updates (LoRA, arXiv 2106.09685), added to the base weights."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from rankscope.errors import ModelError

_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight")


def is_low_rank(name: str) -> bool:
    """Whether a tensor with this name is a factor of a low-rank update."""
    return _FACTOR.fullmatch(name) is not None


def add_low_rank(model: nn.Module, factors: Mapping[str, Tensor], alpha: float, prefix: str = "") -> None:
    """Adds alpha / r * B A to the weight of each module that has factors A (r, in) and B (out, r).

    Args:
        model: whose weights are changed in place.
        factors: tensors named `<prefix><module>.lora_A.weight` and `lora_B`, as in peft.
        alpha: the scale that they were trained with.
        prefix: before the module's path.

    Raises:
        ModelError: a factor without its counterpart or module, or of the wrong shape.
    """
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, tensor in factors.items():
        if match := _FACTOR.fullmatch(name.removeprefix(prefix)):
            pairs.setdefault(match["module"], {})[match["side"]] = tensor
    for path, pair in pairs.items():
        if set(pair) != {"A", "B"}:
            raise ModelError(f"the low-rank update of {path} has only factor {''.join(pair)}: expected A and B")
        weight = getattr(dict(model.named_modules()).get(path), "weight", None)
        rank = pair["A"].shape[0]
        if weight is None or weight.shape != (pair["B"].shape[0], pair["A"].shape[1]) or pair["B"].shape[1] != rank:
            shapes = " x ".join(str(tuple(pair[side].shape)) for side in "BA")
            there = "no such module" if weight is None else f"a weight of {tuple(weight.shape)}"
            raise ModelError(f"a low-rank update of {path}, {shapes}, does not fit the model, which has {there}")
        change = pair["B"].to(weight).double() @ pair["A"].to(weight).double() * (alpha / rank)
        weight.data += change.to(weight)
