from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from gloo import in_processes
from metrics_of_shares import HIDDEN_SIZE, RANKS, batches, pooled, values_of_share
from rankscope.errors import MissingExtraError, RepresentationError
from rankscope.integrations.torchmetrics import AlphaReQ, EffectiveRank, MatrixEntropy, MatrixNuclearNorm, RankMe
from rankscope.metrics import (
    aggregate_effective_rank,
    alpha_req,
    effective_rank,
    matrix_entropy,
    matrix_nuclear_norm,
    rankme,
)

pytestmark = pytest.mark.slow


def expected() -> dict[str, torch.Tensor]:
    """The functions on all data at once."""
    entropies = torch.cat([matrix_entropy(*batch) for batch in batches()])
    vectors = torch.cat([pooled(*batch) for batch in batches()])
    return {
        "MatrixEntropy": entropies.mean(),
        "EffectiveRank": aggregate_effective_rank(entropies),
        "MatrixNuclearNorm": torch.cat([matrix_nuclear_norm(*batch) for batch in batches()]).mean(),
        "RankMe": rankme(vectors),
        "AlphaReQ": alpha_req(vectors, ranks=RANKS),
    }


def check(found: dict[str, torch.Tensor]) -> None:
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {name: float(value) for name, value in expected().items()}, rel=1e-9
    )
    assert all(value.dtype == torch.float64 for value in found.values())


def test_batches_add_up_to_the_functions_on_all_data() -> None:
    check(values_of_share(0, share=1))


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    for found in in_processes(values_of_share, 2, tmp_path):
        check(found)


def test_reset_forgets() -> None:
    hidden, mask = batches()[0]
    vectors = pooled(hidden, mask).repeat(3, 1) + torch.randn(9, HIDDEN_SIZE)
    for metric, data in (
        (MatrixEntropy(), (hidden, mask)),
        (EffectiveRank(), (hidden, mask)),
        (MatrixNuclearNorm(), (hidden, mask)),
        (RankMe(HIDDEN_SIZE), (vectors,)),
        (AlphaReQ(HIDDEN_SIZE, ranks=RANKS), (vectors,)),
    ):
        metric.update(*data)
        first = metric.compute()
        metric.update(*(part.flip(0)[:2] for part in data))
        metric.reset()
        metric.update(*data)
        assert metric.compute() == first
        assert metric.texts == len(data[0])


def test_a_call_gives_the_value_of_its_batch_and_adds_it() -> None:
    (hidden, mask), other = batches()[:2]
    metric = EffectiveRank()
    assert metric(hidden, mask) == pytest.approx(float(aggregate_effective_rank(matrix_entropy(hidden, mask))))
    metric(*other)
    assert metric.texts == 6


def test_one_text_without_a_mask() -> None:
    hidden = torch.randn(7, 4)
    metric = EffectiveRank()
    metric.update(hidden)
    assert float(metric.compute()) == pytest.approx(float(effective_rank(hidden)))


def test_settings_reach_the_functions() -> None:
    vectors = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    metric = RankMe(6, epsilon=1e-3)
    metric.update(vectors.bfloat16())
    assert float(metric.compute()) == pytest.approx(float(rankme(vectors.bfloat16(), epsilon=1e-3)))
    few = AlphaReQ(6)
    few.update(vectors)
    with pytest.raises(RepresentationError, match="fits eigenvalues 11 to 100"):
        few.compute()


def test_a_batch_with_a_degenerate_text_is_not_added() -> None:
    hidden = torch.randn(2, 5, 4)
    hidden[1] = 1.0
    metric = MatrixEntropy()
    with pytest.raises(RepresentationError, match="text 1 of the batch"):
        metric.update(hidden)
    assert metric.texts == 0


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize("metric", [MatrixEntropy(), EffectiveRank(), MatrixNuclearNorm(), RankMe(3), AlphaReQ(3)])
def test_no_texts_have_no_number(metric: torch.nn.Module) -> None:
    with pytest.raises(RepresentationError, match="got (none|0)"):
        metric.compute()


@pytest.mark.parametrize("vectors", [torch.randn(4, 5), torch.randn(6), torch.randn(2, 4, 6)])
def test_vectors_of_another_shape(vectors: torch.Tensor) -> None:
    metric = RankMe(6)
    with pytest.raises(RepresentationError, match=r"must have shape \(texts, 6\)"):
        metric.update(vectors)


def test_without_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "rankscope.integrations.torchmetrics")
    with pytest.raises(MissingExtraError, match=r"pip install 'rankscope\[torchmetrics\]'"):
        importlib.import_module("rankscope.integrations.torchmetrics")
