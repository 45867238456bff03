"""Prediction of a study's target over models, as a table and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import polars as pl

from rankscope.statistics import FEWEST_FOR_PREDICTION, predictions
from rankscope.studies.conditions import with_tokens_per_text
from rankscope.studies.sentences import at, by_group_and_layer
from rankscope.tables import said


def prediction_table(table: pl.DataFrame, metrics: Sequence[str], target: str) -> pl.DataFrame:
    """Each baseline alone and with each metric (`statistics.predictions`), with `verdict`.

    Args:
        table: One summary row per model, with its family.
        metrics: Columns that are added to baselines.
        target: The column to predict.

    Raises:
        SettingsError: a model has no family or no parameter count.
    """
    rows = with_tokens_per_text(table).rows(named=True)
    found = [asdict(one) | {"verdict": one.verdict} for one in predictions(rows, metrics, target)]
    return pl.DataFrame(found, schema=_SCHEMA)


def predicted(table: pl.DataFrame, by: str, metrics: Sequence[str], target: str) -> tuple[pl.DataFrame, list[str]]:
    """Predictions within each value of a column and each layer, with sentences."""
    parts: list[pl.DataFrame] = []
    sentences: list[str] = []
    for (value,), layer, rows in by_group_and_layer(table, by):
        found = prediction_table(rows, metrics, target)
        parts.append(found.with_columns(pl.lit(value).alias(by), layer=pl.lit(layer)))
        known = rows.height - rows[target].null_count()
        sentences += [f"{value}{at(layer)}: {text}" for text in prediction_sentences(found, known, target)]
    return pl.concat(parts), sentences


def prediction_sentences(found: pl.DataFrame, models: int, target: str) -> Iterator[str]:
    """Sentences on the prediction from each baseline and the gain of each metric, or why there is no prediction.

    Args:
        found: The result of `prediction_table`.
        models: The number of models with the target.
        target: The predicted column.
    """
    if found.is_empty():
        yield (
            f"{models} models are too few to predict {said(target)}: at least {FEWEST_FOR_PREDICTION} are needed."
            if models < FEWEST_FOR_PREDICTION
            else f"{said(target)} cannot be predicted over {models} models: it is constant, or size, length and "
            "loss are."
        )
    for (baseline,), rows in found.group_by("baseline", maintain_order=True):
        alone, *added = rows.rows(named=True)
        source = said(_entering(str(baseline)))
        yield (
            f"{said(target)} of each {alone['left_out']}, predicted from all others by {source} alone over "
            f"{alone['models']} models: R squared {_with_interval(alone, 'r_squared')}"
            + (f", Spearman {alone['spearman']:+.2f}." if alone["spearman"] is not None else ".")
        )
        if added:
            parts = [f"{said(row['metric'])} {_with_interval(row, 'gain')}, {row['verdict']}" for row in added]
            yield (
                f"Gain in R squared over {source} (intervals by Holm's procedure over "
                f"{len(added)} metrics): {'; '.join(parts)}."
            )


def _entering(baseline: str) -> str:
    """The column that is fitted for a baseline: the logarithm of parameters, otherwise the baseline itself."""
    return "log_parameters" if baseline == "parameters" else baseline


def _with_interval(row: dict[str, object], key: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return f"{row[key]:+.2f}" + (f" ({low:+.2f} to {high:+.2f})" if low is not None else "")


_NUMBERS = [f"{name}{end}" for name in ("r_squared", "spearman", "gain") for end in ("", "_low", "_high")]
_SCHEMA = (
    dict.fromkeys(("target", "baseline", "metric"), pl.String)
    | dict.fromkeys((*_NUMBERS, "p_value"), pl.Float64)
    | {"models": pl.Int64, "families": pl.Int64, "left_out": pl.String, "verdict": pl.String}
)
