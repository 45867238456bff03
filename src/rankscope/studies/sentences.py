"""Helpers and sentences shared by studies."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from rankscope.models import parse_model_reference


def by_layer(table: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows layer by layer; all together if each model has only one layer, which may differ between models."""
    layers = table["layer"].unique(maintain_order=True).to_list()
    if table.select("model", "layer").n_unique() == table["model"].n_unique():
        yield ", ".join(layers), table
        return
    for layer in layers:
        yield layer, table.filter(pl.col("layer") == layer)


def by_group_and_layer(table: pl.DataFrame, *keys: str) -> Iterator[tuple[tuple[object, ...], str, pl.DataFrame]]:
    """Rows by group, then by layer: the group's values, the layer, the rows."""
    for values, group in table.group_by(*keys, maintain_order=True):
        for layer, rows in by_layer(group):
            yield values, layer, rows


def at(layer: str) -> str:
    """The layer in parentheses, for a sentence; empty for the head's input."""
    return "" if layer == "last" else f" (layer {layer})"


def over_sizes(table: pl.DataFrame) -> Iterator[str]:
    """Sentences on the change of Diff-eRank and its terms from the smallest to the largest model of each family."""
    for (family, dataset), layer, rows in by_group_and_layer(table.drop_nulls("effective_rank"), "family", "dataset"):
        ordered = rows.sort("parameters")
        if ordered.height < 2:
            continue
        first, last = ordered.row(0, named=True), ordered.row(-1, named=True)
        which = f"{family} on {dataset}{at(layer)}, {first['model']} to {last['model']}"
        if first.get("diff_erank") is None or last.get("diff_erank") is None:
            yield f"{which}: eRank changes from {first['effective_rank']:.2f} to {last['effective_rank']:.2f}."
            continue
        untrained = last["effective_rank_untrained"] - first["effective_rank_untrained"]
        trained = last["effective_rank"] - first["effective_rank"]
        yield (
            f"{which}: Diff-eRank changes from {first['diff_erank']:.2f} to {last['diff_erank']:.2f}; its untrained "
            f"term changes by {untrained:+.2f}, its trained term by {trained:+.2f}"
            + (
                f"; reduced loss changes from {first['reduced_loss']:.3f} to {last['reduced_loss']:.3f}."
                if first.get("reduced_loss") is not None
                else "."
            )
        )


def short(model: str) -> str:
    """A model reference's short name; for a reference `NAME=FILES`, the name before the equals sign."""
    name, put_together, _ = model.partition("=")
    return name if put_together else parse_model_reference(model).label
