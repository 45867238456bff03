"""Notes on ranks and norms that say little about a model: near noise, explained by hidden size, one direction."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats

from rankscope.statistics.aggregation import Summary
from rankscope.statistics.notes.note import Facts, Note, note_with_extremes, number, row_name

NEAR_NOISE = 0.15
RANKED_BY_SIZE = 0.9  # |Spearman|, for four or more models
FEWEST_MODELS_TO_RANK = 4
SINK_STABLE_RANK = 2.0  # the largest eigenvalue has more than half of the spectrum,
SINK_SHARE = 0.5  # and the layer has less than half of the widest layer's effective rank


def near_noise(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """A metric is close to its value for noise of the same shape; one note per metric."""
    notes: list[Note] = []
    for metric, called in (("effective_rank", "eRank"), ("matrix_nuclear_norm", "MNN")):
        key = f"{metric}_over_noise"
        found = [row for row in rows if abs(number(row.get(key), absent=0.0) - 1) <= NEAR_NOISE]
        text = f"{called} is within {NEAR_NOISE:.0%} of its value for noise of the same shape: it reflects N and d"
        notes += note_with_extremes("near-noise", text, found, key)
    return notes


def ranked_by_hidden_size(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """Hidden size alone explains the ranking of models; one note per data set."""
    notes = []
    for dataset, called in dict.fromkeys((row["dataset"], _ranked_metric(row)) for row in rows):
        layers: dict[str, float] = {}
        concerned: list[Summary] = []
        of_data = [row for row in rows if (row["dataset"], _ranked_metric(row)) == (dataset, called)]
        for layer in dict.fromkeys(row["layer"] for row in of_data):
            group = [row for row in of_data if row["layer"] == layer]
            rho = _rank_by_size(group, called)
            if rho is not None and abs(rho) >= RANKED_BY_SIZE:
                layers[str(layer)] = rho
                concerned += group
        if layers:
            name = "Diff-eRank" if called == "diff_erank" else "eRank"
            where = "" if list(layers) == ["last"] else f" at layers {', '.join(layers)}"
            extreme = max(layers.values(), key=abs)
            models = len({row["model"] for row in concerned})
            text = f"hidden size alone explains the ranking of the {models} models by {name}{where}"
            text += f" (Spearman {extreme:+.2f})"
            notes.append(Note("ranked-by-hidden-size", text, tuple(map(row_name, concerned)), {"spearman": extreme}))
    return notes


def sink_layers(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """One direction dominates a layer's spectrum; one note per model and data set."""
    notes = []
    for model, dataset in dict.fromkeys((row["model"], row["dataset"]) for row in rows):
        group = [
            row
            for row in rows
            if (row["model"], row["dataset"]) == (model, dataset)
            and row.get("stable_rank")
            and row.get("effective_rank")
        ]
        if len(group) < 3:
            continue
        widest = max(number(row["effective_rank"]) for row in group)
        found = [
            row
            for row in group
            if number(row["stable_rank"]) < SINK_STABLE_RANK and number(row["effective_rank"]) < SINK_SHARE * widest
        ]
        text = "one direction dominates these layers (attention sinks?): compare with --drop-tokens massive; layers "
        text += ", ".join(str(row["layer"]) for row in found)
        notes += note_with_extremes("sink-layers", text, found, "stable_rank")
    return notes


def _ranked_metric(row: Summary) -> str:
    return "effective_rank" if row.get("diff_erank") is None else "diff_erank"


def _rank_by_size(group: Sequence[Summary], key: str) -> float | None:
    """Spearman's correlation of a metric with hidden size; None if there are too few values to rank."""
    pairs = [(number(row["hidden_size"]), number(row[key])) for row in group if row["hidden_size"] and row.get(key)]
    sizes, values = zip(*pairs, strict=True) if pairs else ((), ())
    if len(pairs) < FEWEST_MODELS_TO_RANK or len(set(sizes)) < 3 or len(set(values)) < 2:
        return None
    return float(stats.spearmanr(sizes, values).statistic)
