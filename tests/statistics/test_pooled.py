"""Metrics of one vector for each text, with those of twins and noise."""

from __future__ import annotations

import polars as pl
import pytest
import torch

from rankscope.metrics import alpha_req, effective_rank, rankme, stable_rank, uniformity
from rankscope.statistics import POOLED, pooled_metrics
from rankscope.statistics.pooled import of_pooled


def vectors(texts: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(texts, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def frame(of: torch.Tensor) -> pl.DataFrame:
    return pl.DataFrame({"pooled": of.tolist()}, schema={"pooled": pl.List(pl.Float64)})


def test_each_metric_is_that_of_its_function() -> None:
    given = vectors(150, 120)
    assert pooled_metrics(given.tolist()) == pytest.approx(
        {
            "rankme": float(rankme(given)),
            "alpha_req": float(alpha_req(given)),
            "pooled_effective_rank": float(effective_rank(given)),
            "pooled_stable_rank": float(stable_rank(given)),
            "uniformity": float(uniformity(given)),
        }
    )


def test_what_so_few_vectors_do_not_have_is_none() -> None:
    found = pooled_metrics(vectors(20, 8).tolist())
    assert found["alpha_req"] is None  # it needs 101 texts
    assert all(found[name] is not None for name in set(POOLED) - {"alpha_req"})
    alike = pooled_metrics(torch.ones(20, 8).tolist())
    assert alike["pooled_effective_rank"] is None


def test_noise_has_the_rank_of_noise_and_twins_are_averaged() -> None:
    trained, twins = vectors(60, 40), [vectors(60, 40, seed) for seed in (1, 2)]
    found = of_pooled(frame(trained), [frame(twin) for twin in twins])
    assert found["pooled_effective_rank_over_noise"] == pytest.approx(1, abs=0.05)
    assert found["rankme_untrained"] == pytest.approx(sum(float(rankme(twin)) for twin in twins) / 2)


def test_without_vectors_nothing_is_said() -> None:
    assert of_pooled(frame(vectors(0, 3)), []) == {}
    without = pl.DataFrame({"pooled": [None, None]}, schema={"pooled": pl.List(pl.Float64)})
    assert of_pooled(without, []) == {}
