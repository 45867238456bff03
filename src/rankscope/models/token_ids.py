"""Whether all ids from a tokenizer have a row in the embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankscope.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check_token_ids(name: str, largest: int, model: PreTrainedModel) -> None:
    """Checks the largest token id of a plan before the first forward pass.

    Raises:
        ModelError: the id has no row in the embedding.
    """
    rows = embedding_rows(model)
    if rows is not None and largest >= rows:
        raise ModelError(
            f"{name}: tokenizer and embedding do not match: the texts have token ids up to {largest}, "
            f"the embedding has {rows} rows (ids 0 to {rows - 1}); use the tokenizer that the model was trained with"
        )


def embedding_rows(model: PreTrainedModel) -> int | None:
    """The number of rows of a model's embedding; from the configuration if the embedding is not accessible."""
    weight = getattr(_embedding(model), "weight", None)
    if weight is not None and weight.dim() == 2:
        return int(weight.shape[0])
    size = getattr(model.config.get_text_config(), "vocab_size", None)
    return size if isinstance(size, int) else None


def _embedding(model: PreTrainedModel) -> object:
    try:
        return model.get_input_embeddings()
    except NotImplementedError:  # custom modelling code need not provide it
        return None
