"""Metrics of each text at each layer: many texts and layers at once, read in one copy."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.measuring.columns import Row
from rankscope.measuring.reducers import Place
from rankscope.measuring.seen import Seen
from rankscope.measuring.transfer import Transfer
from rankscope.metrics import Metric, Spectrum, devices
from rankscope.metrics.decomposition import Decompositions, joint_spectrum
from rankscope.metrics.devices import on_device
from rankscope.metrics.representations import Part
from rankscope.metrics.table import metrics_that_read

if TYPE_CHECKING:
    import numpy.typing as npt

_UNREAD = 2
"""Groups of layers whose Gram matrices are kept until their numbers were looked at."""


@dataclass(frozen=True)
class _Part:
    """Some texts at one layer, with what was read of their unit rows."""

    seen: Seen
    part: Part
    of_rows: list[Tensor]


@dataclass
class EachText:
    """Metrics of one text at one layer.

    Gram matrices of several layers are decomposed together, and their numbers come to the host in one copy.

    Attributes:
        metrics: names of those that are wanted.
        with_spectra: the eigenvalues of the first so many texts are kept.
        refuse: called with a text's place, the layer, whether its states are all zero, and an error; raises where the
            error is no reason to skip the text.
    """

    metrics: Collection[str]
    with_spectra: int
    refuse: Callable[[int, str, bool, RepresentationError], None]
    _waiting: Decompositions = field(default_factory=Decompositions)
    _parts: list[_Part] = field(default_factory=list)
    _sent: deque[tuple[list[_Part], Transfer]] = field(default_factory=deque)
    _found: dict[Place, Row] = field(default_factory=dict)

    def see(self, seen: Seen) -> None:
        """Reduces each text to its Gram matrix and to what is read of its rows; one without rows is skipped."""
        found = seen.representations
        self._skip(seen)
        if self._parts and self._parts[-1].seen.hidden_size != seen.hidden_size:
            self.close()
        self._parts += [_Part(seen, part, [part.number(metric) for metric in self._of_rows]) for part in found.parts]
        if self._reads_spectra:
            self._waiting.dtype = seen.spectra_dtype
            found.decompose(self._waiting)
        if self._waiting.bytes > devices.bytes_at_once(seen.device):
            self.close()

    def close(self) -> None:
        """Decomposes what waits, and sends the numbers of all layers since the last time in one copy."""
        self._waiting.run()
        parts, self._parts = self._parts, []
        if not parts:
            return
        spectra = self._joint(parts) if self._reads_spectra else None
        numbers = [torch.cat(each) for each in zip(*(one.of_rows for one in parts), strict=True)]
        if spectra is not None:
            numbers += [metric.function(spectra) for metric in self._of_spectra]
        tensors = [one.part.faults.columns for one in parts if one.part.faults is not None]
        checks = [check for one in parts if (check := _check_of(one.part)) is not None]
        tensors += [*([torch.cat(checks)] if checks else []), *numbers]
        if spectra is not None and (shown := self._shown(parts)):
            tensors.append(spectra.positive[on_device(shown, spectra.positive.device)])
        self._sent.append((parts, Transfer(tensors)))
        while len(self._sent) > _UNREAD:
            self._read_one()

    def rows(self) -> dict[Place, Row]:
        """A row's numbers for each text and layer."""
        while self._sent:
            self._read_one()
        return self._found

    def _read_one(self) -> None:
        parts, transfer = self._sent.popleft()
        self._take(parts, transfer.read())
        for one in parts:
            if one.part.decomposition is not None:
                one.part.decomposition.settle()

    def _take(self, parts: list[_Part], arrived: Sequence[npt.NDArray[np.float64]]) -> None:
        coming = iter(arrived)
        for one in parts:
            if one.part.faults is not None:
                one.seen.representations.note(one.part.places, one.part.faults, next(coming).tolist())
                self._skip(one.seen)
        failed = np.flatnonzero(next(coming) == 0).tolist() if _check_of(parts[0].part) is not None else []
        numbers = {metric.name: next(coming).tolist() for metric in (*self._of_rows, *self._of_spectra)}
        for number in failed:
            self._correct(parts, number, numbers)
        shown = self._shown(parts) if self._reads_spectra else []
        eigenvalues = dict(zip(shown, next(coming), strict=True)) if shown else {}
        for number, (seen, place) in enumerate((one.seen, place) for one in parts for place in one.part.places):
            if place in seen.representations.errors:
                continue
            tokens = seen.tokens[seen.places[place]]
            row: Row = {"status": "ok", "n_tokens": tokens, "hidden_size": seen.hidden_size}
            if number in eigenvalues:
                values = eigenvalues[number]
                row["eigenvalues"] = values[values > 0].tolist()
            of_text = {name: each[number] for name, each in numbers.items()}
            self._found[seen.places[place], seen.layer] = row | of_text

    def _correct(self, parts: list[_Part], number: int, numbers: dict[str, list[float]]) -> None:
        """Decomposes again, on the CPU, a matrix whose eigenvalues are not its own."""
        at = [(one, place) for one in parts for place in range(len(one.part.places))][number]
        (one, place), (decomposition, seen) = at, (at[0].part.decomposition, at[0].seen)
        if decomposition is None or one.part.places[place] in seen.representations.errors:
            return
        warnings.warn(
            f"layer {seen.layer}: the device's eigenvalues of a {seen.hidden_size}-dimensional text of "
            f"{decomposition.tokens[place]} tokens did not have the trace of their matrix; the CPU computed them again",
            stacklevel=2,
        )
        for metric in self._of_spectra:
            numbers[metric.name][number] = float(metric.function(decomposition.again(place)))

    def _joint(self, parts: list[_Part]) -> Spectrum:
        return joint_spectrum([one.part.decomposition for one in parts if one.part.decomposition is not None])

    def _shown(self, parts: list[_Part]) -> list[int]:
        """The texts whose eigenvalues are kept, by their numbers among those of these parts."""
        places = [one.seen.places[place] for one in parts for place in one.part.places]
        return [number for number, place in enumerate(places) if place < self.with_spectra]

    @cached_property
    def _of_rows(self) -> list[Metric]:
        return [metric for metric in metrics_that_read("unit rows") if metric.name in self.metrics]

    @cached_property
    def _of_spectra(self) -> list[Metric]:
        return [metric for metric in metrics_that_read("spectrum") if metric.name in self.metrics]

    @cached_property
    def _reads_spectra(self) -> bool:
        across = [metric for metric in metrics_that_read("adjacent spectra") if metric.name in self.metrics]
        return bool(self._of_spectra or across)

    def _skip(self, seen: Seen) -> None:
        """Rows for texts that are known to have no unit rows."""
        found = seen.representations
        errors = {seen.places[place]: error for place, error in found.errors.items()} | seen.errors
        zero = {seen.places[place] for place in found.zero}
        for place, error in errors.items():
            if (place, seen.layer) not in self._found:
                self.refuse(place, seen.layer, place in zero, error)
                self._found[place, seen.layer] = {"status": "skipped", "reason": error.fault}


def _check_of(part: Part) -> Tensor | None:
    return None if part.decomposition is None else part.decomposition.checked
