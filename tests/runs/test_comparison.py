from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import rankscope as rs
from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs import compare
from tiny import SENTENCES, save_tiny


@pytest.fixture
def runs(tmp_path: Path) -> list[rs.Run]:
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(SENTENCES))
    folders = [save_tiny(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two"))]
    return [rs.evaluate(str(folder), str(path), output=tmp_path / f"run-{folder.name}") for folder in folders]


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
    with pytest.raises(RunFolderError, match="is not a run's folder"):
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
