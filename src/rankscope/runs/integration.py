"""The Modality Integration Rate of a model on a data set, in memory that does not grow with the data.

Tokens are met twice: first for their lengths, which say which are outliers, then for the moments of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rankscope.metrics import TokenMoments, integration_of_moments, outlier_range, without_outliers
from rankscope.models.vision_language import watch_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

    from rankscope.runs.pair_loop import PairUnit
    from rankscope.runs.progress import Progress

_VISION, _TEXT = 0, 1


def measure_integration(
    unit: PairUnit, network: PreTrainedModel, indices: Sequence[int], control: str, progress: Progress
) -> float:
    """The rate over some pairs under a control.

    Vision tokens are those at the image's positions, text tokens all that come after the image.

    Raises:
        RepresentationError: fewer than two tokens of a modality.
    """
    lengths: dict[tuple[int, int], list[Tensor]] = {}

    def note_lengths(layer: int, modality: int, hidden: Tensor) -> None:
        found = torch.linalg.vector_norm(hidden.double(), dim=-1)
        lengths.setdefault((layer, modality), []).append(found.cpu())

    _meet_tokens(unit, network, indices, control, note_lengths, progress)
    joined = {place: torch.cat(parts) for place, parts in lengths.items()}
    ranges = {place: outlier_range(norms) for place, norms in joined.items()}
    moments: dict[tuple[int, int], TokenMoments] = {}

    def note_moments(layer: int, modality: int, hidden: Tensor) -> None:
        place = (layer, modality)
        found = TokenMoments.of(without_outliers(hidden, ranges[place]))
        moments[place] = moments[place] + found if place in moments else found

    _meet_tokens(unit, network, indices, control, note_moments, progress)
    layers = sorted({layer for layer, _ in moments})
    rate = integration_of_moments(
        [moments[layer, _VISION] for layer in layers],
        [moments[layer, _TEXT] for layer in layers],
        [float(joined[layer, _TEXT].mean()) for layer in layers],
    )
    return float(rate)


def _meet_tokens(
    unit: PairUnit,
    network: PreTrainedModel,
    indices: Sequence[int],
    control: str,
    meet: Callable[[int, int, Tensor], None],
    progress: Progress,
) -> None:
    for index in indices:
        _, both = unit.inputs_of(index, control, unit.text_of(unit.pairs.pairs[index]))

        def on_layer(layer: int, hidden: Tensor) -> None:
            states = hidden.cpu() if hidden.device.type == "mps" else hidden  # which has no float64
            meet(layer, _VISION, states[both.image.to(states.device)])  # noqa: B023 (called before the next pair)
            meet(layer, _TEXT, states[both.after_image.to(states.device)])  # noqa: B023

        watch_forward(network, unit.model.family, both, on_layer)
        progress.advance(1, computed=True)
