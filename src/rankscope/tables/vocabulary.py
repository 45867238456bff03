"""The label, unit and number of decimals of every column, wherever it is shown.

Metrics are described in `metrics/table.py`; this module adds derived columns, counts and other values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rankscope.metrics import metric_named, metric_names
from rankscope.tables.table import Column

INTERVAL = "95 % interval"
"""Heading of the interval column that follows a number."""


@dataclass(frozen=True)
class Term:
    """The wording of a column.

    Attributes:
        label: wording for tables, charts and metadata.
        unit: empty if the value has no unit.
        digits: decimals if no interval determines them; None for three.
        said: wording for sentences and axes, if the label is unsuitable.
        spelled_out: long form, for use out of context.
        percent: a share, shown as a percentage.
        sign: show the plus sign of positive numbers.
        is_name: text, aligned left.
    """

    label: str
    unit: str = ""
    digits: int | None = None
    said: str | None = None
    spelled_out: str | None = None
    percent: bool = False
    sign: bool = False
    is_name: bool = False


_TERMS = {
    **{key: Term(key, is_name=True) for key in ("model", "family", "condition", "stage", "responder", "metric")},
    **{key: Term(key, is_name=True) for key in ("target", "given", "method", "checkpoint", "architecture", "where")},
    **{key: Term(key, is_name=True) for key in ("ranking", "scheme", "subject", "variant")},
    "dataset": Term("data", is_name=True),
    "called": Term("named", is_name=True),
    "judge": Term("judged by", is_name=True),
    "control": Term("images", is_name=True),
    "initializer": Term("twin's initializer", is_name=True),
    "beside": Term("with", is_name=True),
    "spearman": Term("Spearman", digits=2, sign=True),
    "pearson": Term("Pearson", digits=2, sign=True),
    "size": Term("size", "texts"),
    "length": Term("length", "tokens"),
    "tokens_per_text": Term("tokens per text", "tokens", 1, said="length"),
    "hidden_size": Term("hidden size", "dimensions"),
    "log_hidden_size": Term("hidden size"),
    "log_parameters": Term("ln(parameters)"),
    "baseline": Term("from", is_name=True),
    "added": Term("with", is_name=True),
    "verdict": Term("verdict", is_name=True),
    "r_squared": Term("R²", digits=2),
    "gain": Term("gain in R²", digits=2, sign=True),
    "diff_erank": Term("Diff-eRank", "dimensions", 2),
    "erank_ratio": Term("eRank ratio", digits=3, spelled_out="eRank trained / untrained"),
    "effective_rank_untrained": Term("eRank untrained", "dimensions", 2, said="untrained eRank"),
    "b_over_a": Term("(b) / (a)", digits=3),
    "over_noise": Term("MNN / noise", percent=True),
    "rankme": Term("RankMe", "dimensions", 2),
    "alpha_req": Term("alpha-ReQ", digits=3),
    "pooled_effective_rank": Term("pooled eRank", "dimensions", 2),
    "pooled_stable_rank": Term("pooled stable rank", "dimensions", 2),
    "uniformity": Term("uniformity", digits=3),
    "bits_per_character": Term("bits/char", "bits per character", 3, said="bits per character"),
    "untrained_deviation": Term("SD untrained"),
    "seed_deviation": Term("SD between seeds"),
    "trained_deviation": Term("SD trained"),
    "explained": Term("explained by the untrained", percent=True),
    "reduced_loss": Term("reduced loss", "nats per token", 3),
    **{f"erank{place}": Term(f"eRank{place}", "dimensions", 2) for place in range(1, 6)},
    "image_reduction_ratio": Term("reduction", digits=4, spelled_out="image reduction ratio"),
    "image_text_alignment": Term("alignment", digits=4, spelled_out="image-text alignment"),
    "modality_integration_rate": Term("MIR", digits=3, spelled_out="modality integration rate"),
    "forward_seconds": Term("forward, s", "s", 2, said="forward"),
    "mnn_seconds": Term("with MNN, s", "s", 2, said="with MNN"),
    "entropy_seconds": Term("with entropy, s", "s", 2, said="with entropy"),
    "papers_seconds": Term("papers' way, s", "s", 1, said="papers' way"),
    "entropy_over_mnn": Term("entropy / MNN", digits=3),
    "papers_over_entropy": Term("papers' / entropy", digits=1),
    "forward_memory": Term("peak forward, GiB", "GiB", 2),
    "entropy_memory": Term("peak entropy, GiB", "GiB", 2),
    "papers_memory": Term("peak papers', GiB", "GiB", 2),
    "removed": Term("removed", "blocks", said="removed"),
    "blocks": Term("blocks", is_name=True),
    "block": Term("block"),
    "other": Term("compared with", is_name=True),
    "entropy_change": Term("|change of H|", "nats", 4, spelled_out="size of the change of matrix entropy"),
    "effective_rank_change": Term("|change of eRank|", "dimensions", 2),
    "cka_distance": Term("1 - CKA", digits=4),
    "block_influence": Term("block influence", digits=4),
    "loss_in_errors": Term("loss moves by", "standard errors", 1),
    "clearest_in_errors": Term("spectrum moves by", "standard errors", 1, spelled_out="at the layer that moves most"),
    "entropy_shift": Term("H moves by", "nats", 4, sign=True),
    "held": Term("variance", is_name=True),
    "of_hidden_size": Term("directions / hidden size", percent=True),
    "of_weights": Term("low-rank reader / its weights", percent=True),
    "share": Term("variance", percent=True),
}
"""Columns that are not metrics; a key that is missing here is its own label."""

_SPELLED_OUT = {"effective_rank": "effective rank", "matrix_nuclear_norm": "Matrix Nuclear-Norm"}


def term(key: str) -> Term:
    """The wording of a column, including derived ones: noise, untrained twin, change."""
    if key in _TERMS:
        return _TERMS[key]
    if key in metric_names():
        metric = metric_named(key)
        return Term(metric.label, metric.unit, metric.digits, spelled_out=_SPELLED_OUT.get(key))
    for ending, follow in _ENDINGS.items():
        base = key.removesuffix(ending)
        if base != key and (base in _TERMS or base in metric_names()):
            return follow(term(base))
    return Term(key.replace("_", " "))


def _change(base: Term, label: str) -> Term:
    return Term(label, base.unit, max(4, base.digits or 0), sign=True)


_ENDINGS: dict[str, Callable[[Term], Term]] = {
    "_over_noise": lambda _: Term("vs noise", percent=True),
    "_noise": lambda base: replace(base, label="noise", said=None, spelled_out=None),
    "_untrained": lambda base: replace(base, label=f"{base.label} untrained", said=None, spelled_out=None),
    "_b": lambda base: replace(base, label=f"{base.label} (b)", said=None, spelled_out=None),
    "_difference": lambda base: _change(base, f"{base.label} - base"),
    "_change": lambda base: _change(base, f"change of {base.label}"),
}


def said(key: str) -> str:
    """The name of a column in a sentence."""
    one = term(key)
    return one.said or one.label


def titled(key: str, *, spelled_out: bool = False, scale: str = "") -> str:
    """The title of an axis, with its unit.

    Args:
        key: the column's key.
        spelled_out: use the long form, for use out of context.
        scale: further description of the axis, such as `log scale`.
    """
    one = term(key)
    name = (one.spelled_out if spelled_out else None) or said(key)
    behind = ", ".join(part for part in (one.unit, scale) if part)
    return f"{name} ({behind})" if behind else name


def column(key: str, **changes: Any) -> Column:
    """A column of a table.

    Args:
        key: the rows' key for the value.
        **changes: fields of `Column` to override.
    """
    one = term(key)
    align = "left" if one.is_name else "right"
    shown = Column(key, one.label, digits=one.digits, percent=one.percent, sign=one.sign, align=align)  # type: ignore[arg-type]
    return replace(shown, **changes)
