from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import rankscope as rs
from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs import compare
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, their texts and a run of each."""
    place = tmp_path_factory.mktemp("made")
    (place / "lines.txt").write_text("\n".join(SENTENCES))
    for seed, name in enumerate(("one", "two")):
        folder = save_tiny(place / name, seed=seed)
        rs.evaluate(str(folder), str(place / "lines.txt"), output=place / f"run-{name}")
    return place


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> list[rs.Run]:
    """The same in a folder of their own, to be edited; as if they had been made there."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    for file in [*tmp_path.glob("run-*/*.json"), *tmp_path.glob("run-*/readings/*.json")]:
        file.write_text(file.read_text().replace(str(made), str(tmp_path)))
    for file in tmp_path.glob("run-*/measurements/*.parquet"):
        rows = pl.read_parquet(file)
        rows.with_columns(pl.col("model").str.replace(str(made), str(tmp_path), literal=True)).write_parquet(file)
    return [rs.Run(tmp_path / f"run-{name}") for name in ("one", "two")]


def test_differences_are_those_of_the_summaries(runs: list[rs.Run]) -> None:
    comparison = rs.compare(*runs)
    one, two = (run.summary_rows()[0] for run in runs)
    found = {difference.metric: difference for difference in comparison.differences}
    assert set(found) == {
        "effective_rank", "diff_erank", "normalized_matrix_entropy", "matrix_nuclear_norm", "nuclear_norm",
        "stable_rank", "participation_ratio", "loss",
    }  # fmt: skip
    for metric, difference in found.items():
        assert (difference.reference_value, difference.model_value) == pytest.approx((one[metric], two[metric]))
        assert difference.difference == pytest.approx(two[metric] - one[metric])
        assert difference.low <= difference.difference <= difference.high
        assert difference.texts == len(SENTENCES)
        assert (difference.p_value is None) == (metric == "diff_erank")
    assert {note.name for note in comparison.notes} >= {"few-texts"}
    assert comparison.frame().height == 8


def test_the_p_value_is_that_of_the_texts(runs: list[rs.Run]) -> None:
    losses = [run.measurements().filter(pl.col("role") == "trained").sort("text_id")["loss"].to_numpy() for run in runs]
    (found,) = (one for one in rs.compare(*runs).differences if one.metric == "loss")
    differences = losses[1] - losses[0]
    flips = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1)
    means = np.abs((flips * differences[:, None]).mean(axis=0))
    assert found.p_value == pytest.approx((means >= abs(differences.mean()) - 1e-12).mean())


def test_a_model_against_itself(runs: list[rs.Run], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (tmp_path / "one").rename(tmp_path / "one-copy")
    save_tiny(tmp_path / "one", seed=0)
    run = rs.evaluate(str(tmp_path / "one-copy"), str(tmp_path / "lines.txt"), output=copy)
    for difference in compare(runs[0], run).differences:
        assert (difference.difference, difference.low, difference.high) == pytest.approx((0, 0, 0), abs=1e-9)
        assert difference.p_value in (None, 1.0)


def test_what_cannot_be_compared(runs: list[rs.Run], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least two models, got 1"):
        compare(runs[0])
    other = rs.evaluate(str(tmp_path / "two"), str(tmp_path / "lines.txt"), output=tmp_path / "other", limit=3)
    with pytest.raises(SettingsError, match="no other model was measured on the texts and layers"):
        compare(runs[0].path, str(other.path))
    with pytest.raises(RunFolderError, match="is not a run folder"):
        compare(tmp_path, runs[0])


def test_the_command(runs: list[rs.Run], capsys: pytest.CaptureFixture[str]) -> None:
    from rankscope.cli import main

    for arguments in ([], ["--json"]):
        with pytest.raises(SystemExit) as exit_:
            main(["compare", *(str(run.path) for run in runs), *arguments])
        assert not exit_.value.code
        out = capsys.readouterr().out
        if arguments:
            assert json.loads(out)["differences"][0]["metric"] == "effective_rank"
        else:
            assert "95 % interval" in out
            assert "note few-texts" in out


def evaluated(tmp_path: Path, name: str, model: str = "one", **settings: object) -> rs.Run:
    return rs.evaluate(str(tmp_path / model), str(tmp_path / "lines.txt"), output=tmp_path / name, **settings)


@pytest.mark.parametrize(
    ("change", "setting", "values"),
    [
        ({"perturbation": "tokens-shuffled"}, "perturbation", ("none", "tokens-shuffled")),
        ({"perturbation": "words-reversed"}, "perturbation", ("none", "words-reversed")),
        ({"prefix": "Read:"}, "prefix", ("none", "Read:")),
        ({"max_length": 6}, "max_length", ("2048", "6")),
        ({"drop_tokens": "first"}, "drop_tokens", ("none", "first")),
        ({"protocol": "permuted"}, "protocol", ("default", "permuted")),
        ({"dtype": "bfloat16"}, "dtype", ("float32", "bfloat16")),
    ],
)
def test_one_model_under_another_setting_is_named_by_the_setting(
    runs: list[rs.Run], tmp_path: Path, change: dict, setting: str, values: tuple[str, str]
) -> None:
    other = evaluated(tmp_path, "changed", **change)
    found = compare(runs[0], other)
    assert {(one.setting, one.reference_setting, one.model_setting) for one in found.differences} == {
        (setting, *values)
    }
    assert {one.model for one in found.differences} == {one.reference for one in found.differences}
    (rank,) = (one for one in found.differences if one.metric == "effective_rank")
    expected = [run.summary_rows()[0]["effective_rank"] for run in (runs[0], other)]
    assert [rank.reference_value, rank.model_value] == pytest.approx(expected)
    assert any(note.name.endswith(("-differ", "-differs")) and setting in note.text for note in found.notes)
    from rankscope.tables import differences_table, to_markdown

    table = to_markdown(differences_table(found.rows()))
    assert values[1] in table.splitlines()[2]
    assert f"the same model with {setting}" in table.replace("\\", "")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"perturbation": "tokens-shuffled"}, "perturbation (none and tokens-shuffled)"),
        ({"max_length": 6}, "max_length (2048 and 6)"),
        ({"window": 8}, "window (none and 8)"),
        ({"drop_tokens": "first"}, "drop_tokens (none and first)"),
    ],
)
def test_different_models_under_different_settings_are_refused(
    runs: list[rs.Run], tmp_path: Path, change: dict, told: str
) -> None:
    with pytest.raises(SettingsError, match="different models") as raised:
        compare(runs[0], evaluated(tmp_path, "changed", "two", **change))
    assert told in str(raised.value)


@pytest.mark.parametrize("change", [{"protocol": "permuted"}, {"untrained_seeds": 2}])
def test_of_other_twins_the_trained_models_are_compared(runs: list[rs.Run], tmp_path: Path, change: dict) -> None:
    found = compare(runs[0], evaluated(tmp_path, "changed", "two", **change))
    usual = compare(*runs)
    assert [one for one in usual.differences if one.metric != "diff_erank"] == list(found.differences)
    assert "twins-differ" in {note.name for note in found.notes}
    assert "twins-differ" not in {note.name for note in usual.notes}


def test_the_same_run_twice_and_models_that_are_in_two_runs(runs: list[rs.Run], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="with the same settings: there is nothing to compare"):
        compare(runs[0], runs[0].path)
    models, data = [str(tmp_path / "one"), str(tmp_path / "two")], str(tmp_path / "lines.txt")
    both = rs.evaluate(models, data, output=tmp_path / "both")
    with pytest.raises(SettingsError, match="remove one"):
        compare(runs[0], both)
    shuffled = rs.evaluate(models, data, output=tmp_path / "s", perturbation="tokens-reversed")
    found = compare(both, shuffled)
    assert {(one.reference, one.model) for one in found.differences} == {
        (str(tmp_path / name), str(tmp_path / name)) for name in ("one", "two")
    }


def test_other_weights_under_the_same_name_are_told_apart_by_the_run(runs: list[rs.Run], tmp_path: Path) -> None:
    save_tiny(tmp_path / "one", seed=5)
    found = compare(runs[0], evaluated(tmp_path, "later"))
    assert {(one.reference, one.model) for one in found.differences} == {
        (f"{tmp_path / 'one'} (run-one)", f"{tmp_path / 'one'} (later)")
    }


@pytest.mark.parametrize(
    ("file", "path", "message"),
    [
        ("manifest.json", ("identity", "models", 0, "fingerprint"), r"\.fingerprint is missing"),
        ("manifest.json", ("identity", "models", 0, "dropout"), r"\.dropout is missing"),
        ("manifest.json", ("identity", "models", 0), "is not an object"),
        ("manifest.json", ("identity", "data", 0, "name"), r"\.name is missing"),
        ("manifest.json", ("identity", "settings", "protocol"), r"\.protocol is missing"),
        ("sessions/*.json", ("versions",), r"versions is not an object"),
        ("summary.json", ("rows", 0, "tokens"), r"\.tokens is missing"),
        ("summary.json", ("rows", 0), "is not an object"),
        ("summary.json", ("notes", 0, "text"), r"\.text is missing"),
        ("summary.json", ("notes", 0), "is not an object"),
    ],
)
def test_an_edited_file_is_named(runs: list[rs.Run], file: str, path: tuple, message: str) -> None:
    (place,) = runs[1].path.glob(file)
    content = json.loads(place.read_text())
    inside = content
    for key in path[:-1]:
        inside = inside[key]
    if isinstance(inside, dict) and path != ("versions",):
        del inside[path[-1]]
    else:
        inside[path[-1]] = "?"
    place.write_text(json.dumps(content))
    with pytest.raises(RunFolderError, match=message):
        compare(*runs)
