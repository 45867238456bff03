"""Summarises measurements of image-text pairs as one row for each model, data set and control, with intervals.

As in `aggregation`, all aggregates of a row are functions of means over its pairs. A pair counts only if it was
measured under every control, so all rows of a model and data set are over the same pairs.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import torch

from rankscope.metrics import image_reduction_ratio, image_text_alignment
from rankscope.statistics.aggregation import FEWEST_TEXTS_FOR_AN_INTERVAL, Summary
from rankscope.statistics.bootstrap import Numbers, percentile_interval, resampled_means
from rankscope.statistics.paired import paired_difference

BASE = "base"
"""The control with unchanged images."""

_PLACES = range(1, 6)
_RATIOS = ("image_reduction_ratio", "image_text_alignment")
_HEADLINE = (*(f"erank{place}" for place in _PLACES), *_RATIOS, "loss")
_KEYS = (
    *(f"erank{place}" for place in _PLACES),
    *(f"erank{place}_b" for place in _PLACES),
    *(f"{ratio}{suffix}" for ratio in _RATIOS for suffix in ("", "_b", "_of_items")),
    "loss",
)


def summarize_alignment(measurements: pl.DataFrame) -> list[Summary]:
    """One row for each model x data set x control, in the order of the measurements.

    `erank1` ... `erank5` are exp(mean H), algorithm a; `_b` marks mean exp H. The two ratios are computed from the data
    set's ranks, by the same algorithm; `_of_items` marks the mean over pairs of each pair's ratio. Rows of other
    controls than `base` have `<key>_change`, the difference from the `base` row, with its paired interval, and
    `<key>_change_p`, the p-value of a sign-flip test on the values of the pairs.
    """
    rows: list[Summary] = []
    for _, group in measurements.group_by("model", "dataset", maintain_order=True):
        controls = group["control"].unique(maintain_order=True).to_list()
        usable = group.filter(pl.col("status") == "ok")
        complete = usable.group_by("text_index").len().filter(pl.col("len") == len(controls))
        usable = usable.join(complete, on="text_index", how="semi").sort("text_index")
        skipped = group["text_index"].n_unique() - complete.height
        frames = {control: usable.filter(pl.col("control") == control) for control in controls}
        for control in controls:
            row: Summary = {
                "model": group["model"][0],
                "dataset": group["dataset"][0],
                "control": control,
                "texts": complete.height,
                "skipped": skipped,
                "tokens": _total(frames[control], "n_tokens5"),
                "image_tokens": _total(frames[control], "n_tokens2"),
                **dict.fromkeys(_KEYS),
            }
            if complete.height:
                row |= _values(frames[control])
                if control != BASE and BASE in frames:
                    row |= _changes(frames[control], frames[BASE])
            rows.append(row)
    return rows


def _total(frame: pl.DataFrame, column: str) -> int:
    return int(frame[column].sum())


def _columns(frame: pl.DataFrame) -> dict[str, Numbers]:
    """The columns to average over pairs."""
    columns = {f"matrix_entropy{place}": frame[f"matrix_entropy{place}"].to_numpy() for place in _PLACES}
    columns |= {f"erank{place}": np.exp(columns[f"matrix_entropy{place}"]) for place in _PLACES}
    columns |= {ratio: frame[ratio].to_numpy() for ratio in _RATIOS}
    if not frame["loss"].null_count():
        columns["loss"] = frame["loss"].to_numpy()
    return columns


def _aggregates(means: dict[str, Numbers]) -> dict[str, Numbers]:
    """Computes aggregates from means over pairs."""
    found = {f"erank{place}": np.exp(means[f"matrix_entropy{place}"]) for place in _PLACES}
    found |= {f"erank{place}_b": means[f"erank{place}"] for place in _PLACES}
    for suffix in ("", "_b"):
        ranks = [torch.as_tensor(found[f"erank{place}{suffix}"]) for place in _PLACES]
        found[f"image_reduction_ratio{suffix}"] = image_reduction_ratio(ranks[0], ranks[1]).numpy()
        found[f"image_text_alignment{suffix}"] = image_text_alignment(ranks[2], ranks[3], ranks[4]).numpy()
    found |= {f"{ratio}_of_items": means[ratio] for ratio in _RATIOS}
    return found | ({"loss": means["loss"]} if "loss" in means else {})


def _values(frame: pl.DataFrame) -> Summary:
    columns = _columns(frame)
    table = np.column_stack(list(columns.values()))
    found: Summary = {name: float(value) for name, value in _over(columns, table.mean(axis=0)).items()}
    if len(table) >= FEWEST_TEXTS_FOR_AN_INTERVAL:
        spread = _over(columns, resampled_means(table, rng=np.random.default_rng(0)).T)
        for name, sample in spread.items():
            found[f"{name}_low"], found[f"{name}_high"] = percentile_interval(sample)
    return found


def _changes(frame: pl.DataFrame, base: pl.DataFrame) -> Summary:
    """Differences from the base on the same pairs; each resample draws the same pairs for both."""
    one, other = _columns(frame), _columns(base)
    names = [name for name in one if name in other]
    table = np.column_stack([*(one[name] for name in names), *(other[name] for name in names)])

    def difference(means: Numbers) -> dict[str, Numbers]:
        split = len(names)
        changed = _aggregates(dict(zip(names, means[:split], strict=True)))
        as_is = _aggregates(dict(zip(names, means[split:], strict=True)))
        return {key: changed[key] - as_is[key] for key in _HEADLINE if key in changed}

    found: Summary = {f"{key}_change": float(value) for key, value in difference(table.mean(axis=0)).items()}
    if len(table) >= FEWEST_TEXTS_FOR_AN_INTERVAL:
        for key, sample in difference(resampled_means(table, rng=np.random.default_rng(0)).T).items():
            found[f"{key}_change_low"], found[f"{key}_change_high"] = percentile_interval(sample)
            own = key.replace("erank", "matrix_entropy")
            found[f"{key}_change_p"] = paired_difference(one[own], other[own]).p_value
    return found


def _over(columns: dict[str, Numbers], means: Numbers) -> dict[str, Numbers]:
    return _aggregates(dict(zip(columns, means, strict=True)))
