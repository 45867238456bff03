from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankscope.errors import SettingsError
from rankscope.metrics import image_reduction_ratio, image_text_alignment

# eRank1 to eRank5, Image Reduction Ratio and Image-Text Alignment as printed in tables 2 and 3 of arXiv 2401.17139.
PUBLISHED = {
    "LLaVA-1.5 on detail_23k": (18.34, 11.28, 45.62, 74.21, 76.34, 0.3850, 0.8566),
    "LLaVA-1.5 on detail_23k, rotated": (19.20, 12.31, 46.54, 74.21, 77.69, 0.3588, 0.8514),
    "MiniGPT-v2 on detail_23k": (90.59, 55.70, 58.50, 63.63, 108.53, 0.3851, 0.7084),
    "MiniGPT-v2 on cc_sbu_align": (74.79, 46.15, 48.68, 52.68, 93.29, 0.3829, 0.6955),
}
RANKS = st.floats(1, 1e4)


@pytest.mark.parametrize("row", PUBLISHED.values(), ids=PUBLISHED)
def test_published_ratios_follow_from_the_published_ranks(row: tuple[float, ...]) -> None:
    ranks = [torch.tensor(rank, dtype=torch.float64) for rank in row[:5]]
    assert float(image_reduction_ratio(*ranks[:2])) == pytest.approx(row[5], abs=2e-4)
    assert float(image_text_alignment(*ranks[2:])) == pytest.approx(row[6], abs=2e-4)


@given(RANKS, RANKS, RANKS)
def test_alignment_is_symmetric_and_bounded(three: float, four: float, five: float) -> None:
    ranks = [torch.tensor(rank, dtype=torch.float64) for rank in (three, four, five)]
    value = float(image_text_alignment(*ranks))
    assert 1 / 3 < value <= 1 + 1e-12
    assert value == pytest.approx(float(image_text_alignment(*reversed(ranks))))
    assert float(image_text_alignment(*[rank * 2 for rank in ranks])) == pytest.approx(value)
    assert float(image_text_alignment(*[ranks[0]] * 3)) == pytest.approx(1)


def test_reduction_has_a_sign_and_is_taken_item_by_item() -> None:
    ratios = image_reduction_ratio(torch.tensor([10.0, 10.0, 4.0]), torch.tensor([5.0, 10.0, 6.0]))
    assert ratios.tolist() == pytest.approx([0.5, 0.0, -0.5])


def test_what_is_no_rank_is_refused() -> None:
    fine = torch.tensor(2.0)
    with pytest.raises(SettingsError, match=r"at least 1, got 0\.5"):
        image_reduction_ratio(torch.tensor(0.5), fine)
    with pytest.raises(SettingsError, match="at least 1"):
        image_text_alignment(fine, fine, torch.tensor(float("nan")))
