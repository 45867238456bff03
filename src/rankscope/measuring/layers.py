"""Which layers of a model are measured, and which of them are compared with the previous layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rankscope.errors import SettingsError
from rankscope.metrics.table import ADJACENT_LAYERS, metrics_that_read
from rankscope.models import layers_before, layers_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from rankscope.settings import Settings


@dataclass(frozen=True)
class Layers:
    """The layers of one network to measure.

    Attributes:
        names: in order of depth.
        before: for each layer, the previous layer if that is measured too.
    """

    names: tuple[str, ...] = ("last",)
    before: Mapping[str, str] = field(default_factory=dict)


def choose_layers(config: PretrainedConfig, settings: Settings) -> Layers:
    """The layers selected by the settings.

    Raises:
        UnknownNameError: a layer that the model does not have.
        SettingsError: a metric of adjacent layers, but no two selected layers are adjacent.
    """
    names = layers_of(config, settings.layers)
    compared = [metric.name for metric in metrics_that_read(*ADJACENT_LAYERS) if metric.name in settings.metric_names]
    before = layers_before(config, names) if compared else {}
    if compared and not before:
        raise SettingsError(
            f"{compared[0]} compares each layer with the previous one, but no two layers of {', '.join(names)} are "
            "adjacent: add --layers all, or two adjacent layers such as 2,3"
        )
    return Layers(names, before)
