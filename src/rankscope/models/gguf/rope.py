"""Rotary position embeddings of a GGUF file, in transformers' terms.

llama.cpp uses `rope.scaling.*` and the tensors `rope_freqs`, `rope_factors_long` and `rope_factors_short`
(src/llama-model.cpp, ggml's `rope_yarn`); transformers' reader ignores all of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rankscope.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankscope.models.gguf.header import GgufHeader

BASE = 10000.0
"""llama.cpp's frequency base if a file states none."""
_YARN = {"rope.scaling.yarn_beta_fast": "beta_fast", "rope.scaling.yarn_beta_slow": "beta_slow"}
# Neutral values of entries that transformers has no name for.
_NEUTRAL: dict[str, tuple[float, ...]] = {
    "rope.scaling.yarn_ext_factor": (1.0, -1.0),
    "rope.scaling.yarn_attn_factor": (1.0, -1.0),
    "rope.scaling.yarn_log_multiplier": (0.0,),
    "rope.scaling.alpha": (0.0, 1.0),
}


def rope_scaling(header: GgufHeader, settings: Mapping[str, Any], positions: int) -> dict[str, Any]:
    """The scaling of rotary frequencies, as entries of transformers' `rope_parameters`.

    Args:
        header: of the file, for the tensors of factors.
        settings: the file's metadata without the architecture's name.
        positions: maximum length, for scaling types that need the length before scaling.

    Raises:
        ModelError: a scaling that transformers cannot express, or an invalid value.
    """
    for key, neutral in _NEUTRAL.items():
        if settings.get(key, neutral[0]) not in neutral:
            raise ModelError(f"{header.path} states {key} = {settings[key]!r}, which transformers cannot apply")
    # Older files have one entry and no type; without a type, a factor means linear scaling.
    kind = settings.get("rope.scaling.type", "linear")
    factor = settings.get("rope.scaling.factor", settings.get("rope.scale_linear", 0.0)) or 1.0
    original = settings.get("rope.scaling.original_context_length") or positions
    stretch = settings.get("rope.scaling.attn_factor", 1.0)
    for name, value in (("factor", factor), ("original_context_length", original), ("attn_factor", stretch)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ModelError(f"{header.path} states rope.scaling.{name} = {value!r}: expected a positive number")
    if kind == "longrope":
        return _longrope(header, original, stretch)
    if kind not in ("none", "linear", "yarn"):
        raise ModelError(
            f"{header.path} states rope.scaling.type = {kind!r}: only none, linear, yarn and longrope are supported"
        )
    if header.tensor("rope_freqs.weight") is not None:
        return _divided(header, settings, factor if kind == "linear" else 1.0, positions)
    if kind == "yarn" and factor != 1.0:
        # ggml multiplies the file's factor by 0.1 ln(factor) + 1, transformers expects the product.
        found = {"rope_type": "yarn", "factor": float(factor), "original_max_position_embeddings": int(original)}
        attention = float(stretch * (0.1 * math.log(factor) + 1.0))
        betas = {name: float(settings[key]) for key, name in _YARN.items() if key in settings}
        return found | {"attention_factor": attention} | betas
    if stretch != 1.0:
        raise ModelError(f"{header.path} states rope.scaling.attn_factor = {stretch!r} with scaling of type {kind}")
    if kind == "linear" and factor != 1.0:
        return {"rope_type": "linear", "factor": float(factor)}
    return {"rope_type": "default"}


def _longrope(header: GgufHeader, original: float, stretch: float) -> dict[str, Any]:
    short, long = header.tensor("rope_factors_short.weight"), header.tensor("rope_factors_long.weight")
    if short is None or long is None:
        raise ModelError(f"{header.path} states longrope scaling, but lacks its tensors rope_factors_short and _long")
    return {
        "rope_type": "longrope",
        "short_factor": short.floats(),
        "long_factor": long.floats(),
        "original_max_position_embeddings": int(original),
        "attention_factor": float(stretch),
    }


def _divided(header: GgufHeader, settings: Mapping[str, Any], factor: float, positions: int) -> dict[str, Any]:
    """Individually divided frequencies: in transformers, longrope with equal long and short factors."""
    tensor = header.tensor("rope_freqs.weight")
    assert tensor is not None  # noqa: S101
    factors = [number * factor for number in tensor.floats()]
    if settings.get("rope.scaling.type") == "yarn" or not all(0 < number < math.inf for number in factors):
        raise ModelError(
            f"{header.path} has a tensor rope_freqs that cannot be applied: it is combined with yarn scaling, "
            "or has factors that are not positive"
        )
    if all(number == 1.0 for number in factors):
        return {"rope_type": "default"}
    return {
        "rope_type": "longrope",
        "short_factor": factors,
        "long_factor": factors,
        "original_max_position_embeddings": positions,
        "attention_factor": 1.0,
        "factor": 1.0,
    }
