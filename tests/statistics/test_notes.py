"""Each note fires where it should, and is silent where it should be."""

from __future__ import annotations

import pytest

from rankscope.statistics import Facts, notes_on

ROW = {
    "model": "m", "dataset": "d", "layer": "last", "texts": 100, "skipped": 0, "tokens": 10_000, "hidden_size": 64,
    "effective_rank": 20.0, "effective_rank_over_noise": 0.4, "matrix_nuclear_norm_over_noise": 0.7, "stable_rank": 3.0,
    "untrained_seeds": 1, "effective_rank_untrained": 30.0, "effective_rank_untrained_over_noise": 0.5,
    "diff_erank": 10.0, "diff_erank_low": 9.0, "diff_erank_high": 11.0,
}  # fmt: skip


def test_several_versions_are_named() -> None:
    (note,) = notes_on([ROW], Facts(versions={"torch": ["2.6.0", "2.7.0"], "transformers": ["5.1", "5.2"]}))
    assert note.name == "several-versions"
    assert "(torch 2.6.0 and 2.7.0; transformers 5.1 and 5.2)" in note.text
    assert (note.rows, note.numbers) == (("m | d | last",), {"versions": 2.0})
    assert fired([ROW]) == []


TWIN = "effective_rank_untrained_over_noise"


def fired(rows: list[dict], **facts: object) -> list[str]:
    return [note.name for note in notes_on(rows, Facts(**facts))]


def models(sizes: list[int], ranks: list[float]) -> list[dict]:
    return [
        ROW | {"model": f"m{n}", "hidden_size": size, "diff_erank": rank, "diff_erank_high": rank + 1}
        for n, (size, rank) in enumerate(zip(sizes, ranks, strict=True))
    ]


def test_an_unremarkable_row_has_no_notes() -> None:
    assert fired([ROW]) == []


@pytest.mark.parametrize(
    ("name", "fires", "silent"),
    [
        (
            "negative-diff-erank",
            {"diff_erank_high": -0.1},
            {"diff_erank_high": 0.1},
        ),
        (
            "twin-collapsed",
            {TWIN: 0.14},
            {TWIN: 0.16},
        ),
        ("twin-wide", {TWIN: 0.71}, {TWIN: 0.69}),
        ("near-noise", {"effective_rank_over_noise": 0.86}, {"effective_rank_over_noise": 0.84}),
        ("near-noise", {"matrix_nuclear_norm_over_noise": 1.14}, {"matrix_nuclear_norm_over_noise": 1.16}),
        ("few-texts", {"texts": 29}, {"texts": 30}),
        ("texts-cut", {"cut": 1}, {"cut": 0}),
        ("many-skipped", {"texts": 94, "skipped": 6}, {"texts": 95, "skipped": 5}),
    ],
)
def test_thresholds_of_a_single_row(name: str, fires: dict, silent: dict) -> None:
    assert fired([ROW | fires]) == [name]
    assert fired([ROW | silent]) == []


def test_where_the_initialiser_comes_from() -> None:
    without = dict.fromkeys(("diff_erank", "diff_erank_low", "diff_erank_high", "effective_rank_untrained", TWIN))
    unknown = ROW | without | {"untrained_seeds": 0, "initializer_source": "unknown", "initializer_range": None}
    assert fired([unknown]) == ["initializer-unknown"]
    assert fired([unknown], protocol="paper", dropout={"m": 0.1}) == ["initializer-unknown"]
    for source in ("configuration", "--config-from X"):
        assert fired([ROW | {"initializer_source": source, "initializer_range": 0.3}]) == []
    for source in ("flag", "library default", "library default, --config-from X"):
        (note,) = notes_on([ROW, ROW | {"model": "n", "initializer_source": source, "initializer_range": 0.3}], Facts())
        assert (note.name, note.rows, "0.3" in note.text) == ("initializer-assumed", ("n | d | last",), True)


def test_models_with_and_without_twins_are_ranked_apart() -> None:
    sizes = [64, 128, 256, 512]
    ranked = models(sizes, [1.0, 2.0, 4.0, 3.0])
    bare = [
        row | {"diff_erank": None, "diff_erank_high": None, "effective_rank": 5.0 + n} for n, row in enumerate(ranked)
    ]
    (note,) = notes_on([*ranked, *bare], Facts())
    assert "4 models by eRank" in note.text


def test_dropout_in_the_twin() -> None:
    assert fired([ROW], protocol="paper", dropout={"m": 0.1}) == ["dropout-in-twin"]
    assert fired([ROW], protocol="paper", dropout={"m": 0.0}) == []
    assert fired([ROW], protocol="default", dropout={"m": 0.1}) == []


def test_lengths_of_compared_models() -> None:
    assert fired([ROW, ROW | {"model": "n", "tokens": 11_100}]) == ["lengths-differ"]
    assert fired([ROW, ROW | {"model": "n", "tokens": 10_900}]) == []
    assert fired([ROW, ROW | {"dataset": "e", "tokens": 20_000}]) == []


def test_a_ranking_that_hidden_size_explains() -> None:
    assert fired(models([64, 128, 256, 512], [1.0, 2.0, 3.0, 4.0])) == ["ranked-by-hidden-size"]
    assert fired(models([64, 128, 256, 512], [4.0, 3.0, 2.0, 1.0])) == ["ranked-by-hidden-size"]
    assert fired(models([64, 128, 256, 512], [2.0, 1.0, 4.0, 3.0])) == []
    assert fired(models([64, 128, 256], [1.0, 2.0, 3.0])) == []


def test_a_ranking_is_told_once_for_all_its_layers() -> None:
    layers = [
        row | {"layer": layer}
        for layer, ranks in (("0", [1.0, 2.0, 3.0, 4.0]), ("1", [2.0, 1.0, 4.0, 3.0]), ("last", [4.0, 3.0, 2.0, 1.0]))
        for row in models([64, 128, 256, 512], ranks)
    ]
    (note,) = notes_on(layers, Facts())
    assert "at layers 0, last" in note.text
    assert len(note.rows) == 8
    (one,) = notes_on([row for row in layers if row["layer"] == "last"], Facts())
    assert "layers" not in one.text


def test_layers_that_one_direction_holds() -> None:
    layers = [ROW | {"layer": str(n), "stable_rank": 3.0} for n in range(4)]
    assert fired(layers) == []
    (note,) = notes_on([*layers, ROW | {"layer": "4", "stable_rank": 1.1, "effective_rank": 9.0}], Facts())
    assert fired([*layers, ROW | {"layer": "4", "stable_rank": 2.1, "effective_rank": 9.0}]) == []
    assert fired([*layers, ROW | {"layer": "4", "stable_rank": 1.1, "effective_rank": 11.0}]) == []
    assert note.name == "sink-layers"
    assert note.rows == ("m | d | 4",)
    assert note.numbers == {"lowest": 1.1, "highest": 1.1}


def test_a_note_names_the_rows_that_it_concerns() -> None:
    (note,) = notes_on([ROW, ROW | {"layer": "3", "texts": 5}, ROW | {"layer": "4", "texts": 7}], Facts())
    assert note.rows == ("m | d | 3", "m | d | 4")
    assert note.numbers == {"lowest": 5.0, "highest": 7.0}


def test_rows_without_numbers_say_nothing() -> None:
    empty = dict.fromkeys(ROW) | {"model": "m", "dataset": "d", "layer": "last", "texts": 0, "skipped": 3, "tokens": 0}
    assert fired([empty]) == ["few-texts", "many-skipped"]
