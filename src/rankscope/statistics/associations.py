"""Correlations over models, with the rule that reports and studies share on which of them to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rankscope.errors import ConstantMetricError
from rankscope.statistics.bootstrap import Numbers
from rankscope.statistics.correlation import FEWEST_FOR_INTERVAL, METHODS, Correlation, Method, correlation

FEWEST_MODELS = 3
LOGARITHMIC = frozenset({"hidden_size", "parameters"})
"""Columns that enter as their logarithm, since sizes of models differ by factors."""


def fewest_models(held: int) -> int:
    """The fewest models for a correlation with `held` variables held fixed: 3 if there are none, else `held` + 5.

    A plain correlation describes points that the reader can see, so three are enough; the missing interval shows that
    fewer than five support no conclusion. A partial correlation describes residuals of a fit, which are not observed,
    and which the fit itself correlates. With n models and k variables held fixed, n - 2 - k degrees of freedom remain:
    only one for four models and one variable. It is therefore printed with its interval, or omitted.
    """
    return FEWEST_FOR_INTERVAL + held if held else FEWEST_MODELS


def associations(
    rows: Sequence[Mapping[str, object]],
    metric: str,
    other: str,
    held: Sequence[str] = (),
    methods: Sequence[Method] = METHODS,
) -> list[Correlation]:
    """Correlations over models between two columns, with others held fixed; hidden size enters as its logarithm.

    Args:
        rows: One row per model; models that lack one of the columns are omitted.
        metric: One column.
        other: The other column.
        held: Columns to hold fixed.
        methods: Methods of correlation.

    Returns:
        One correlation per method. Empty for fewer models than `fewest_models`, or if a column is constant: it has no
        correlation, and holding it fixed has no effect. A method is omitted if the variables held fixed explain one of
        the two columns completely.
    """
    names = (metric, other, *held)
    used = [row for row in rows if all(row.get(name) is not None for name in names)]
    if len(used) < fewest_models(len(held)):
        return []
    x, y, *fixed = (_entering(used, name) for name in names)
    if any(np.ptp(column) == 0 for column in (x, y, *fixed)):
        return []
    controls = np.column_stack(fixed) if fixed else None
    return [found for method in methods if (found := _defined(x, y, method, controls)) is not None]


def _entering(rows: Sequence[Mapping[str, object]], name: str) -> Numbers:
    column = np.array([row[name] for row in rows], dtype=np.float64)
    return np.log(column) if name in LOGARITHMIC else column


def _defined(one: Numbers, other: Numbers, method: Method, controls: Numbers | None) -> Correlation | None:
    try:
        return correlation(one, other, method, controls=controls)
    except ConstantMetricError:
        return None
