"""Prediction of the accuracy or loss of held-out models, and the gain of each metric over a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rankscope.errors import SettingsError
from rankscope.statistics.associations import LOGARITHMIC
from rankscope.statistics.bootstrap import Numbers
from rankscope.statistics.gain import Gain, best_curve, curves, gain_of
from rankscope.statistics.held_out import (
    Groups,
    error_matrix,
    mean_error_matrix,
    r_squared,
    r_squared_interval,
    spearman,
    spearman_interval,
)
from rankscope.statistics.multiplicity import LEVEL, holm_levels

FEWEST_FOR_PREDICTION = 5
BASELINES = ("parameters", "tokens_per_text", "loss")
ABOVE, NOT_ABOVE, TOO_FEW = "above baseline", "not above baseline", "too few models"
_FEWEST_TO_FIT = 4
Row = Mapping[str, object]


@dataclass(frozen=True)
class Prediction:
    """How well a target is predicted out of sample, from a baseline alone or with a metric added to it.

    Attributes:
        target: The predicted column.
        baseline: The baseline; parameters enter as their logarithm.
        metric: The added metric; None for the baseline alone.
        r_squared: 1 - SSE/SST, with SST from the mean of the fitted models.
        r_squared_low: Lower end of its interval; None for fewer than three families.
        r_squared_high: Upper end of its interval.
        spearman: Spearman's correlation of target and prediction; None if all predictions are equal.
        spearman_low: Lower end of its interval; None for fewer than three families, and if leaving out a family never
            changes the correlation.
        spearman_high: Upper end of its interval.
        gain: R squared minus that of the baseline alone, on the same models; None for the baseline alone.
        gain_low: Lower end of its interval, at a level from Holm's procedure; None if too few models are left.
        gain_high: Upper end of its interval.
        p_value: p-value of no gain, after Holm's correction over the metrics that are added to the same baseline.
        models: Number of models.
        families: Number of families.
        left_out: The held-out unit: `family`, or `model` if families are too few or too large.
    """

    target: str
    baseline: str
    metric: str | None
    r_squared: float
    r_squared_low: float | None
    r_squared_high: float | None
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    p_value: float | None
    models: int
    families: int
    left_out: str

    @property
    def verdict(self) -> str | None:
        """Whether the gain's interval is above 0, in words; None for the baseline alone."""
        if self.metric is None:
            return None
        if self.gain_low is None:
            return TOO_FEW
        return ABOVE if self.gain_low > 0 else NOT_ABOVE


def predictions(
    rows: Sequence[Row], metrics: Sequence[str], target: str, baselines: Sequence[str] = BASELINES
) -> list[Prediction]:
    """Predictions of the target from each baseline alone, then with each metric added to it.

    A baseline enters as the curve, up to a cubic, that predicts best. A whole family is held out at a time, or a single
    model if there is only one family or fewer than four models would remain without a family. A metric is *above* the
    baseline if the whole interval of its gain is above 0 (`Gain`). Levels of the intervals follow Holm's procedure
    over the metrics that are added to the same baseline: with K metrics, at least one is wrongly above in at most 5 %
    of studies.

    Args:
        rows: One row per model, with `model`, `family` and the columns. A prediction omits models that lack the
            target, the baseline or, if one is added, the metric.
        metrics: Columns to add; the target and the baseline itself are skipped.
        target: The column to predict.
        baselines: Columns to use as baselines; the target is skipped.

    Returns:
        One prediction for each baseline, and one for each baseline and metric. A prediction is omitted if fewer than
        five models have all of its columns, or one of the columns is constant over these models.

    Raises:
        SettingsError: a model has the target but no family, or no parameter count though this is a baseline.
    """
    used = [row for row in rows if row.get(target) is not None]
    if len(used) < FEWEST_FOR_PREDICTION:
        return []
    _refuse_unknown(used, ("family", *(name for name in baselines if name == "parameters")))
    found: list[Prediction] = []
    for baseline in baselines:
        alone = _sample(used, target, baseline) if baseline != target else None
        if alone is None:
            continue
        found.append(_of_baseline(alone))
        added = [
            (sample, gain_of(sample.metric, sample.target, sample.baseline, sample.families, sample.groups))
            for metric in metrics
            if metric not in (target, baseline) and (sample := _sample(used, target, baseline, metric)) is not None
        ]
        found += _with_metrics(added)
    return found


def _refuse_unknown(rows: Sequence[Row], names: Sequence[str]) -> None:
    called = {"family": "family", "parameters": "parameter count"}
    for name in names:
        without = [str(row.get("model")) for row in rows if not row.get(name)]
        if without:
            raise SettingsError(
                f"no {called[name]} is known for {', '.join(without)}, but prediction over models needs one for each: "
                "evaluate these models again into a new folder, or omit them"
            )


@dataclass(frozen=True)
class _Sample:
    """The models that have all columns; `metric` is empty for a baseline alone."""

    names: tuple[str, ...]
    target: Numbers
    baseline: Numbers
    metric: Numbers
    families: Groups

    @property
    def groups(self) -> Groups:
        """Number of the held-out group of each model: its family, or the model itself."""
        _, members = np.unique(self.families, return_counts=True)
        by_family = len(members) > 1 and len(self.target) - members.max() >= _FEWEST_TO_FIT
        return self.families if by_family else np.arange(len(self.target))

    @property
    def left_out(self) -> str:
        return "family" if self.groups is self.families else "model"


def _sample(rows: Sequence[Row], *names: str) -> _Sample | None:
    """The models that have all columns; None for fewer than five, or if a column is constant over them."""
    used = [row for row in rows if all(row.get(name) is not None for name in names)]
    if len(used) < FEWEST_FOR_PREDICTION:
        return None
    columns = [np.array([row[name] for row in used], dtype=np.float64) for name in names]
    if any(np.ptp(column) == 0 for column in columns):
        return None
    columns = [np.log(column) if name in LOGARITHMIC else column for name, column in zip(names, columns, strict=True)]
    families = np.unique([str(row["family"]) for row in used], return_inverse=True)[1]
    target, baseline, metric = (*columns, np.empty(0))[:3]
    return _Sample(names, target, baseline, metric, families)


def _of_baseline(sample: _Sample) -> Prediction:
    groups = sample.groups
    design = best_curve(sample.target, curves(sample.baseline, sample.families), groups)
    return _prediction(sample, error_matrix(design, groups) @ sample.target, sample.target)


def _with_metrics(added: Sequence[tuple[_Sample, Gain]]) -> Iterator[Prediction]:
    levels = holm_levels([gain.p_value for _, gain in added])
    for (sample, gain), (level, p_value) in zip(added, levels, strict=True):
        yield _prediction(sample, gain.with_metric @ gain.target, gain.target, gain, level, p_value)


def _prediction(
    sample: _Sample,
    errors: Numbers,
    target: Numbers,
    gain: Gain | None = None,
    level: float = LEVEL,
    p_value: float | None = None,
) -> Prediction:
    groups = sample.groups
    from_mean = mean_error_matrix(groups) @ target
    squared_low, squared_high = r_squared_interval(errors, from_mean, groups)
    rank_low, rank_high = spearman_interval(target, target - errors, groups)
    gain_low, gain_high = (None if gain is None else gain.interval(level)) or (None, None)
    return Prediction(
        target=sample.names[0],
        baseline=sample.names[1],
        metric=sample.names[2] if gain is not None else None,
        r_squared=float(r_squared(errors, from_mean)),
        r_squared_low=squared_low,
        r_squared_high=squared_high,
        spearman=spearman(target, target - errors),
        spearman_low=rank_low,
        spearman_high=rank_high,
        gain=None if gain is None else gain.value,
        gain_low=gain_low,
        gain_high=gain_high,
        p_value=p_value,
        models=len(target),
        families=len(np.unique(sample.families)),
        left_out=sample.left_out,
    )
