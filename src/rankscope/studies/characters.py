"""Loss per character instead of per token, for models with different tokenizers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

KEYS = ("dataset", "model", "role")
"""Each combination of these has one value."""


def bits_per_character(
    measurements: pl.DataFrame, characters: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str, str], float]:
    """Bits per character of a data set: sum of -log2 p(token) over the number of characters.

    Only texts that every model read to the end are used, so all models are compared on the same characters. The first
    token of a text is not predicted and costs nothing, as in every loss here. This favours tokenizers with longer
    tokens, less so in longer texts.

    Args:
        measurements: Measurements of texts; `loss` is in nats per predicted token.
        characters: Characters of each text, by data set and id.

    Returns:
        Bits by data set, model and role; untrained twins are averaged. Empty if no text was read to the end by all.
    """
    layer = measurements["layer"].first()
    rows = measurements.filter(pl.col("layer") == layer)  # the loss is the same at all
    readers = rows.select("model", "role", "seed").n_unique()
    known = pl.DataFrame(
        [{"dataset": dataset, "text_id": name, "characters": count} for (dataset, name), count in characters.items()],
        schema={"dataset": pl.String, "text_id": pl.String, "characters": pl.Int64},
    )
    whole = rows.filter(~pl.col("cut"), pl.col("loss").is_not_null()).join(known, on=["dataset", "text_id"])
    by_all = whole.group_by("dataset", "text_id").len().filter(pl.col("len") == readers)
    used = whole.join(by_all, on=["dataset", "text_id"], how="semi")
    bits = (pl.col("loss") * (pl.col("n_tokens") - 1)).sum() / (math.log(2) * pl.col("characters").sum())
    of_seeds = used.group_by(*KEYS, "seed", maintain_order=True).agg(bits.alias("bits"))
    means = of_seeds.group_by(*KEYS, maintain_order=True).agg(pl.col("bits").mean())
    return {(row["dataset"], row["model"], row["role"]): row["bits"] for row in means.rows(named=True)}
