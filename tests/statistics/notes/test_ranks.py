"""Notes on ranks fire where they should, and are silent where they should be."""

from __future__ import annotations

import pytest

from noted import ROW, fired
from rankscope.statistics import Facts, notes_on


def models(sizes: list[int], ranks: list[float]) -> list[dict]:
    return [
        ROW | {"model": f"m{n}", "hidden_size": size, "diff_erank": rank, "diff_erank_high": rank + 1}
        for n, (size, rank) in enumerate(zip(sizes, ranks, strict=True))
    ]


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


def test_models_with_and_without_twins_are_ranked_apart() -> None:
    sizes = [64, 128, 256, 512]
    ranked = models(sizes, [1.0, 2.0, 4.0, 3.0])
    bare = [
        row | {"diff_erank": None, "diff_erank_high": None, "effective_rank": 5.0 + n} for n, row in enumerate(ranked)
    ]
    (note,) = notes_on([*ranked, *bare], Facts())
    assert "4 models by eRank" in note.text


def test_layers_that_one_direction_holds() -> None:
    layers = [ROW | {"layer": str(n), "stable_rank": 3.0} for n in range(4)]
    assert fired(layers) == []
    (note,) = notes_on([*layers, ROW | {"layer": "4", "stable_rank": 1.1, "effective_rank": 9.0}], Facts())
    assert fired([*layers, ROW | {"layer": "4", "stable_rank": 2.1, "effective_rank": 9.0}]) == []
    assert fired([*layers, ROW | {"layer": "4", "stable_rank": 1.1, "effective_rank": 11.0}]) == []
    assert note.name == "sink-layers"
    assert note.rows == ("m | d | 4",)
    assert note.numbers == {"lowest": 1.1, "highest": 1.1}


@pytest.mark.parametrize(
    ("fires", "silent"),
    [
        ({"effective_rank_over_noise": 0.86}, {"effective_rank_over_noise": 0.84}),
        ({"matrix_nuclear_norm_over_noise": 1.14}, {"matrix_nuclear_norm_over_noise": 1.16}),
    ],
)
def test_what_is_near_noise(fires: dict, silent: dict) -> None:
    assert fired([ROW | fires]) == ["near-noise"]
    assert fired([ROW | silent]) == []
