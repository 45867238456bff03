"""The columns of measurements, in order."""

from __future__ import annotations

import polars as pl

from rankscope.metrics import metric_names

Row = dict[str, str | int | float | list[float] | None]
Schema = dict[str, pl.DataType | type[pl.DataType]]


def text_columns() -> Schema:
    """The columns for texts; `cut`: it was truncated; `eigenvalues`: of the first few texts; `pooled`: one vector."""
    return {
        "model": pl.String,
        "dataset": pl.String,
        "text_index": pl.Int64,
        "text_id": pl.String,
        "layer": pl.String,
        "role": pl.String,
        "seed": pl.Int64,
        "n_tokens": pl.Int64,
        "cut": pl.Boolean,
        "hidden_size": pl.Int64,
        "status": pl.String,
        "reason": pl.String,
        **dict.fromkeys(metric_names(), pl.Float64),
        "eigenvalues": pl.List(pl.Float32),
        "pooled": pl.List(pl.Float32),
    }


REPRESENTATIONS = tuple(str(place) for place in range(1, 6))
"""For an image and a text: 1 after the encoder, 2 after the connector, 3 the image, 4 the text, 5 both."""


def pair_columns() -> Schema:
    """The columns for pairs of an image and a text."""
    return {
        "model": pl.String,
        "dataset": pl.String,
        "text_index": pl.Int64,
        "text_id": pl.String,
        "control": pl.String,
        "status": pl.String,
        "reason": pl.String,
        **{f"n_tokens{place}": pl.Int64 for place in REPRESENTATIONS},
        **{f"matrix_entropy{place}": pl.Float64 for place in REPRESENTATIONS},
        **{f"erank{place}": pl.Float64 for place in REPRESENTATIONS},
        "image_reduction_ratio": pl.Float64,
        "image_text_alignment": pl.Float64,
        "loss": pl.Float64,
    }
