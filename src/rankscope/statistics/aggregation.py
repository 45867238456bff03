"""From measurements of texts to one row for each model, data set and layer."""

from __future__ import annotations

import polars as pl
import torch

from rankscope.metrics import aggregate_effective_rank, diff_erank, perplexity, reduced_loss

_MEANS = (
    "matrix_entropy",
    "normalized_matrix_entropy",
    "matrix_nuclear_norm",
    "nuclear_norm",
    "stable_rank",
    "participation_ratio",
    "loss",
)

Summary = dict[str, str | int | float | None]


def summarize(measurements: pl.DataFrame) -> list[Summary]:
    """One row for each model x data set x layer, in the order of the measurements.

    A text counts where every role and seed could be measured on it, so that all means of a row are
    over the same texts. Numbers that were not asked for, or have no text, are None.
    """
    keys = ["model", "dataset", "layer"]
    return [_summarize_layer(rows) for _, rows in measurements.group_by(keys, maintain_order=True)]


def _summarize_layer(rows: pl.DataFrame) -> Summary:
    seeds = rows.filter(pl.col("role") == "untrained")["seed"].n_unique()
    usable = rows.filter(pl.col("status") == "ok")
    complete = usable.group_by("text_index").len().filter(pl.col("len") == 1 + seeds)
    usable = usable.join(complete, on="text_index", how="semi").sort("seed", "text_index", nulls_last=False)
    trained = usable.filter(pl.col("role") == "trained")
    untrained = usable.filter(pl.col("role") == "untrained")
    texts = trained.height
    entropies, losses = _column(trained, "matrix_entropy"), _column(trained, "loss")
    summary: Summary = {
        "model": rows["model"][0],
        "dataset": rows["dataset"][0],
        "layer": rows["layer"][0],
        "texts": texts,
        "skipped": rows["text_index"].n_unique() - texts,
        "tokens": int(trained["n_tokens"].sum()),
        "hidden_size": usable["hidden_size"].first(),  # type: ignore[dict-item]
        "effective_rank": _number(None if entropies is None else aggregate_effective_rank(entropies, "a")),
        "effective_rank_b": _number(None if entropies is None else aggregate_effective_rank(entropies, "b")),
        **{name: _mean(trained, name) for name in _MEANS},
        "perplexity": _number(None if losses is None else perplexity(losses.mean())),
    }
    if seeds:
        summary["untrained_seeds"] = seeds
        twins = [_column(untrained, name) for name in ("matrix_entropy", "loss")]
        of_seeds = [None if twin is None else twin.reshape(seeds, texts) for twin in twins]
        summary |= _against_twins(entropies, of_seeds[0]) | _against_twin_losses(losses, of_seeds[1])
    return summary


def _against_twins(trained: torch.Tensor | None, untrained: torch.Tensor | None) -> Summary:
    """Both terms of Diff-eRank, from entropies (texts) and (seeds, texts); means over seeds."""
    names = ("effective_rank_untrained", "diff_erank", "diff_erank_b")
    if trained is None or untrained is None:
        return dict.fromkeys(names)
    return {
        "effective_rank_untrained": _number(aggregate_effective_rank(untrained).mean()),
        "diff_erank": _number(diff_erank(untrained, trained, "a").mean()),
        "diff_erank_b": _number(diff_erank(untrained, trained, "b").mean()),
    }


def _against_twin_losses(trained: torch.Tensor | None, untrained: torch.Tensor | None) -> Summary:
    if trained is None or untrained is None:
        return dict.fromkeys(("untrained_loss", "reduced_loss"))
    return {
        "untrained_loss": _number(untrained.mean()),
        "reduced_loss": _number(reduced_loss(untrained, trained).mean()),
    }


def _column(rows: pl.DataFrame, name: str) -> torch.Tensor | None:
    """A column in float64, or None where nothing was measured."""
    values = rows[name]
    return None if values.is_empty() or values.null_count() else torch.tensor(values.to_list(), dtype=torch.float64)


def _mean(rows: pl.DataFrame, name: str) -> float | None:
    values = _column(rows, name)
    return None if values is None else _number(values.mean())


def _number(value: torch.Tensor | None) -> float | None:
    return None if value is None else float(value)
