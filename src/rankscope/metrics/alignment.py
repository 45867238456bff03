"""How much a connector compresses an image, and how similar image, text and both are to a language model.

Both metrics are ratios of effective ranks: eRank1 after the vision encoder, eRank2 after the connector, and eRank3 to
eRank5 of the language model's last hidden states for the image alone, the text alone, and image and text together.
Ranks may be those of one item or of a data set.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import SettingsError
from rankscope.metrics.arrays import ArrayLike, real_tensor


def image_reduction_ratio(erank1: ArrayLike | float | int, erank2: ArrayLike | float | int) -> Float[Tensor, "*items"]:
    """Image Reduction Ratio, (eRank1 - eRank2) / eRank1.

    The share of the vision encoder's effective dimensions that the connector removes. Unit: none. At most
    1 - 1 / eRank1; negative if the connector spreads the tokens over more dimensions than it received.

    Raises:
        SettingsError: an effective rank below 1, or unequal numbers of items.

    Source: arXiv 2401.17139, section 5.

    Example:
        >>> round(float(image_reduction_ratio(18.34, 11.28)), 4)
        0.385
    """
    before, after = _ranks(erank1, erank2)
    return (before - after) / before


def image_text_alignment(
    erank3: ArrayLike | float | int, erank4: ArrayLike | float | int, erank5: ArrayLike | float | int
) -> Float[Tensor, "*items"]:
    """Image-Text Alignment, mean(eRank3, eRank4, eRank5) / max(eRank3, eRank4, eRank5).

    1 if image, text and both together have the same effective rank. Unit: none. Range: above 1/3, to 1. Only ranks
    are compared: an unrelated image and text can have the same.

    Raises:
        SettingsError: an effective rank below 1, or unequal numbers of items.

    Source: arXiv 2401.17139, section 5.

    Example:
        >>> round(float(image_text_alignment(45.62, 74.21, 76.34)), 4)
        0.8566
    """
    ranks: Tensor = torch.stack(_ranks(erank3, erank4, erank5))
    return ranks.mean(dim=0) / ranks.amax(dim=0)


def _ranks(*ranks: ArrayLike | float | int) -> list[Tensor]:
    found = [real_tensor(rank, "effective ranks") for rank in ranks]
    if len({tuple(rank.shape) for rank in found}) > 1:
        shapes = ", ".join(str(tuple(rank.shape)) for rank in found)
        raise SettingsError(f"effective ranks must belong to the same items, got shapes {shapes}")
    for rank in found:
        if not (rank >= 1 - 1e-9).all():
            raise SettingsError(f"effective ranks must be at least 1, got {float(rank.min())}")
    return found
