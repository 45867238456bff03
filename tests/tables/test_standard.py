from __future__ import annotations

from pathlib import Path

from rankscope.tables import (
    checkpoints_table,
    metrics_table,
    short_name,
    short_names,
    summary_table,
    to_csv,
    to_markdown,
    whole_table,
)


def test_a_path_is_shortened_and_a_hub_id_is_not(tmp_path: Path) -> None:
    assert short_name("/somewhere/else/model.gguf") == "model"
    assert short_name(tmp_path) == tmp_path.name
    for name in ("owner/model@v1", "x" * 300, "a\0b"):
        assert short_name(name) == name


def test_models_of_one_name_stay_apart() -> None:
    assert short_names(["/a/last", "/b/last", "/c/first"]) == {
        "/a/last": "/a/last", "/b/last": "/b/last", "/c/first": "first",
    }  # fmt: skip
    rows = [
        {"model": model, "dataset": "d", "layer": "last", "texts": 1, "tokens": 2} for model in ("/a/last", "/b/last")
    ]
    assert "/b/last" in to_markdown(summary_table(rows))


def test_csv_has_the_reference_as_given_and_all_that_the_table_shows() -> None:
    row = {
        "model": "/a/b.gguf", "dataset": "d", "layer": "last", "texts": 5, "tokens": 9, "diff_erank": 1.5,
        "diff_erank_low": 1.0, "diff_erank_high": 2.0, "effective_rank": 3.25, "effective_rank_untrained": 4.75,
        "effective_rank_over_noise": 0.5, "normalized_matrix_entropy": 0.25, "matrix_nuclear_norm": None, "loss": 2.0,
    }  # fmt: skip
    heading, values = to_csv(summary_table([row])).splitlines()
    assert dict(zip(heading.split(","), values.split(","), strict=True)) == {
        key: "" if value is None else str(value) for key, value in row.items() if key != "layer"
    }


def test_an_assumed_initialiser_is_marked_and_an_unknown_one_leaves_no_twin() -> None:
    row = {"model": "m", "dataset": "d", "layer": "last", "texts": 5, "tokens": 9, "effective_rank": 3.25}
    twin = row | {"effective_rank_untrained": 4.75, "diff_erank": 1.5, "initializer_range": 1 / 24}
    unknown = row | {"effective_rank_untrained": None, "diff_erank": None, "initializer_range": None}
    unknown |= {"initializer_source": "unknown"}

    def shown(*rows: dict) -> list[str]:
        return to_markdown(summary_table(rows)).splitlines()

    for source in ("configuration", "--config-from X"):
        assert "initializer" not in shown(twin | {"initializer_source": source}, unknown)[0]
    heading, _, one, other = shown(twin | {"initializer_source": "flag"}, unknown)
    assert heading.endswith("twin's initializer |")
    assert one.endswith("| 0.04167 (assumed) |")
    assert "| – → 3.25 | – | – |" in other
    assert other.endswith("| – |")
    assert "0.04167 (library default)" in shown(twin | {"initializer_source": "library default"})[2]


def test_the_headline_has_its_own_choice_and_what_was_asked_for_by_name() -> None:
    row = {"model": "m", "dataset": "d", "layer": "last", "texts": 5, "tokens": 9, "effective_rank": 3.25}
    row |= {"stable_rank": 1.5, "stable_rank_low": 1.25, "stable_rank_high": 1.75, "loss": None}
    assert "stable rank" not in to_markdown(summary_table([row]))
    assert "rotated MNN" not in to_markdown(summary_table([row | {"rotated_matrix_nuclear_norm": None}]))
    heading, _, cells = to_markdown(summary_table([row | {"rotated_matrix_nuclear_norm": 0.5}])).splitlines()
    assert heading.endswith("| loss | rotated MNN |")
    assert cells.endswith("| – | 0.5000 |")
    heading, _, cells = to_markdown(metrics_table([row])).splitlines()
    assert heading == "| model | data | layer | texts | eRank | 95 % interval | stable rank | 95 % interval |"
    assert cells == "| m | d | last | 5 | 3.25 | – | 1.50 | 1.25 to 1.75 |"


def test_checkpoints_are_told_apart_by_what_differs_and_csv_has_every_key() -> None:
    row = {"checkpoint": "step_5", "step": 5, "dataset": "d", "layer": "last", "texts": 5, "effective_rank": 3.25}
    row |= {"loss": 2.5, "normalized_matrix_entropy": 0.5, "matrix_nuclear_norm": None, "x": 1 / 3, "x_low": 0.25}
    heading, _, values = to_markdown(checkpoints_table([row])).splitlines()
    assert heading == "| checkpoint | step | texts | loss | eRank | H/ln d | MNN |"
    assert values == r"| step\_5 | 5 | 5 | 2.500 | 3.25 | 0.5000 | – |"
    heading, *_ = to_markdown(checkpoints_table([row, row | {"layer": "0"}])).splitlines()
    assert heading.startswith("| checkpoint | step | layer | texts |")
    twin = row | {"diff_erank": 1.0, "diff_erank_low": 0.5, "diff_erank_high": 1.5}
    assert "| 1.00 | 0.5 to 1.5 |" in to_markdown(checkpoints_table([twin]))
    keys, one, other = to_csv(whole_table([row, {"checkpoint": "b", "y": 7}])).splitlines()
    assert keys.split(",") == [*row, "y"]
    assert one == f"step_5,5,d,last,5,3.25,2.5,0.5,,{1 / 3},0.25,"
    assert other == "b,,,,,,,,,,,7"
