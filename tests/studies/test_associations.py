from __future__ import annotations

import polars as pl
import pytest

from rankscope.statistics import correlation
from rankscope.studies.associations import correlated, correlation_sentences, correlations

TABLE = pl.DataFrame(
    {
        "accuracy": [0.2, 0.3, 0.5, 0.4, 0.7, None],
        "loss": [5.0, 4.0, 3.5, 3.6, 3.55, 1.0],
        "same": [1.0] * 6,
    }
)
MANY = pl.DataFrame(
    {
        "accuracy": [0.2, 0.3, 0.5, 0.4, 0.7, 0.6],
        "loss": [5.0, 4.0, 3.5, 3.6, 3.55, 1.0],
        "hidden_size": [64, 96, 128, 512, 1024, 640],
    }
)


def test_each_method_over_the_rows_that_have_both() -> None:
    found = correlations(TABLE, ("loss", "same", "absent", "accuracy"), "accuracy")
    assert found["metric"].to_list() == ["loss"] * 3
    five = TABLE.drop_nulls()
    for row in found.rows(named=True):
        direct = correlation(five["loss"].to_numpy(), five["accuracy"].to_numpy(), row["method"])
        assert (row["value"], row["low"], row["models"]) == (direct.value, direct.low, 5)


def test_what_the_controls_explain_is_left_out() -> None:
    assert correlations(MANY, ("loss",), "accuracy", ("hidden_size",)).height == 3
    assert correlations(MANY.with_columns(width=pl.col("loss")), ("loss",), "accuracy", ("width",)).is_empty()


def test_few_models_say_so() -> None:
    few = correlations(TABLE.head(3), ("loss",), "accuracy")
    (said,) = correlation_sentences(few, 3)
    assert "over 3 models: loss -1.00" in said
    assert "fewer than five models" in said
    (none,) = correlation_sentences(correlations(TABLE.head(2), ("loss",), "accuracy"), 2)
    assert none == "2 models are too few for a correlation: at least 3 are needed."
    many = correlations(TABLE, ("loss",), "accuracy")
    (said,) = correlation_sentences(many, 5)
    assert "fewer" not in said
    assert said.count(" to ") == 1


def test_what_is_held_fixed_is_said() -> None:
    models = MANY.with_columns(dataset=pl.lit("a"), layer=pl.lit("last"), model=pl.col("loss").cast(pl.String))
    found, (plain, partial) = correlated(models, "dataset", ("loss",), "accuracy", ((), ("hidden_size",)))
    assert "held fixed" not in plain
    assert "Spearman's correlation with accuracy with hidden size held fixed over 6 models: loss" in partial
    held = correlation(*(MANY[name].to_numpy() for name in ("loss", "accuracy")), controls=MANY["hidden_size"].log())
    (row,) = found.filter(pl.col("given") == "log_hidden_size", pl.col("method") == "pearson").rows(named=True)
    assert row["value"] == held.value
    _, (_, partial) = correlated(models.head(5), "dataset", ("loss",), "accuracy", ((), ("hidden_size",)))
    assert partial.endswith("too few for a correlation with hidden size held fixed: at least 6 are needed.")
    _, said = correlated(models.head(2), "dataset", ("loss",), "accuracy", ((), ("hidden_size",)))
    assert said == ["a: 2 models are too few for a correlation: at least 3 are needed."]


def test_data_sets_and_layers_are_correlated_apart() -> None:
    part = TABLE.with_row_index("model").with_columns(layer=pl.lit("last"))
    other = part.with_columns(loss=-pl.col("loss"), dataset=pl.lit("b"))
    deeper = other.with_columns(layer=pl.lit("0"), loss=pl.col("same"))
    table = pl.concat([part.with_columns(dataset=pl.lit("a")), other, deeper], how="diagonal_relaxed")
    found, said = correlated(table, "dataset", ("loss",), "accuracy")
    spearman = found.filter(pl.col("method") == "spearman")
    assert spearman.select("dataset", "layer", "models").rows() == [("a", "last", 5), ("b", "last", 5)]
    assert spearman["value"][0] == -spearman["value"][1]
    assert [text.partition(":")[0] for text in said] == ["a", "b", "b (layer 0)"]
    assert "No correlation is defined over 6 models" in said[2]


def test_the_target_itself_is_no_metric() -> None:
    with pytest.raises(StopIteration):
        next(correlations(TABLE, ("accuracy",), "accuracy").iter_rows())


def test_metrics_that_fewer_models_have_are_told_apart() -> None:
    table = TABLE.with_columns(diff_erank=pl.Series([1.0, 2.0, 4.0, None, None, None]))
    told = list(correlation_sentences(correlations(table, ("loss", "diff_erank"), "accuracy"), 6))
    assert ["over 5 models: loss" in told[0], "over 3 models: Diff-eRank +1.00" in told[1]] == [True, True]
