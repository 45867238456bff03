"""Metrics that compare a layer with the previous one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.measuring.columns import Row
from rankscope.measuring.reducers import Place
from rankscope.measuring.seen import Seen
from rankscope.measuring.transfer import Transfer
from rankscope.metrics import Spectrum
from rankscope.metrics.table import metrics_that_read


@dataclass
class AcrossLayers:
    """Metrics of a layer and the previous one, a copy of which is kept until the later layer arrives.

    Attributes:
        metrics: names of the metrics to compute.
        before: for each layer, the previous layer if that is measured too; if empty, nothing is kept.
    """

    metrics: Collection[str]
    before: Mapping[str, str]
    _kept: dict[str, Mapping[int, Tensor]] = field(default_factory=dict)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _found: dict[Place, dict[str, Tensor]] = field(default_factory=dict)
    _transfer: Transfer | None = None

    def see(self, seen: Seen) -> None:
        """Compares each text with the previous layer; a text that failed at either layer has no value."""
        layer = seen.layer
        of_states = [metric for metric in metrics_that_read("adjacent layers") if metric.name in self.metrics]
        earlier = self._kept.get(self.before.get(layer, ""), {})
        for place, states in seen.states.items():
            for metric in of_states if place in earlier else ():
                with suppress(RepresentationError):  # no value; `EachText` reports why a text has no spectrum
                    self._found.setdefault((place, layer), {})[metric.name] = metric.function(earlier[place], states)
        self._seen[layer] = seen
        awaited = {before for after, before in self.before.items() if after not in self._seen}
        if layer in awaited and of_states:
            self._kept[layer] = {place: states.clone() for place, states in seen.states.items()}
        self._kept = {name: kept for name, kept in self._kept.items() if name in awaited}

    def close(self) -> None:
        """Sends the values computed from states; spectra are compared once they have been read and checked."""
        self._transfer = Transfer([number for of_text in self._found.values() for number in of_text.values()])

    def rows(self) -> dict[Place, Row]:
        """The values of each text at each layer with a previous layer, if it has unit rows at both."""
        arrived = iter(self._transfer.read() if self._transfer is not None else [])
        rows: dict[Place, Row] = {}
        for at, of_text in self._found.items():
            rows[at] = {name: float(next(arrived)) for name in of_text}
        of_spectra = [metric for metric in metrics_that_read("adjacent spectra") if metric.name in self.metrics]
        for layer, before in self.before.items() if of_spectra else ():
            for place, spectra in self._pairs(before, layer).items():
                found: Row = {metric.name: float(metric.function(*spectra)) for metric in of_spectra}
                rows[place, layer] = rows.get((place, layer), {}) | found
        return {at: numbers for at, numbers in rows.items() if not self._has_fault(*at)}

    def _pairs(self, before: str, layer: str) -> dict[int, tuple[Spectrum, Spectrum]]:
        """The spectra of each text that has one at both layers."""
        if before not in self._seen or layer not in self._seen:
            return {}
        earlier, later = (self._seen[name].spectra() for name in (before, layer))
        return {place: (earlier[place], later[place]) for place in earlier.keys() & later.keys()}

    def _has_fault(self, place: int, layer: str) -> bool:
        """Whether a text has no unit rows at a layer or the previous one."""
        seen = [self._seen[name] for name in (layer, self.before[layer])]
        return any(one.places.index(place) in one.representations.errors for one in seen)
