"""Maximum text length: the positions for which a network has embeddings or frequencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions", "model_max_length")
# The first token's position comes after that of padding, so this many rows of the table are unused (RoBERTa etc.).
_AFTER_PADDING = (
    "camembert",
    "data2vec-text",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)


def positions_of(config: PretrainedConfig) -> int | None:
    """The number of tokens that a model can read at once; None if its configuration sets no limit."""
    text_config = config.get_text_config(decoder=True)
    named = (getattr(text_config, name, None) for name in _NAMES)
    limit = next((value for value in named if isinstance(value, int) and value > 0), None)
    if limit is None or text_config.model_type not in _AFTER_PADDING:
        return limit
    padding = getattr(text_config, "pad_token_id", None)
    return limit - 1 - (padding if isinstance(padding, int) else 0)


def regimes_of(config: PretrainedConfig) -> tuple[int, ...]:
    """Lengths at which rotary frequencies change: LongRoPE's short factors apply up to the original length."""
    text_config = config.get_text_config()
    parameters = getattr(text_config, "rope_parameters", None) or {}
    nested = [value for value in parameters.values() if isinstance(value, dict)] or [parameters]
    lengths = set()
    for rope in nested:
        if rope.get("rope_type") == "longrope":
            lengths.add(rope.get("original_max_position_embeddings") or text_config.max_position_embeddings)
        if rope.get("rope_type") == "dynamic":
            lengths.add(text_config.max_position_embeddings)
    return tuple(sorted(length for length in lengths if isinstance(length, int)))
