from __future__ import annotations

import polars as pl

from rankscope.studies.sentences import by_layer, over_sizes


def rows_of(layers: tuple[str, ...], ranks: tuple[float | None, ...] = (10.0, 20.0)) -> pl.DataFrame:
    rows = [
        {"family": "f", "dataset": "d", "model": f"m{place}", "parameters": place, "layer": layer,
         "effective_rank": None if rank is None else rank + depth}
        for place, rank in enumerate(ranks) for depth, layer in enumerate(layers)
    ]  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def test_layers_are_not_mixed_in_a_sentence() -> None:
    assert list(over_sizes(rows_of(("last",)))) == ["f on d, m0 to m1: eRank changes from 10.00 to 20.00."]
    assert list(over_sizes(rows_of(("0", "last")))) == [
        "f on d (layer 0), m0 to m1: eRank changes from 10.00 to 20.00.",
        "f on d, m0 to m1: eRank changes from 11.00 to 21.00.",
    ]


def test_one_layer_of_each_model_stays_together() -> None:
    middle = rows_of(("0",)).with_columns(layer=pl.Series(["2", "4"]))
    assert [layer for layer, _ in by_layer(middle)] == ["2, 4"]
    assert list(over_sizes(middle)) == ["f on d (layer 2, 4), m0 to m1: eRank changes from 10.00 to 20.00."]


def test_models_without_a_number_are_left_out() -> None:
    assert list(over_sizes(rows_of(("last",), (None, 10.0, 20.0)))) == [
        "f on d, m1 to m2: eRank changes from 10.00 to 20.00."
    ]
    assert list(over_sizes(rows_of(("last",), (None, None)))) == []


def test_without_a_twin_at_either_end_only_the_rank_is_told() -> None:
    table = rows_of(("last",)).with_columns(
        diff_erank=pl.Series([1.0, None]), effective_rank_untrained=pl.Series([11.0, None]), reduced_loss=pl.lit(None)
    )
    assert list(over_sizes(table)) == ["f on d, m0 to m1: eRank changes from 10.00 to 20.00."]
