"""Metrics of each text at each layer: texts, layers and forward passes are read together in one copy."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
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

_UNREAD = 1
"""Maximum number of copies to the host in progress: their Gram matrices are kept until the values are checked."""

_PASSES = 16
"""Maximum number of forward passes whose Gram matrices are collected, which limits the delay of results."""


@dataclass(frozen=True)
class Skip:
    """A text that has no unit rows at a layer.

    Attributes:
        place: of the text in the data set.
        layer: name.
        is_zero: whether its states are all zero.
        error: the reason.
    """

    place: int
    layer: str
    is_zero: bool
    error: RepresentationError


@dataclass(frozen=True)
class _Part:
    """Some texts at one layer, with the values read from their unit rows."""

    seen: Seen
    part: Part
    of_rows: list[Tensor]


@dataclass(frozen=True)
class _Chunk:
    """Layers of one forward pass whose metrics are computed together.

    They depend only on that forward pass, so a text's numbers do not depend on what else is measured.
    """

    parts: list[_Part] = field(default_factory=list)

    @property
    def places(self) -> set[int]:
        """Positions of its texts in the data set."""
        return {one.seen.places[place] for one in self.parts for place in one.part.places}


@dataclass
class EachText:
    """Metrics of one text at one layer.

    On an accelerator, the Gram matrices of enough layers and forward passes to fill it are decomposed together, and the
    results are copied to the host in one transfer.

    Attributes:
        metrics: names of the metrics to compute.
        with_spectra: keep the eigenvalues of this many texts from the start of the data set.
    """

    metrics: Collection[str]
    with_spectra: int
    _queue: Decompositions = field(default_factory=Decompositions)
    _side_stream: devices.SideStream = field(default_factory=devices.SideStream)
    _chunk: _Chunk = field(default_factory=_Chunk)
    _bytes_before: int = 0
    _passes: int = 0
    _waiting: list[_Chunk] = field(default_factory=list)
    _sent: deque[tuple[list[_Chunk], Transfer]] = field(default_factory=deque)
    _found: dict[int, dict[Place, Row]] = field(default_factory=dict)
    _skipped: dict[int, list[Skip]] = field(default_factory=dict)

    def see(self, seen: Seen) -> None:
        """Reduces each text to its Gram matrix and the values read from its rows; texts without rows are skipped."""
        found = seen.representations
        self._skip(seen)
        if self._chunk.parts and self._chunk.parts[-1].seen.hidden_size != seen.hidden_size:
            self._end_chunk()
        self._chunk.parts.extend(
            _Part(seen, part, [part.number(metric) for metric in self._of_rows]) for part in found.parts
        )
        if self._reads_spectra:
            self._queue.dtype = seen.spectra_dtype
            found.decompose(self._queue)
        if self._queue.bytes - self._bytes_before > devices.bytes_at_once(seen.device):
            self._send()

    def close(self, device: torch.device) -> None:
        """Ends the forward pass and sends pending work; on an accelerator, once there is enough to fill it."""
        self._end_chunk()
        self._passes += 1
        is_enough = self._queue.matrices >= devices.MATRICES_AT_ONCE or self._passes >= _PASSES
        if devices.read_at_once(device):
            self._send(unread=0)
        elif is_enough or self._queue.bytes > devices.bytes_at_once(device):
            self._send()
        self._bytes_before = self._queue.bytes

    def is_read(self, places: Collection[int]) -> bool:
        """Whether `rows` can return these texts without decomposing or waiting."""
        unread = [*self._waiting, *(chunk for chunks, _ in self._sent for chunk in chunks)]
        return all(chunk.places.isdisjoint(places) for chunk in unread)

    def rows(self, places: Collection[int], refuse: Callable[[Skip], None]) -> dict[Place, Row]:
        """The values of each of these texts at each layer; returned only once.

        Args:
            places: of the texts.
            refuse: called with each skipped text and layer; raises if the fault must not be skipped.
        """
        if not self.is_read(places):
            if not all(chunk.places.isdisjoint(places) for chunk in self._waiting):
                self._send()
            while not self.is_read(places):
                self._read_one()
        for place in places:
            for skip in self._skipped.pop(place, []):
                refuse(skip)
        return {at: row for place in places for at, row in self._found.pop(place, {}).items()}

    def _end_chunk(self) -> None:
        if self._chunk.parts:
            self._waiting.append(self._chunk)
            self._chunk = _Chunk()

    def _send(self, unread: int = _UNREAD) -> None:
        """Decomposes pending matrices, and sends the results in one copy."""
        self._end_chunk()
        self._bytes_before = self._passes = 0
        chunks, self._waiting = self._waiting, []
        if chunks:
            with self._side_stream(chunks[0].parts[0].seen.device):
                self._queue.run()
                numbers = Transfer([tensor for chunk in chunks for tensor in self._tensors(chunk)])
            self._sent.append((chunks, numbers))
        while len(self._sent) > unread:
            self._read_one()

    def _tensors(self, chunk: _Chunk) -> list[Tensor]:
        """The results of a chunk, in the order in which `_take` consumes them."""
        parts = chunk.parts
        tensors = [one.part.faults.columns for one in parts if one.part.faults is not None]
        checks = [check for one in parts if (check := _check_of(one.part)) is not None]
        tensors += [torch.cat(checks)] if checks else []
        tensors += [torch.cat(each) for each in zip(*(one.of_rows for one in parts), strict=True)]
        if self._reads_spectra:
            spectra = self._joint(parts)
            tensors += [metric.function(spectra) for metric in self._of_spectra]
            if shown := self._shown(parts):
                tensors.append(spectra.positive[on_device(shown, spectra.positive.device)])
        return tensors

    def _read_one(self) -> None:
        chunks, transfer = self._sent.popleft()
        arrived = iter(transfer.read())
        for chunk in chunks:
            self._take(chunk.parts, arrived)
            for one in chunk.parts:
                if one.part.decomposition is not None:
                    one.part.decomposition.settle()

    def _take(self, parts: list[_Part], coming: Iterator[npt.NDArray[np.float64]]) -> None:
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
            self._keep(seen.places[place], seen.layer, row | {name: each[number] for name, each in numbers.items()})

    def _keep(self, place: int, layer: str, row: Row) -> None:
        self._found.setdefault(place, {})[place, layer] = row

    def _correct(self, parts: list[_Part], number: int, numbers: dict[str, list[float]]) -> None:
        """Decomposes a matrix again on the CPU if the device's eigenvalues are wrong."""
        at = [(one, place) for one in parts for place in range(len(one.part.places))][number]
        (one, place), (decomposition, seen) = at, (at[0].part.decomposition, at[0].seen)
        if decomposition is None or one.part.places[place] in seen.representations.errors:
            return
        warnings.warn(
            f"layer {seen.layer}: the device's eigenvalues of a {seen.hidden_size}-dimensional text of "
            f"{decomposition.tokens[place]} tokens do not sum to the trace of the matrix; recomputed on the CPU",
            stacklevel=2,
        )
        for metric in self._of_spectra:
            numbers[metric.name][number] = float(metric.function(decomposition.again(place)))

    def _joint(self, parts: Sequence[_Part]) -> Spectrum:
        return joint_spectrum([one.part.decomposition for one in parts if one.part.decomposition is not None])

    def _shown(self, parts: Sequence[_Part]) -> list[int]:
        """The texts whose eigenvalues are kept, by their position in these parts."""
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
        return bool(self._of_spectra)

    def _skip(self, seen: Seen) -> None:
        """Rows for texts that are known to have no unit rows."""
        found = seen.representations
        errors = {seen.places[place]: error for place, error in found.errors.items()} | seen.errors
        zero = {seen.places[place] for place in found.zero}
        for place, error in errors.items():
            if (place, seen.layer) in self._found.get(place, {}):
                continue
            self._keep(place, seen.layer, {"status": "skipped", "reason": error.fault})
            self._skipped.setdefault(place, []).append(Skip(place, seen.layer, place in zero, error))


def _check_of(part: Part) -> Tensor | None:
    return None if part.decomposition is None else part.decomposition.checked
