"""All metrics, each declared once.

Everything that refers to metrics by name is derived from this table: the columns of measurements, the names accepted
in settings, what is averaged, compared and read against noise, and labels in tables and charts. Columns are in this
order.

The functions below look at `METRICS` when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rankscope.errors import UnknownNameError
from rankscope.metrics import nulls
from rankscope.metrics.controls import rotated_matrix_nuclear_norm_of_unit_rows
from rankscope.metrics.entropy import (
    effective_rank,
    matrix_entropy,
    normalized_matrix_entropy,
    participation_ratio,
    stable_rank,
)
from rankscope.metrics.likelihood import token_cross_entropy
from rankscope.metrics.norms import matrix_nuclear_norm_of_unit_rows, nuclear_norm
from rankscope.metrics.similarity import (
    difference,
    linear_cka_of_texts,
    mean_cosine_similarity_of_texts,
)

Reads = Literal["spectrum", "unit rows", "adjacent layers", "adjacent entropies", "logits"]
"""The input of a metric's function.

The `Spectrum` of several texts at one layer, or their `UnitRows`, to compute one number each; their `Texts` at two
adjacent layers, the earlier one first, to compute one number each and whether a text has it; the matrix entropies of
one text at two adjacent layers; or logits and token ids.
"""

ONE_LAYER: tuple[Reads, ...] = ("spectrum", "unit rows")
"""Reads hidden states of a single layer."""

ADJACENT_LAYERS: tuple[Reads, ...] = ("adjacent layers", "adjacent entropies")
"""Reads a layer and the previous one."""


@dataclass(frozen=True)
class Metric:
    """A number for each text at each layer.

    Attributes:
        name: of its column; documented by the public function of that name in `rankscope.metrics`, if there is one.
        function: takes what the metric reads, and returns its numbers.
        reads: the function's input.
        unit: of the number; empty for none.
        range: from the smallest to the largest value, in words.
        label: in tables and charts.
        digits: decimals if no interval determines them.
        null: the value for isotropic noise, from tokens and hidden size; None if no closed form is known.
        exponential_of: the metric whose mean over texts this one is the exponential of.
        signed: whether it can be negative, so that a share of it is meaningless.
        default: measured by default.
    """

    name: str
    function: Callable[..., Any]
    reads: Reads
    unit: str
    range: str
    label: str
    digits: int
    null: Callable[[int, int], float] | None = None
    exponential_of: str | None = None
    signed: bool = False
    default: bool = True


METRICS: tuple[Metric, ...] = (
    Metric(
        "matrix_entropy", matrix_entropy, "spectrum",
        unit="nats", range="0 to ln min(N - 1, d)", label="H", digits=3, null=nulls.matrix_entropy,
    ),
    Metric(
        "effective_rank", effective_rank, "spectrum",
        unit="dimensions", range="1 to min(N - 1, d)", label="eRank", digits=2, null=nulls.effective_rank,
        exponential_of="matrix_entropy",
    ),
    Metric(
        "normalized_matrix_entropy", normalized_matrix_entropy, "spectrum",
        unit="", range="0 to 1", label="H/ln d", digits=4, null=nulls.normalized_matrix_entropy,
    ),
    Metric(
        "nuclear_norm", nuclear_norm, "spectrum",
        unit="", range="sqrt(N) to sqrt(N min(N - 1, d))", label="nuclear norm", digits=3, null=nulls.nuclear_norm,
    ),
    Metric(
        "stable_rank", stable_rank, "spectrum",
        unit="dimensions", range="1 to min(N - 1, d)", label="stable rank", digits=2, null=nulls.stable_rank,
    ),
    Metric(
        "participation_ratio", participation_ratio, "spectrum",
        unit="dimensions", range="1 to min(N - 1, d)", label="participation ratio", digits=2,
        null=nulls.participation_ratio,
    ),
    Metric(
        "matrix_nuclear_norm", matrix_nuclear_norm_of_unit_rows, "unit rows",
        unit="", range="above 0", label="MNN", digits=4, null=nulls.matrix_nuclear_norm,
    ),
    Metric("loss", token_cross_entropy, "logits", unit="nats per token", range="at least 0", label="loss", digits=3),
    Metric(
        "rotated_matrix_nuclear_norm", rotated_matrix_nuclear_norm_of_unit_rows, "unit rows",
        unit="", range="above 0", label="rotated MNN", digits=4, default=False,
    ),
    Metric(
        "matrix_entropy_change", difference, "adjacent entropies",
        unit="nats", range="-ln min(N - 1, d) to ln min(N - 1, d)", label="change of H", digits=3, signed=True,
        default=False,
    ),
    Metric(
        "linear_cka", linear_cka_of_texts, "adjacent layers",
        unit="", range="0 to 1", label="CKA", digits=4, null=nulls.linear_cka, default=False,
    ),
    Metric(
        "mean_cosine_similarity", mean_cosine_similarity_of_texts, "adjacent layers",
        unit="", range="-1 to 1", label="cosine", digits=4, signed=True, default=False,
    ),
)  # fmt: skip
"""All metrics of an evaluation, in column order."""


def metric_names(*, default_only: bool = False) -> tuple[str, ...]:
    """The names of all metrics, or of those measured by default.

    Example:
        >>> metric_names(default_only=True)[:2]
        ('matrix_entropy', 'effective_rank')
    """
    return tuple(metric.name for metric in METRICS if metric.default or not default_only)


def metrics_that_read(*what: Reads) -> tuple[Metric, ...]:
    """The metrics whose functions have one of these inputs."""
    return tuple(metric for metric in METRICS if metric.reads in what)


def needed_by(names: Collection[str]) -> tuple[str, ...]:
    """Metrics from which these are computed, without those that are among them."""
    of_entropies = any(metric.name in names for metric in metrics_that_read("adjacent entropies"))
    return ("matrix_entropy",) if of_entropies and "matrix_entropy" not in names else ()


def metrics_with_a_null() -> tuple[str, ...]:
    """The names of metrics whose value for isotropic noise is known."""
    return tuple(metric.name for metric in METRICS if metric.null is not None)


def metric_named(name: str) -> Metric:
    """The metric with this name.

    Raises:
        UnknownNameError: there is no such metric.

    Example:
        >>> metric_named("effective_rank").unit
        'dimensions'
    """
    for metric in METRICS:
        if metric.name == name:
            return metric
    raise UnknownNameError("metric", name, metric_names())


def with_what_they_need(names: Iterable[str]) -> tuple[str, ...]:
    """The names without duplicates, preceded by the metrics that they are computed from.

    Raises:
        UnknownNameError: no such metric.
    """
    wanted = [metric_named(name) for name in names]
    bases = [metric.exponential_of for metric in wanted if metric.exponential_of is not None]
    return tuple(dict.fromkeys([*bases, *(metric.name for metric in wanted)]))


def noise_value(metric: str, tokens: int, hidden_size: int) -> float:
    """The value of a metric for isotropic noise of shape (tokens, hidden size), within a few per cent.

    Args:
        metric: the name of a metric with a null.
        tokens: N, at least 3.
        hidden_size: d, at least 2.

    Raises:
        UnknownNameError: no such metric.
        SettingsError: a shape for which noise has no spectrum.

    Example:
        >>> round(noise_value("effective_rank", 100, 768), 2)
        92.82
    """
    null = next((one.null for one in METRICS if one.name == metric), None)
    if null is None:
        raise UnknownNameError("metric with a null", metric, metrics_with_a_null())
    nulls.check_shape(tokens, hidden_size)
    return null(tokens, hidden_size)
