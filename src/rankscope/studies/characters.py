"""Loss per character instead of per token, for models whose tokenizers cut texts differently."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

KEYS = ("dataset", "model", "role")
"""What a number of bits belongs to."""


def bits_per_character(
    measurements: pl.DataFrame, characters: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str, str], float]:
    """Bits that a model needs for a character of a data set: sum of -log2 p(token) over the number of characters.

    Only texts count that every model read to their end, so all have the same characters. The first token of a text
    is predicted from nothing and costs nothing, as in every loss here; a tokenizer with longer tokens gains by that,
    and the less the longer the texts are.

    Args:
        measurements: of texts; `loss` is in nats per predicted token.
        characters: of each text, by data set and id.

    Returns:
        By data set, model and role; untrained twins are averaged. Empty where no text was read to its end by all.
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
