from __future__ import annotations

import pytest

from rankscope.metrics import table
from rankscope.studies import STUDIES
from rankscope.tables import column, said, term, titled


@pytest.mark.parametrize("metric", table.METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_called_what_its_table_says(metric: table.Metric) -> None:
    one = column(metric.name)
    assert (one.key, one.heading, one.digits) == (metric.name, metric.label, metric.digits)
    assert term(metric.name).unit == metric.unit


def test_what_follows_from_a_column_is_called_after_it() -> None:
    assert column("effective_rank_b").heading == "eRank (b)"
    assert column("diff_erank_b").heading == "Diff-eRank (b)"
    change = column("image_text_alignment_change")
    assert (change.heading, change.digits, change.sign) == ("change of alignment", 4, True)
    assert column("matrix_entropy_difference").heading == "H - base"
    assert (column("effective_rank_over_noise").heading, column("effective_rank_over_noise").percent) == (
        "vs noise",
        True,
    )
    noise = column("normalized_matrix_entropy_noise")
    assert (noise.heading, noise.digits) == ("noise", 4)


def test_a_key_that_nobody_described_is_its_own_label() -> None:
    assert column("peak_b").heading == "peak b"
    assert titled("some_count") == said("some_count") == "some count"


def test_sentences_and_axes() -> None:
    assert said("effective_rank_untrained") == "untrained eRank"
    assert titled("effective_rank") == "eRank (dimensions)"
    assert titled("effective_rank", spelled_out=True) == "effective rank (dimensions)"
    assert titled("forward_seconds", scale="log scale") == "forward (s, log scale)"
    assert titled("normalized_matrix_entropy") == "H/ln d"


def test_names_stand_to_the_left_and_numbers_to_the_right() -> None:
    assert {column(key).align for key in ("model", "dataset", "judge", "given")} == {"left"}
    assert {column(key).align for key in ("loss", "texts", "layer")} == {"right"}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_no_two_columns_of_a_study_share_a_heading_that_is_not_noise(study: object) -> None:
    headings = [column(key).heading for key in study.columns]
    apart = [heading for heading in headings if heading != "noise"]
    assert len(set(apart)) == len(apart)
