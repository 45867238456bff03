"""Metrics that compare a layer with the previous one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from rankscope.measuring.reducers import Place
from rankscope.measuring.transfer import Transfer
from rankscope.metrics import devices
from rankscope.metrics.arithmetic import arithmetic_for
from rankscope.metrics.rounding import rounding_of
from rankscope.metrics.rows import Texts
from rankscope.metrics.table import metrics_that_read

if TYPE_CHECKING:
    from rankscope.measuring.columns import Row
    from rankscope.measuring.seen import Seen
    from rankscope.metrics import Metric

_BYTES = 6 * 8
"""For each number: comparing two layers takes about six arrays of their size in float64."""


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
    _names: set[str] = field(default_factory=set)
    _compared: list[tuple[str, str, list[int]]] = field(default_factory=list)
    _numbers: list[Tensor] = field(default_factory=list)
    _transfer: Transfer | None = None

    def see(self, seen: Seen) -> None:
        """Compares each text with the previous layer; nothing is read from the device."""
        self._names.add(seen.layer)
        if not self._of_states:
            return
        for places, before, after in self._pairs(seen):
            for metric in self._of_states:
                values, defined = metric.function(before, after)
                self._compared.append((seen.layer, metric.name, places))
                self._numbers += [values, defined]
        awaited = {before for after, before in self.before.items() if after not in self._names}
        if seen.layer in awaited:
            self._kept[seen.layer] = {place: states.clone() for place, states in seen.states.items()}
        self._kept = {name: kept for name, kept in self._kept.items() if name in awaited}

    def close(self) -> None:
        """Sends all values in one copy."""
        self._transfer, self._numbers = Transfer(self._numbers), []

    def rows(self, each: Mapping[Place, Row]) -> dict[Place, Row]:
        """The values of each text at each layer with a previous layer, if it has unit rows at both."""
        comparable = {
            (place, layer): (each[place, self.before[layer]], row)
            for (place, layer), row in each.items()
            if layer in self.before and row["status"] == each[place, self.before[layer]]["status"] == "ok"
        }
        rows: dict[Place, Row] = {at: {} for at in comparable}
        arrived = iter(self._transfer.read() if self._transfer is not None else [])
        for layer, name, places in self._compared:
            for place, value, defined in zip(places, next(arrived).tolist(), next(arrived).tolist(), strict=True):
                if defined and (place, layer) in rows:
                    rows[place, layer][name] = value
        for metric in metrics_that_read("adjacent entropies"):
            for at, (before, after) in comparable.items() if metric.name in self.metrics else ():
                rows[at][metric.name] = metric.function(before["matrix_entropy"], after["matrix_entropy"])
        return rows

    def _pairs(self, seen: Seen) -> Iterator[tuple[list[int], Texts, Texts]]:
        """Texts with the same tokens at this layer and the previous one: one by one on a CPU, else many at once."""
        earlier = self._kept.get(self.before.get(seen.layer, ""), {})
        places = [place for place, states in seen.states.items() if len(earlier.get(place, ())) == len(states) > 1]
        if not places:
            return
        longest = max(seen.tokens[place] for place in places)
        at_once = max(1, devices.bytes_at_once(seen.device) // (_BYTES * longest * seen.hidden_size))
        if devices.read_at_once(seen.device):
            at_once = 1
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            yield some, _texts([earlier[place] for place in some]), _texts([seen.states[place] for place in some])

    @cached_property
    def _of_states(self) -> list[Metric]:
        return [metric for metric in metrics_that_read("adjacent layers") if metric.name in self.metrics]


def _texts(states: list[Tensor]) -> Texts:
    return Texts.of(states, rounding_of(states[0].dtype, arithmetic_for(states[0], None)))
