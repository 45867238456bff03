"""A model's inputs: the image alone, the text alone, and both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rankscope.errors import RankscopeError

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedTokenizerBase

    from rankscope.models.vision_language.families import Family, Parts, Tensors


_LONGEST_REASON = 100


class UnusablePairError(RankscopeError):
    """A pair that this model cannot read; the message is the short reason recorded for skipped pairs."""


@dataclass(frozen=True)
class EncodedText:
    """A text as token ids.

    Attributes:
        leading: the tokenizer's special tokens before the text.
        ids: the other token ids.
        response: number of ids that belong to the response or come after it.
    """

    leading: list[int]
    ids: list[int]
    response: int


@dataclass(frozen=True)
class ModelInput:
    """One sequence.

    Attributes:
        ids: token ids, including image tokens, (tokens,).
        image: whether a position holds a token of the image, (tokens,).
        after_image: whether a position comes after the image's last, (tokens,); all if there is no image.
        response: number of positions at the end that belong to the response and have a predecessor.
        tensors: the image's.
    """

    ids: Tensor
    image: Tensor
    after_image: Tensor
    response: int
    tensors: Tensors = field(default_factory=dict)


def encode_text(tokenizer: PreTrainedTokenizerBase, instruction: str, response: str, longest: int) -> EncodedText:
    """Tokenizes instruction, a line feed and response with the tokenizer's own special tokens.

    If one of the two is empty, the text is the other one. Texts of more than `longest` tokens are truncated.
    """
    before = f"{instruction}\n" if instruction and response else instruction
    encoded = tokenizer(before + response, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    leading = [*encoded["special_tokens_mask"], 0].index(0)
    ids = encoded["input_ids"][leading:longest]
    # A token that spans the boundary counts as the instruction's.
    begun = [start >= len(before) and end > start for start, end in encoded["offset_mapping"][leading:longest]]
    response_starts = begun.index(True) if any(begun) else len(ids)
    return EncodedText(encoded["input_ids"][:leading], ids, len(ids) - response_starts)


def text_input(text: EncodedText) -> ModelInput:
    """The text alone."""
    return _model_input([text.leading, text.ids], None, text.response)


def image_input(family: Family, parts: Parts, image: Image, leading: list[int]) -> ModelInput:
    """The image alone, with the tokenizer's leading special tokens and the family's markers.

    Raises:
        UnusablePairError: the image processor refuses it, for example because it is 300 times as wide as high.
    """
    try:
        ids, tensors = family.prepare(parts, image)
    except (ValueError, ZeroDivisionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UnusablePairError(f"image refused by the image processor: {reason[:_LONGEST_REASON]}") from error
    pieces = [ids, leading] if family.image_first else [leading, ids]
    return _model_input(pieces, parts.config.image_token_id, 0, tensors)


def with_text(image: ModelInput, text: EncodedText, image_token_id: int) -> ModelInput:
    """The image, then the text.

    Raises:
        UnusablePairError: the text contains the image token.
    """
    if image_token_id in text.ids:
        raise UnusablePairError("the text holds the image token")
    return _model_input([image.ids.tolist(), text.ids], image_token_id, text.response, image.tensors)


def _model_input(
    pieces: Sequence[list[int]], image_token_id: int | None, response: int, tensors: Tensors | None = None
) -> ModelInput:
    ids = torch.tensor([token for piece in pieces for token in piece], dtype=torch.int64)
    image = torch.zeros_like(ids, dtype=torch.bool) if image_token_id is None else ids == image_token_id
    places = image.nonzero()
    last = int(places[-1]) if len(places) else -1
    response = min(response, max(len(ids) - 1, 0))  # the first token has no predecessor
    return ModelInput(ids, image, torch.arange(len(ids)) > last, response, tensors or {})
