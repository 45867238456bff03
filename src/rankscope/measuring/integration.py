"""The Modality Integration Rate of a model on a data set, in memory independent of the data set's size.

Tokens are visited twice: first for their norms, which determine the outliers, then for the moments of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rankscope.measuring.reducers import TokenSums
from rankscope.metrics import integration_of_moments, outlier_range, without_outliers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from rankscope.measuring.pairs import PairTask
    from rankscope.models.vision_language import VisionLanguageNetwork

_VISION, _TEXT = "vision", "text"
PASSES = 2
"""Number of forward passes of each pair."""


def measure_integration(
    task: PairTask,
    network: VisionLanguageNetwork,
    indices: Sequence[int],
    control: str,
    passed: Callable[[], None] = lambda: None,
) -> float:
    """The rate over some pairs under a control.

    Vision tokens are those at the image's positions, text tokens all those after the image.

    Args:
        task: model and pairs.
        network: the model's.
        indices: of the pairs.
        control: what images are replaced with.
        passed: called after each forward pass.

    Raises:
        RepresentationError: fewer than two tokens of a modality.
    """
    lengths: dict[tuple[int, str], list[Tensor]] = {}

    def note_lengths(layer: int, tokens: dict[str, Tensor]) -> None:
        for kind, hidden in tokens.items():
            found = torch.linalg.vector_norm(hidden.double(), dim=-1)
            lengths.setdefault((layer, kind), []).append(found.cpu())

    _meet_tokens(task, network, indices, control, note_lengths, passed)
    joined = {place: torch.cat(parts) for place, parts in lengths.items()}
    ranges = {place: outlier_range(norms) for place, norms in joined.items()}
    sums = TokenSums()

    def add(layer: int, tokens: dict[str, Tensor]) -> None:
        nonlocal sums
        kept = {kind: without_outliers(hidden, ranges[layer, kind]) for kind, hidden in tokens.items()}
        sums = sums + TokenSums.of(layer, kept)

    _meet_tokens(task, network, indices, control, add, passed)
    means = [float(joined[layer, _TEXT].mean()) for layer, kind in sorted(joined) if kind == _TEXT]
    return float(integration_of_moments(sums.by_layer(_VISION), sums.by_layer(_TEXT), means))


def _meet_tokens(
    task: PairTask,
    network: VisionLanguageNetwork,
    indices: Sequence[int],
    control: str,
    meet: Callable[[int, dict[str, Tensor]], None],
    passed: Callable[[], None],
) -> None:
    for index in indices:
        _, both = task.inputs_of(index, control, task.text_of(task.pairs.pairs[index]))

        def on_layer(layer: int, hidden: Tensor) -> None:
            states = hidden.cpu() if hidden.device.type == "mps" else hidden  # mps has no float64
            kinds = {_VISION: both.image, _TEXT: both.after_image}  # noqa: B023 (called before the next pair)
            meet(layer, {kind: states[of_kind.to(states.device)] for kind, of_kind in kinds.items()})

        network.watch(both, on_layer)
        passed()
