"""Measuring pairs of an image and a text: from pairs to numbered batches of rows, one row per pair and control."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import torch

from rankscope.errors import LayerError, RankscopeError, RepresentationError, first_line
from rankscope.file_digests import digest_of
from rankscope.measuring.columns import REPRESENTATIONS
from rankscope.metrics import image_reduction_ratio, image_text_alignment, matrix_entropy
from rankscope.models.vision_language import (
    EncodedText,
    ModelInput,
    UnusablePairError,
    encode_text,
    image_input,
    text_input,
    with_text,
)
from rankscope.texts import UnusableImageError, changed_image, open_image

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from rankscope.measuring.columns import Row
    from rankscope.models.vision_language import VisionLanguageModel, VisionLanguageNetwork
    from rankscope.texts import Pair, PairSet

AT_ONCE = 8
"""Pairs in a batch of rows; each pair has its own forward pass."""

_SHUFFLE_SEED = 0
_SKIPS = (UnusableImageError, UnusablePairError, RepresentationError)


@dataclass(frozen=True)
class PairTask:
    """What to measure with one model on one set of pairs.

    Attributes:
        model: the model without its weights.
        pairs: the data set.
        controls: what images are replaced with; the first is `base`.
        max_length: maximum number of tokens of a text.
    """

    model: VisionLanguageModel
    pairs: PairSet
    controls: tuple[str, ...]
    max_length: int

    @property
    def batches(self) -> list[range]:
        """The pairs of each batch, by index."""
        count = len(self.pairs.pairs)
        return [range(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]

    @cached_property
    def partners(self) -> list[int]:
        """For each pair, the pair whose image it gets when images are shuffled."""
        return partners(len(self.pairs.pairs))

    @cached_property
    def tokens_digest(self) -> str:
        """sha256 over the token ids of all texts and the lengths of the responses."""
        encoded = (self.text_of(pair) for pair in self.pairs.pairs)
        return digest_of([[text.leading, text.ids, text.response] for text in encoded])

    def text_of(self, pair: Pair) -> EncodedText:
        """A pair's text as token ids."""
        return encode_text(self.model.parts.tokenizer, pair.instruction, pair.response, self.max_length)

    def image_of(self, index: int, control: str) -> Image:
        """The image of a pair under a control.

        Raises:
            UnusableImageError: the image cannot be used.
        """
        if control == "shuffled":
            return open_image(self.pairs.pairs[self.partners[index]].image)
        return changed_image(open_image(self.pairs.pairs[index].image), control, seed=index)

    def inputs_of(self, index: int, control: str, text: EncodedText) -> tuple[ModelInput, ModelInput]:
        """The model's inputs: the image alone, and image and text.

        Raises:
            UnusableImageError: the image cannot be used.
            UnusablePairError: the model cannot read the two together.
        """
        if not text.ids:
            raise UnusablePairError("no text")
        parts = self.model.parts
        image = image_input(self.model.family, parts, self.image_of(index, control), text.leading)
        both = with_text(image, text, parts.config.image_token_id)
        positions = self.model.language.positions
        if positions is not None and len(both.ids) > positions:
            raise UnusablePairError(f"longer than the model's {positions} positions")
        return image, both


def partners(count: int) -> list[int]:
    """For each pair, the pair whose image it gets when images are shuffled: a different one, if there are several."""
    order = list(range(count))
    random.Random(_SHUFFLE_SEED).shuffle(order)  # noqa: S311 (a control, not a secret)
    following = dict(zip(order, [*order[1:], *order[:1]], strict=True))
    return [following[index] for index in range(count)]


def measure_pairs(
    task: PairTask, network: VisionLanguageNetwork, done: Collection[int] = ()
) -> Iterator[tuple[int, list[Row]]]:
    """Measures pairs, and yields each batch with its number.

    Args:
        task: what to measure.
        network: the model's.
        done: numbers of batches to omit.

    Raises:
        LayerError: non-finite hidden states.
        RankscopeError: the device ran out of memory.
    """
    for number, indices in enumerate(task.batches):
        if number not in done:
            yield number, [row for index in indices for row in _measure_pair(task, index, network)]


def _measure_pair(task: PairTask, index: int, network: VisionLanguageNetwork) -> list[Row]:
    pair = task.pairs.pairs[index]
    row: Row = {"model": task.model.text, "dataset": task.pairs.name, "text_index": index, "text_id": pair.id}
    text = task.text_of(pair)
    # The text alone is the same for all controls.
    alone = cache(lambda: network.watch(text_input(text)))

    def measured(control: str) -> Row:
        image, both = task.inputs_of(index, control, text)
        seen, together = (network.watch(given) for given in (image, both))
        hidden = (seen.after_encoder, seen.after_connector, seen.hidden, alone().hidden, together.hidden)
        return _numbers(hidden) | {"loss": together.loss, "status": "ok", "reason": None}

    rows: list[Row] = []
    for control in task.controls:
        try:
            numbers = measured(control)
        except _SKIPS as skip:
            reason = skip.fault if isinstance(skip, RepresentationError) else str(skip)
            if reason.endswith("not finite"):
                raise LayerError(f"{task.model.text}, pair {pair.id!r}, {control}: {skip}") from skip
            numbers = {"status": "skipped", "reason": reason}
        except torch.OutOfMemoryError as error:
            raise RankscopeError(
                f"out of memory on pair {pair.id!r}: use --dtype bfloat16, or a smaller --max-length "
                f"({first_line(error)})"
            ) from error
        rows.append(row | {"control": control} | numbers)
    return rows


def _numbers(hidden: tuple[Tensor | None, ...]) -> Row:
    numbers: Row = {}
    for place, states in zip(REPRESENTATIONS, hidden, strict=True):
        if states is None:
            raise UnusablePairError("the image has no tokens")
        try:
            entropy = float(matrix_entropy(states))
        except RepresentationError as error:
            raise RepresentationError(
                f"representation {place}: {error.fault}", f"representation {place}: {error}"
            ) from error
        numbers |= {f"n_tokens{place}": states.shape[0], f"matrix_entropy{place}": entropy}
        numbers[f"erank{place}"] = math.exp(entropy)
    ranks = [torch.tensor(numbers[f"erank{place}"], dtype=torch.float64) for place in REPRESENTATIONS]
    numbers["image_reduction_ratio"] = float(image_reduction_ratio(ranks[0], ranks[1]))
    numbers["image_text_alignment"] = float(image_text_alignment(ranks[2], ranks[3], ranks[4]))
    return numbers
