from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankscope.errors import SettingsError
from rankscope.statistics import predictions
from rankscope.studies.prediction import predicted, prediction_sentences, prediction_table


def models(number: int = 12) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size = np.linspace(17, 22, number)
    own = rng.normal(size=number)
    return pl.DataFrame(
        {
            "model": [f"m{place}" for place in range(number)],
            "family": [f"f{place % 3}" for place in range(number)],
            "dataset": "a",
            "layer": "last",
            "parameters": np.exp(size),
            "tokens": rng.integers(1000, 2000, size=number),
            "texts": 10,
            "loss": 5 - 0.2 * size + 0.1 * rng.normal(size=number),
            "diff_erank": size + own,
            "effective_rank": size + rng.normal(size=number),
            "accuracy": size / 40 + own / 10 + 0.01 * rng.normal(size=number),
        }
    )


def test_the_table_is_that_of_the_statistics_with_their_verdicts() -> None:
    table = models()
    found = prediction_table(table, ("diff_erank", "effective_rank"), "accuracy")
    rows = table.with_columns(tokens_per_text=pl.col("tokens") / 10).rows(named=True)
    direct = predictions(rows, ("diff_erank", "effective_rank"), "accuracy")
    assert found["r_squared"].to_list() == pytest.approx([one.r_squared for one in direct])
    assert found["verdict"].to_list() == [one.verdict for one in direct]
    assert found["baseline"].unique(maintain_order=True).to_list() == ["parameters", "tokens_per_text", "loss"]


def test_sentences_say_what_is_predicted_and_what_is_not_above_the_baseline() -> None:
    found, sentences = predicted(models(), "dataset", ("diff_erank", "effective_rank"), "accuracy")
    assert found.select("dataset", "layer").unique().rows() == [("a", "last")]
    alone, gains = sentences[:2]
    assert alone.startswith("a: accuracy of each family, predicted from all others by ln(parameters) alone over 12 ")
    row = found.row(0, named=True)
    assert f"R squared {row['r_squared']:+.2f} ({row['r_squared_low']:+.2f} to {row['r_squared_high']:+.2f})" in alone
    assert "Gain in R squared over ln(parameters) (intervals by Holm's procedure over 2 metrics): Diff-eRank +" in gains
    assert gains.count("above baseline") == 2
    assert ", above baseline; eRank " in gains
    assert gains.endswith(", not above baseline.")
    assert len(sentences) == 6


def test_few_models_and_equal_ones_say_so() -> None:
    found, (told,) = predicted(models(4), "dataset", ("diff_erank",), "accuracy")
    assert found.is_empty()
    assert told == "a: 4 models are too few to predict accuracy: at least 5 are needed."
    (same,) = prediction_sentences(
        prediction_table(models().with_columns(accuracy=0.5), (), "accuracy"), 12, "accuracy"
    )
    assert same.startswith("accuracy cannot be predicted over 12 models")


def test_a_model_without_a_parameter_count_is_an_error() -> None:
    with pytest.raises(SettingsError, match="no parameter count is known for m0,"):
        predicted(models().with_columns(parameters=0), "dataset", ("diff_erank",), "accuracy")
