"""The loop: one unit of a run, batch by batch, from token ids to rows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from rankscope.errors import LayerError, RankscopeError, RepresentationError
from rankscope.metrics import drop_tokens, measure_with_spectrum
from rankscope.metrics.table import ONE_LAYER, metrics_that_read
from rankscope.models import Batch, Reading, check_padding, check_token_ids, forward
from rankscope.runs.store import READINGS

if TYPE_CHECKING:
    from torch import Tensor

    from rankscope.models import Network
    from rankscope.runs.plan import Plan, PlannedText, UnusableText
    from rankscope.runs.progress import Progress
    from rankscope.runs.store import Row, RunFolder

_SEEDS_OF_A_TWIN = 1 << 32
TEXTS_WITH_SPECTRA = 8
"""The eigenvalues of the first so many texts are kept, for pictures; all others are reduced to their metrics."""


@dataclass(frozen=True)
class Unit:
    """One model in one role on one data set: what is computed in one go and stored in one file.

    Attributes:
        name: the file's name.
        model: the model reference as given.
        dataset: the data set's name.
        role: `trained` or `untrained`.
        seed: the twin's, None for the trained model.
        layers: which layers.
        metrics: which numbers.
        reseed: draw dropout from a seed of its own for each text, so that results do not depend on
            what ran before: `torch.manual_seed(seed * 2**32 + text_index)` before its forward pass.
        drop_tokens: which tokens to leave out of representations; see `metrics.drop_tokens`.
    """

    name: str
    model: str
    dataset: str
    role: str
    seed: int | None
    layers: tuple[str, ...]
    metrics: tuple[str, ...]
    reseed: bool = False
    drop_tokens: str | None = None


def measure_unit(unit: Unit, plan: Plan, network: Network, folder: RunFolder, progress: Progress) -> None:
    """Measures the batches of a unit that are missing, and joins them all.

    Raises:
        LayerError: a layer of zeros or of values that are not finite.
        ModelError: a token id without a row in the embedding.
        ForwardPassError: the network failed, or its layers are not those of its trial run.
        StorageError: a batch could not be written.
        RankscopeError: the device ran out of memory.
    """
    largest = max((max(text.tokens) for batch in plan.batches for text in batch), default=0)
    check_token_ids(unit.model, largest, network.model)
    if pair := _most_padded(plan, network):
        network = check_padding(network, *pair)
    if unit.seed is None:
        folder.write_json(f"{READINGS}/{unit.name}.json", {"model": unit.model, **asdict(Reading.of(network))})
    there = folder.finished_batches(unit.name)
    for number, batch in enumerate(plan.batches):
        if number not in there:
            folder.write_batch(unit.name, number, _measure_batch(unit, batch, network))
        progress.advance(sum(len(text.tokens) for text in batch), computed=number not in there)
    if plan.unusable and len(plan.batches) not in there:
        rows = [_unusable(unit, text, layer) for text in plan.unusable for layer in unit.layers]
        folder.write_batch(unit.name, len(plan.batches), rows)
    folder.finish_unit(unit.name, unit.layers)


def _most_padded(plan: Plan, network: Network) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The longest and the shortest text of the forward pass with most padding; None where there is no padding."""
    pairs = [
        (batch[part[0]].tokens, batch[part[-1]].tokens)
        for batch in plan.batches
        for part in network.parts(tuple(len(text.tokens) for text in batch))
    ]
    longer, shorter = max(pairs, key=lambda pair: len(pair[0]) - len(pair[1]), default=((), ()))
    return (longer, shorter) if len(longer) > len(shorter) else None


def _measure_batch(unit: Unit, batch: tuple[PlannedText, ...], network: Network) -> list[Row]:
    if unit.reseed and unit.seed is not None:
        torch.manual_seed(unit.seed * _SEEDS_OF_A_TWIN + batch[0].index)
    whole = Batch.of([list(text.tokens) for text in batch])
    rows: list[Row] = []
    for part in network.parts(whole.lengths):
        rows += _measure_part(unit, [batch[text] for text in part], whole.select(part), network)
    return rows


def _measure_part(unit: Unit, texts: list[PlannedText], batch: Batch, network: Network) -> list[Row]:
    """The rows of texts that run in one forward pass."""
    rows: list[Row] = []

    def reduce(layer: str, states: list[Tensor]) -> None:
        for text, hidden in zip(texts, states, strict=True):
            numbers = _numbers(unit, text, layer, hidden, network.dtype)
            row = _row(unit, text.index, text.id, layer, len(text.tokens)) | {"cut": text.is_cut}
            rows.append(row | numbers)

    try:
        losses = forward(network, batch, unit.layers, reduce, loss="loss" in unit.metrics)
    except torch.OutOfMemoryError as error:
        longest = len(texts[0].tokens)
        raise RankscopeError(
            f"out of memory on a batch of {len(texts)} x {longest} tokens: lower --batch-tokens or "
            f"--max-length, or use --dtype bfloat16 ({str(error).splitlines()[0]})"
        ) from error
    if losses is not None:
        by_text = dict(zip((text.index for text in texts), losses, strict=True))
        for text, loss in zip(texts, losses, strict=True):
            if not math.isfinite(loss):
                raise LayerError(f"{unit.model}: the loss of text {text.id!r} is {loss}: the head overflows")
        for row in rows:
            row["loss"] = by_text[row["text_index"]]  # type: ignore[index]
    return rows


def _numbers(unit: Unit, text: PlannedText, layer: str, hidden: Tensor, computed_in: torch.dtype) -> Row:
    names = [metric.name for metric in metrics_that_read(*ONE_LAYER) if metric.name in unit.metrics]
    try:
        if unit.drop_tokens is not None:
            hidden = drop_tokens(hidden, unit.drop_tokens)
        numbers, spectrum = measure_with_spectrum(hidden, names, computed_in=computed_in)
    except RepresentationError as error:
        if error.fault == "not finite":
            raise LayerError(f"{unit.model}, layer {layer}, text {text.id!r}: {error}") from error
        if error.fault == "equal rows" and not hidden.any():
            raise LayerError(
                f"{unit.model}, layer {layer}, text {text.id!r}: all hidden states are zero. Weights spread "
                "over several devices have caused this: try one device, and check the checkpoint"
            ) from error
        return {"status": "skipped", "reason": error.fault}
    # One transfer from the device for all of them.
    values = torch.stack([numbers[name] for name in names]).tolist() if names else []
    found: Row = {"status": "ok", "n_tokens": hidden.shape[0], "hidden_size": hidden.shape[1]}
    if spectrum is not None and text.index < TEXTS_WITH_SPECTRA:
        found["eigenvalues"] = spectrum.positive[spectrum.positive > 0].tolist()
    return found | dict(zip(names, values, strict=True))


def _row(unit: Unit, index: int, text_id: str, layer: str, n_tokens: int | None) -> Row:
    return {
        "model": unit.model,
        "dataset": unit.dataset,
        "text_index": index,
        "text_id": text_id,
        "layer": layer,
        "role": unit.role,
        "seed": unit.seed,
        "n_tokens": n_tokens,
        "reason": None,
    }


def _unusable(unit: Unit, text: UnusableText, layer: str) -> Row:
    row = _row(unit, text.index, text.id, layer, text.n_tokens)
    return row | {"status": "skipped", "reason": text.reason}
