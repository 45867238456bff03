"""How far weights can be rounded, and whether the spectrum or the loss changes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from rankscope.errors import SettingsError
from rankscope.measuring import Layers
from rankscope.models import Rounding, resolve_layers, share_of_linear_weights
from rankscope.runs import local_path, prepare
from rankscope.statistics import holm
from rankscope.studies.compression.pairs import change_of, effective_rank_of, in_standard_errors
from rankscope.studies.compression.removal import JUDGED_METRICS
from rankscope.studies.compression.removal_sentences import ALPHA
from rankscope.studies.compression.workbench import AS_IT_IS, Question, Workbench, rounding, same_tokens
from rankscope.studies.sentences import short
from rankscope.studies.study import Request

BITS = (8, 6, 4, 3)
"""From the mildest rounding to the most severe."""
GROUPS: tuple[int | None, ...] = (None, 128, 64)


@dataclass(frozen=True)
class Moved:
    """The effect of other weights on a network.

    Attributes:
        table: One row per rounding: changes of the loss, of matrix entropy at the head's input, and of matrix entropy
            at the layer where it changes most clearly.
        layers: One row per rounding and layer.
        variants: Same as `table`, with one row per given variant of the model.
        share: Share of the blocks' parameters that was rounded, if known.
    """

    table: pl.DataFrame
    layers: pl.DataFrame
    variants: pl.DataFrame = field(default_factory=pl.DataFrame)
    share: float | None = None


def round_weights(bench: Workbench) -> Moved:
    """Measures the network under each rounding, on the texts for comparing networks."""
    question = all_layers(bench)
    each = [Rounding(bits, group) for group in GROUPS for bits in BITS]
    label = f"{bench.model.reference.label} on {bench.texts.name}: rounding"
    bench.progress.start(label, question.plan.tokens * (len(each) + 1))
    before = bench.measured(AS_IT_IS, question)
    rows, layers = [], []
    for one in each:
        after = bench.measured(rounding(one), question)
        said = {"scheme": one.scheme, "bits": one.bits}
        row, of_layers = moved(before, after, question.layers.names)
        rows.append(said | row)
        layers += [said | of_layer for of_layer in of_layers]
    found = bench.kept("share", {"share": "linear"}, lambda: _share(bench))
    return Moved(pl.DataFrame(rows), pl.DataFrame(layers), share=float(found["share"][0]))


def all_layers(bench: Workbench) -> Question:
    """The texts for comparing networks, measured at all layers."""
    return Question(bench.judged, Layers(resolve_layers("all", bench.blocks)), JUDGED_METRICS)


def measure_variants(bench: Workbench, request: Request) -> pl.DataFrame:
    """Compares the model with given variants on the same token ids; networks are loaded one after another.

    Raises:
        SettingsError: a variant has a different number of blocks, or tokenizes the texts differently.
    """
    question = all_layers(bench)
    before = bench.measured(AS_IT_IS, question)
    bench.release()
    rows = []
    for name in request.options.variants or ():
        job = prepare([name], request.data, request.settings)
        (texts,) = (one for one in job.text_sets if one.name == bench.texts.name)
        other = Workbench(job, texts, local_path(request.folder, "the study of compression") / "runs", request.progress)
        if other.blocks != bench.blocks or not same_tokens(bench, other.model, job):
            raise SettingsError(
                f"{name} has a different number of blocks than {bench.name}, or tokenizes the texts differently: a "
                "variant must be the same model with other weights"
            )
        bench.progress.start(f"{other.model.reference.label} on {texts.name}", question.plan.tokens)
        row, _ = moved(before, other.measured(AS_IT_IS, question), question.layers.names)
        rows.append({"variant": name} | row)
    return pl.DataFrame(rows)


def moved(
    before: pl.DataFrame, after: pl.DataFrame, layers: Sequence[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """All changes in one row, and one row per layer, with p-values after Holm's correction over layers."""
    paired = [change_of(before, after, "matrix_entropy", layer) for layer in layers]
    adjusted = holm([one.p_value for one in paired])
    errors = [in_standard_errors(before, after, "matrix_entropy", layer) for layer in layers]
    of_layers = [
        {
            "layer": layer,
            "depth": place / (len(layers) - 1),
            "entropy_shift": one.difference,
            "entropy_shift_low": one.low,
            "entropy_shift_high": one.high,
            "shift_in_errors": errors[place],
            "p_holm": p,
        }
        for place, (layer, one, p) in enumerate(zip(layers, paired, adjusted, strict=True))
    ]
    loss = change_of(before, after, "loss")
    clearest = max(range(len(layers)), key=lambda place: (-adjusted[place], errors[place] or 0.0))
    row = {
        "texts": loss.texts,
        "loss_change": loss.difference,
        "loss_change_low": loss.low,
        "loss_change_high": loss.high,
        "loss_in_errors": in_standard_errors(before, after, "loss"),
        "p_loss": loss.p_value,
        **{name: of_layers[-1][name] for name in ("entropy_shift", "entropy_shift_low", "entropy_shift_high")},
        "effective_rank": effective_rank_of(after),
        "clearest_layer": layers[clearest],
        "clearest_shift": paired[clearest].difference,
        "clearest_in_errors": errors[clearest],
        "p_spectrum": adjusted[clearest],
    }
    return row, of_layers


def sentences_on_rounding(found: Moved, subject: str) -> Iterator[str]:
    """Sentences on whether the loss or the spectrum moves first under each scheme, then on the given variants."""
    for name, rows in found.table.group_by("scheme", maintain_order=True):
        yield f"{subject}, rounded {name[0]}: {_first_to_move(rows)}"
    yield (
        f"{subject}: beyond noise means p below {ALPHA} in a sign-flip test of the texts' differences, for matrix "
        "entropy at any layer after Holm's correction over layers. A spectrum that moves earlier is measured with less "
        "noise; this does not mean that the model is already worse."
    )
    if found.share is not None and found.share < 0.995:
        yield f"{subject}: only the weights of linear layers were rounded, {found.share:.1%} of the blocks' parameters."
    for row in found.variants.rows(named=True):
        yield f"{subject}, compared with {short(row['variant'])}: {_sizes(row)}."


def _first_to_move(rows: pl.DataFrame) -> str:
    ordered = rows.sort("bits", descending=True)
    by_loss = ordered.filter(pl.col("p_loss") < ALPHA, pl.col("loss_change") > 0)
    by_spectrum = ordered.filter(pl.col("p_spectrum") < ALPHA)
    loss = None if by_loss.is_empty() else int(by_loss["bits"][0])
    spectrum = None if by_spectrum.is_empty() else int(by_spectrum["bits"][0])
    if loss is None and spectrum is None:
        return f"neither loss nor matrix entropy moves beyond noise down to {min(rows['bits'])} bits."
    both = f"matrix entropy moves beyond noise {_from(spectrum)}, the loss rises beyond noise {_from(loss)}"
    if loss == spectrum:
        return f"{both}: the spectrum gives no earlier warning. There, {_sizes(by_loss.row(0, named=True))}."
    spectrum_first = loss is None or (spectrum is not None and spectrum > loss)
    row = (by_spectrum if spectrum_first else by_loss).row(0, named=True)
    verdict = "the spectrum moves first" if spectrum_first else "the loss rises first"
    return f"{both}: {verdict}. At {row['bits']} bits, {_sizes(row)}."


def _from(bits: int | None) -> str:
    return "at no number of bits" if bits is None else f"from {bits} bits down"


def _sizes(row: dict[str, Any]) -> str:
    return (
        f"the loss changes by {row['loss_change']:+.4f} ({row['loss_change_low']:+.4f} to "
        f"{row['loss_change_high']:+.4f}{_errors(row['loss_in_errors'])}), and matrix entropy most clearly at layer "
        f"{row['clearest_layer']}, by {row['clearest_shift']:+.4f} nats{_errors(row['clearest_in_errors'])}"
    )


def _errors(number: float | None) -> str:
    return "" if number is None else f", {number:.1f} standard errors"


def _share(bench: Workbench) -> pl.DataFrame:
    return pl.DataFrame({"share": [share_of_linear_weights(bench.loaded())]})
