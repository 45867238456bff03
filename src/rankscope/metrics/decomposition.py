"""From unit rows of many texts to their spectra, decomposed together.

Gram matrices are computed while the unit rows exist, and queued: those of several texts and layers are decomposed in
parallel, on a CPU in threads, on an accelerator in one batch. Padding with zeros only adds eigenvalues of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rankscope.metrics import devices
from rankscope.metrics.arithmetic import float32_did, is_flat, products_are_exact
from rankscope.metrics.device_eigenvalues import can_decompose
from rankscope.metrics.devices import on_device
from rankscope.metrics.eigenvalues import (
    descending_eigenvalues,
    eigenvalues_of_batch,
    eigenvalues_of_each,
    lower_gram,
    smaller_gram,
)
from rankscope.metrics.rows import UnitRows


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the normalised covariance of one representation, or of a batch of them.

    Attributes:
        eigenvalues: non-negative, descending, summing to 1; k = min(tokens, hidden size) of them.
            In a batch, shorter texts are padded with zeros, which add nothing to any metric.
        tokens: N, the number of rows behind each spectrum.
        hidden_size: d.
    """

    eigenvalues: Float[Tensor, "*batch k"]
    tokens: Int[Tensor, "*batch"]
    hidden_size: int

    @cached_property
    def positive(self) -> Float[Tensor, "*batch k"]:
        """The eigenvalues with rounding errors of zero set to exactly 0.

        A representation has at most min(N - 1, d) non-zero eigenvalues. Values below eps k lambda_max
        are rounding errors of the decomposition; their logarithms and roots would bias the metrics
        and make their gradients infinite.
        """
        values = self.eigenvalues
        floor = torch.finfo(values.dtype).eps * values[..., :1].detach()
        if values.dtype != torch.float32:  # float32 has no digits to spare: keep everything above one rounding error
            floor = floor * self.tokens.clamp_max(self.hidden_size)[..., None]
        return torch.where(values > floor, values, 0.0)


@dataclass
class Decomposition:
    """The spectra of some texts at one layer, available after `Decompositions.run`.

    Attributes:
        tokens: N of each text.
        hidden_size: d.
        checked: whether each text's eigenvalues passed a check, not read yet; None if the library is trusted.
    """

    tokens: tuple[int, ...]
    hidden_size: int
    checked: Bool[Tensor, " batch"] | None = None
    _values: dict[int, Float[Tensor, " _k"]] = field(default_factory=dict, repr=False)
    _batch: Float[Tensor, "batch k"] | None = field(default=None, repr=False)
    _grams: Float[Tensor, "batch k k"] | None = field(default=None, repr=False)

    @property
    def spectrum(self) -> Spectrum:
        """The spectra of all texts, in order."""
        return joint_spectrum([self])

    @property
    def values(self) -> Float[Tensor, "batch k"] | list[Float[Tensor, " _k"]]:
        """The eigenvalues of each text, not normalised."""
        return [self._values[place] for place in range(len(self.tokens))] if self._batch is None else self._batch

    def keep(self, place: int, values: Float[Tensor, " _k"]) -> None:
        """Stores the descending eigenvalues of a text, not normalised."""
        self._values[place] = values

    def keep_batch(self, values: Float[Tensor, "batch k"], checked: Tensor, grams: Tensor) -> None:
        """Stores those of all texts; the matrices are kept until the check has been read."""
        self._batch, self.checked, self._grams = values, checked, grams

    def settle(self) -> None:
        """Frees the matrices, after the check has been read."""
        self.checked = self._grams = None

    def again(self, place: int) -> Spectrum:
        """The spectrum of a text whose check failed, from its Gram matrix on the CPU."""
        assert self._grams is not None  # noqa: S101 (a programming error)
        count = self.tokens[place]
        rank = min(count, self.hidden_size)
        values = descending_eigenvalues(self._grams[place, :rank, :rank].cpu().double())
        return Spectrum(values[None] / values.sum(), torch.tensor([count]), self.hidden_size)


def joint_spectrum(parts: Sequence[Decomposition]) -> Spectrum:
    """The spectra of the texts of several decompositions of the same hidden size, in order."""
    each = [part.values for part in parts]
    batches = [values for values in each if isinstance(values, Tensor)]
    if len(batches) == len(each) and len({values.shape[1] for values in batches}) == 1:
        values = torch.cat(batches)
    else:
        values = torch.nn.utils.rnn.pad_sequence([of_text for of_part in each for of_text in of_part], batch_first=True)
    total = values.sum(dim=-1, keepdim=True)
    tokens = on_device([count for part in parts for count in part.tokens], values.device)
    # A text without unit rows has only zero eigenvalues.
    return Spectrum(values / torch.where(total > 0, total, 1.0), tokens, parts[0].hidden_size)


@dataclass(frozen=True)
class _Waiting:
    """The Gram matrix of a text; its unit rows are kept if float32 may turn out to be insufficient."""

    of: Decomposition
    place: int
    gram: Float[Tensor, "k k"]
    rows: Float[Tensor, "tokens hidden"] | None = None

    def finer(self) -> Float[Tensor, "k k"]:
        """The Gram matrix in float64."""
        assert self.rows is not None  # noqa: S101 (for the type checker)
        return lower_gram(self.rows.double())


@dataclass(frozen=True)
class _Batch:
    """The Gram matrices of several texts, padded with zeros to one size."""

    of: Decomposition
    grams: Float[Tensor, "batch k k"]
    sizes: tuple[int, ...]


@dataclass
class Decompositions:
    """Gram matrices of texts at one or more layers, decomposed in parallel.

    Attributes:
        dtype: float32 or float64 for all; None to decide for each text (`metrics/arithmetic.py`).
    """

    dtype: torch.dtype | None = None
    _waiting: list[_Waiting] = field(default_factory=list)
    _batches: list[_Batch] = field(default_factory=list)

    def add(self, rows: UnitRows) -> Decomposition:
        """Queues the Gram matrices of some texts."""
        one = Decomposition(rows.tokens, rows.hidden_size)
        if devices.read_at_once(rows.rows.device):
            self._waiting += [self._of_text(one, place, rows.text(place)) for place in range(len(rows.tokens))]
        else:
            self._batches.append(_Batch(one, *_padded_grams(rows)))
        return one

    @property
    def matrices(self) -> int:
        """The number of queued matrices."""
        return len(self._waiting) + sum(len(batch.sizes) for batch in self._batches)

    @property
    def bytes(self) -> int:
        """The memory of the queued matrices."""
        kept = [tensor for one in self._waiting for tensor in (one.gram, one.rows) if tensor is not None]
        return sum(tensor.nbytes for tensor in [*kept, *(batch.grams for batch in self._batches)])

    def run(self) -> None:
        """Decomposes all queued matrices."""
        waiting, self._waiting = self._waiting, []
        again = []
        for one, values in zip(waiting, eigenvalues_of_each([one.gram for one in waiting]), strict=True):
            if one.rows is None:
                one.of.keep(one.place, values if self.dtype is not None else values.double())
            elif (sound := _sound(values, *one.rows.shape)) is not None:
                one.of.keep(one.place, sound)
            else:
                again.append(one)
        for one, values in zip(again, eigenvalues_of_each([one.finer() for one in again]), strict=True):
            one.of.keep(one.place, values)
        batches, self._batches = self._batches, []
        by_size: dict[int, list[_Batch]] = {}
        for batch in batches:
            by_size.setdefault(batch.grams.shape[1], []).append(batch)
        for alike in by_size.values():
            sizes = [size for batch in alike for size in batch.sizes]
            grams = torch.cat([batch.grams for batch in alike]) if len(alike) > 1 else alike[0].grams
            values, checked = eigenvalues_of_batch(grams, on_device(sizes, grams.device))
            counts = [len(batch.sizes) for batch in alike]
            for batch, its_values, its_checks in zip(
                alike, torch.split(values, counts), torch.split(checked, counts), strict=True
            ):
                batch.of.keep_batch(its_values, its_checks, batch.grams)

    def _of_text(self, one: Decomposition, place: int, rows: Float[Tensor, "tokens hidden"]) -> _Waiting:
        if rows.requires_grad:
            return _Waiting(one, place, smaller_gram(rows))
        if rows.dtype == torch.float64 or self.dtype is not None:
            return _Waiting(one, place, lower_gram(rows))
        if is_flat(rows):
            return _Waiting(one, place, lower_gram(rows), rows)
        return _Waiting(one, place, lower_gram(rows.double()))


def _sound(values: Float[Tensor, " k"], tokens: int, hidden_size: int) -> Float[Tensor, " k"] | None:
    """Float32 eigenvalues in float64, normalised to sum 1; None if float32 is insufficient."""
    found = values.numpy().astype("float64")
    if tokens <= hidden_size:
        found[-1] = 0  # centred rows have rank N - 1 at most: the last value is a rounding error
    found /= found.sum()
    return torch.from_numpy(found) if float32_did(found, min(tokens - 1, hidden_size)) else None


def _padded_grams(rows: UnitRows) -> tuple[Float[Tensor, "batch k k"], tuple[int, ...]]:
    """A Gram matrix of each text, padded with zeros to one of a few sizes, and its own size.

    The smaller Gram matrix of each; if some lengths are above d and others below, the covariance of all. Sizes are
    chosen so that those of several batches can be decomposed together, and each text's arithmetic does not
    depend on the others.
    """
    each = rows.rows
    if each.dtype == torch.float32 and each.device.type != "mps" and not products_are_exact(each.device.type):
        each = each.double()  # the caller allows reduced precision in float32 products
    is_short = max(rows.tokens) <= rows.hidden_size
    grams = each @ each.mT if is_short else each.mT @ each
    sizes = rows.tokens if is_short else (rows.hidden_size,) * len(rows.tokens)
    k = grams.shape[1]
    if not can_decompose(grams.device, k, grams.dtype):  # other decompositions also process the padding
        return grams, sizes
    room = common_size(k) - k
    return torch.nn.functional.pad(grams, (0, room, 0, room)), sizes


def common_size(k: int) -> int:
    """The next padded matrix size: multiples of an eighth of a power of two, at least 16."""
    step = max(16, (1 << (k - 1).bit_length()) // 8)
    return -(-k // step) * step
