"""Decay of eigenvalues: a few texts, their mean, and noise of the same shapes."""

from __future__ import annotations

import numpy as np
import polars as pl

from rankscope.metrics import noise_spectrum
from rankscope.reports.charts.figure import Figure, colour_of_models, counted, dash_of_roles, figure, inline

_POINTS = 56  # per curve; more would be indistinguishable on a logarithmic axis
_MODELS_WITH_TEXTS = 3  # with more models, lines of single texts would be unreadable
_SMALLEST = 1e-7  # not drawn below this: eigenvalues of float32 states are rounding errors


def spectra(eigenvalues: pl.DataFrame) -> Figure:
    """Mean spectra of trained models and twins as lines, single texts as thin lines, noise as a band.

    Args:
        eigenvalues: rows of `Run.spectra()` for one data set and one layer.
    """
    import altair as alt

    shown = _indices(int(eigenvalues["index"].max()))  # type: ignore[arg-type]
    means, noise = _means(eigenvalues, shown), _noise_band(eigenvalues, shown)
    x = alt.X("index:Q", scale=alt.Scale(type="log", nice=False), title="index of the eigenvalue, from the largest")
    ends = [means["eigenvalue"].min(), max(means["eigenvalue"].max(), noise["high"].max() or 0)]  # type: ignore[type-var]
    scale = alt.Scale(type="log", nice=False, clamp=True, domain=ends)
    axis = alt.Axis(format=".0e", tickCount=6)
    y = alt.Y("eigenvalue:Q", scale=scale, title="eigenvalue (share of the variance)", axis=axis)
    colour = colour_of_models(means["model"].to_list())
    band = (
        alt.Chart(inline(noise))
        .mark_area(opacity=0.3, color="#8c8c8c", stroke="#8c8c8c", strokeWidth=1.5)
        .encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q", detail="hidden_size:N")
    )
    lines = (
        alt.Chart(inline(means))
        .mark_line(strokeWidth=2.4)
        .encode(x=x, y=y, color=colour, strokeDash=dash_of_roles(means["role"].to_list()))
    )
    layers = [band, lines]
    if means["model"].n_unique() <= _MODELS_WITH_TEXTS:
        texts = eigenvalues.filter(
            (pl.col("role") == "trained") & pl.col("index").is_in(shown) & (pl.col("eigenvalue") > _SMALLEST)
        ).select("model", "text_index", "index", pl.col("eigenvalue").cast(pl.Float64))
        thin = alt.Chart(inline(texts)).mark_line(strokeWidth=0.8, opacity=0.4)
        layers.insert(1, thin.encode(x=x, y=y, color=colour, detail="text_index:N"))
    texts_of = eigenvalues.group_by("model").agg(pl.col("text_index").n_unique())["text_index"]
    caption = (
        f"Eigenvalues at layer {eigenvalues['layer'][0]}: thick, the mean over texts{_roles(means)}; "
        f"{'thin, single texts of the trained model; ' if len(layers) > 2 else ''}"
        "grey, isotropic noise with the same numbers of tokens and dimensions. "
        f"{counted(texts_of, 'texts')} per model, the first ones of the data set."
    )
    return figure("spectra", "Spectra", caption, alt.layer(*layers))


def _roles(means: pl.DataFrame) -> str:
    return " (solid: trained, dashed: untrained)" if means["role"].n_unique() > 1 else ""


def _indices(largest: int) -> list[int]:
    return sorted({round(float(one)) for one in np.geomspace(1, largest, _POINTS)})


def _means(eigenvalues: pl.DataFrame, shown: list[int]) -> pl.DataFrame:
    """Mean over texts (and a twin's seeds); eigenvalues beyond a text's rank count as 0."""
    keys = ["model", "role"]
    counts = eigenvalues.group_by(*keys, maintain_order=True).agg(n=pl.struct("text_index", "seed").n_unique())
    return (
        eigenvalues.filter(pl.col("index").is_in(shown))
        .group_by(*keys, "index", maintain_order=True)
        .agg(pl.col("eigenvalue").cast(pl.Float64).sum())
        .join(counts, on=keys, maintain_order="left")
        .with_columns(pl.col("eigenvalue") / pl.col("n"))
        .filter(pl.col("eigenvalue") > _SMALLEST)
        .drop("n")
        .sort("index", maintain_order=True)
    )


def _noise_band(eigenvalues: pl.DataFrame, shown: list[int]) -> pl.DataFrame:
    """For each hidden size, the lowest and highest noise eigenvalue at each index over the lengths of the texts.

    Shorter texts have fewer eigenvalues: beyond their rank, the band extends down to the bottom of the chart.
    """
    shapes = eigenvalues.select("hidden_size", "n_tokens").unique().sort("hidden_size", "n_tokens")
    rows = []
    for (size,), lengths in shapes.group_by("hidden_size", maintain_order=True):
        curves = [noise_spectrum(tokens, size).tolist() for tokens in lengths["n_tokens"] if tokens >= 3 and size >= 2]
        for index in shown:
            values = [curve[index - 1] if index <= len(curve) else 0.0 for curve in curves]
            if values and max(values) > _SMALLEST:
                ends = {"low": max(min(values), _SMALLEST), "high": max(values)}
                rows.append({"hidden_size": size, "index": index} | ends)
    return pl.DataFrame(
        rows, schema={"hidden_size": pl.Int64, "index": pl.Int64, "low": pl.Float64, "high": pl.Float64}
    )
