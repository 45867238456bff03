"""Measuring texts: from batches of token ids to numbered batches of rows, one row per text and layer."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from rankscope.errors import LayerError, RankscopeError, first_line
from rankscope.measuring.across_layers import AcrossLayers
from rankscope.measuring.each_text import EachText, Skip
from rankscope.measuring.layers import Layers
from rankscope.measuring.reducers import OneVector, Reducer
from rankscope.measuring.seen import HowSeen, Seen
from rankscope.measuring.transfer import Transfer
from rankscope.metrics import metric_names
from rankscope.metrics.table import needed_by
from rankscope.models import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from rankscope.measuring.columns import Row
    from rankscope.measuring.planned import Plan, PlannedText, UnusableText
    from rankscope.models import LoadedNetwork
    from rankscope.settings import Pool, SpectraDtype

_SEEDS_OF_A_TWIN = 1 << 32
TEXTS_WITH_SPECTRA = 8
"""Number of texts whose eigenvalues are kept, for charts; all others are reduced to their metrics."""


@dataclass(frozen=True)
class TextTask:
    """What to measure with one network on one set of texts, and how its rows are labelled.

    Attributes:
        model: the model's name in rows.
        dataset: the data set's name in rows.
        role: `trained` or `untrained`.
        seed: the twin's, None for the trained model.
        layers: layers to measure, and which of them are compared.
        metrics: names.
        reseed: give each text its own dropout seed, so that results do not depend on what ran before:
            `torch.manual_seed(seed * 2**32 + text_index)` before its forward pass.
        drop_tokens: which tokens to exclude from representations; see `metrics.drop_tokens`.
        pool: rows hold one vector per text, for metrics of the data set.
        spectra_dtype: the precision of spectra; None to decide for each text.
    """

    model: str
    dataset: str
    role: str = "trained"
    seed: int | None = None
    layers: Layers = field(default_factory=Layers)
    metrics: tuple[str, ...] = ("matrix_entropy", "effective_rank")
    reseed: bool = False
    drop_tokens: str | None = None
    pool: Pool | None = None
    spectra_dtype: SpectraDtype | None = None

    @property
    def arithmetic(self) -> torch.dtype | None:
        """The precision of spectra; None to decide for each text."""
        known = {"float32": torch.float32, "float64": torch.float64}
        return None if self.spectra_dtype is None else known[self.spectra_dtype]


def measure_batches(
    task: TextTask, plan: Plan, network: LoadedNetwork, done: Collection[int] = ()
) -> Iterator[tuple[int, list[Row]]]:
    """Measures the batches of a plan, and yields each batch with its number.

    The last batch, with number `len(plan.batches)`, has a row for each text and layer that cannot be measured; it is
    omitted if there are none.

    Args:
        task: what to measure.
        plan: the token ids.
        network: `fitted_to` this plan.
        done: numbers of batches to omit.

    Raises:
        LayerError: a layer of zeros or of non-finite values.
        ForwardPassError: the network failed, or its layers differ from those of its trial run.
        RankscopeError: the device ran out of memory.
    """
    each = EachText([*task.metrics, *needed_by(task.metrics)], TEXTS_WITH_SPECTRA)
    ahead: deque[tuple[int, list[_Measured]]] = deque()  # the device computes these while earlier results are read
    for number in range(len(plan.batches)):
        if number in done or not (batch := plan.batches[number]):  # empty: belongs to another part of the plan
            continue
        try:
            ahead.append((number, _measure_batch(task, batch, network, each)))
        except RankscopeError:
            yield from _read_all(ahead)
            raise
        while ahead and all(part.is_read for part in ahead[0][1]):
            yield _read(*ahead.popleft())
    yield from _read_all(ahead)
    if plan.unusable and len(plan.batches) not in done:
        yield len(plan.batches), [_unusable(task, text, layer) for text in plan.unusable for layer in task.layers.names]


def _read_all(ahead: deque[tuple[int, list[_Measured]]]) -> Iterator[tuple[int, list[Row]]]:
    while ahead:
        yield _read(*ahead.popleft())


def _read(number: int, parts: list[_Measured]) -> tuple[int, list[Row]]:
    return number, [row for part in parts for row in part.rows()]


def _measure_batch(
    task: TextTask, batch: tuple[PlannedText, ...], network: LoadedNetwork, each: EachText
) -> list[_Measured]:
    whole = Batch.of([list(text.tokens) for text in batch])
    # Dropout of a twin in train mode uses torch's global generator, whose state is restored for the caller.
    with torch.random.fork_rng() if task.reseed else nullcontext():
        if task.reseed and task.seed is not None:
            torch.manual_seed(task.seed * _SEEDS_OF_A_TWIN + batch[0].index)
        return [
            _measure_part(_Measured(task, [batch[text] for text in part], each), whole.select(part), network)
            for part in network.parts(whole.lengths)
        ]


def _measure_part(measured: _Measured, batch: Batch, network: LoadedNetwork) -> _Measured:
    """Runs texts in one forward pass, and reduces each layer as it is computed."""
    task = measured.task
    how = HowSeen(task.drop_tokens, network.dtype, task.arithmetic)

    def reduce(layer: str, states: list[Tensor]) -> None:
        seen = Seen(layer, dict(zip(measured.by_place, states, strict=True)), how)
        measured.each.see(seen)
        for reducer in measured.reducers:
            reducer.see(seen)
        seen.release()

    try:
        losses = network.run(batch, task.layers.names, reduce, loss="loss" in task.metrics)
        measured.close(losses, network.device)
    except torch.OutOfMemoryError as error:
        texts = [len(text.tokens) for text in measured.by_place.values()]
        raise RankscopeError(
            f"out of memory on a batch of {len(texts)} x {texts[0]} tokens: lower --batch-tokens or "
            f"--max-length, or use --dtype bfloat16 ({first_line(error)})"
        ) from error
    return measured


class _Measured:
    """Texts that ran in one forward pass, with results that may still be in transfer.

    Args:
        task: what is measured.
        texts: the texts.
        each: computes the metrics of one text at one layer, for the whole task.
    """

    def __init__(self, task: TextTask, texts: list[PlannedText], each: EachText) -> None:
        self.task, self.by_place, self.each = task, {text.index: text for text in texts}, each
        self.reducers: tuple[Reducer, ...] = (AcrossLayers(task.metrics, task.layers.before), OneVector(task.pool))
        self._losses: Transfer | None = None

    @property
    def is_read(self) -> bool:
        """Whether the results have arrived."""
        return self.each.is_read(self.by_place)

    def close(self, losses: Tensor | None, device: torch.device) -> None:
        """Ends the forward pass."""
        self.each.close(device)
        for reducer in self.reducers:
            reducer.close()
        self._losses = None if losses is None else Transfer([losses])

    def rows(self) -> list[Row]:
        """A row per text and layer; waits for the results.

        Raises:
            LayerError: non-finite or all-zero values.
        """
        # First, because the other reducers need to know which texts failed, and a loss is wrong if its states are.
        each = self.each.rows(self.by_place, self._refuse)
        of_text = self._read_losses()
        unwanted = set(metric_names()) - set(self.task.metrics)
        more = [reducer.rows(each) for reducer in self.reducers]
        return [
            _row(self.task, self.by_place[place], layer, len(self.by_place[place].tokens))
            | {"cut": self.by_place[place].is_cut}
            | {name: value for name, value in numbers.items() if name not in unwanted}
            | {name: value for rows in more for name, value in rows.get((place, layer), {}).items()}
            | ({"loss": of_text[place]} if of_text else {})
            for (place, layer), numbers in each.items()
        ]

    def _refuse(self, skip: Skip) -> None:
        """Raises for faults of the network rather than the text; other texts are skipped."""
        where = f"{self.task.model}, layer {skip.layer}, text {self.by_place[skip.place].id!r}"
        if skip.error.fault == "not finite":
            raise LayerError(f"{where}: {skip.error}") from skip.error
        if skip.is_zero:
            raise LayerError(
                f"{where}: all hidden states are zero. Weights spread over several devices have caused this: "
                "try a single device, and check the checkpoint"
            ) from skip.error

    def _read_losses(self) -> dict[int, float]:
        if self._losses is None:
            return {}
        of_text = dict(zip(self.by_place, self._losses.read()[0].tolist(), strict=True))
        for place, loss in of_text.items():
            if not math.isfinite(loss):
                name, text = self.task.model, self.by_place[place].id
                raise LayerError(f"{name}: the loss of text {text!r} is {loss}: the head overflows")
        return of_text


def _row(task: TextTask, text: PlannedText | UnusableText, layer: str, n_tokens: int | None) -> Row:
    return {
        "model": task.model,
        "dataset": task.dataset,
        "text_index": text.index,
        "text_id": text.id,
        "layer": layer,
        "role": task.role,
        "seed": task.seed,
        "n_tokens": n_tokens,
        "reason": None,
    }


def _unusable(task: TextTask, text: UnusableText, layer: str) -> Row:
    return _row(task, text, layer, text.n_tokens) | {"status": "skipped", "reason": text.reason}
