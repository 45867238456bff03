"""The study of architectures: on the pico family, and on networks of other sizes, tokenizers and records."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import rankscope as rs
from rankscope.errors import SettingsError
from rankscope.reports import study_figure, write_study
from rankscope.settings import Settings, StudyOptions
from rankscope.studies import Conducted, conduct
from rankscope.studies.questions.architectures import STUDY, _verdict
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def conducted(tmp_path_factory: pytest.TempPathFactory) -> Conducted:
    options = StudyOptions(("pico-0.4m", "pico-llama", "pico-mixtral"))
    return conduct("architectures", options, output=tmp_path_factory.mktemp("study"), settings=Settings(limit=8))


def test_a_row_for_each_architecture_and_step_the_untrained_first(conducted: Conducted) -> None:
    table = conducted.findings.table
    steps = table.group_by("architecture", maintain_order=True).agg("step")
    assert dict(steps.rows()) == {
        "gpt_neox": [0, 128, 256, 512, 1024, 2048],
        "llama": [0, 128, 512, 2048],
        "mixtral": [0, 128, 512, 2048],
    }
    assert set(STUDY.columns) - {"bits_per_character"} <= set(table.columns)
    assert table["loss"].null_count() == table["effective_rank"].null_count() == 0
    assert table.filter(step=0)["diff_erank"].null_count() == 3


def test_step_0_is_the_mean_of_three_twins(conducted: Conducted) -> None:
    table = conducted.findings.table
    (run,) = (conducted.request.folder / "runs").iterdir()
    summary = rs.Run(run).summary().filter(model="pico-llama")
    assert summary["untrained_seeds"].item() == 3
    row = table.filter(architecture="llama", step=0)
    assert row["loss"].item() == pytest.approx(summary["untrained_loss"].item())
    end = table.filter(architecture="llama", step=2048)
    assert row["effective_rank"].item() == pytest.approx(summary["effective_rank_untrained"].item(), rel=1e-2)
    assert end["diff_erank"].item() == summary["diff_erank"].item()


def test_what_is_said_is_what_the_tables_hold(conducted: Conducted, tmp_path: Path) -> None:
    findings = conducted.findings
    found, shares = findings.more["correlations"], findings.more["initialisation"]
    assert set(found["where"]) == {
        "gpt_neox", "llama", "mixtral", "gpt_neox, trained", "llama, trained", "mixtral, trained",
        "all, architecture held fixed", "trained, architecture held fixed", "step 128", "step 512", "step 2,048",
    }  # fmt: skip
    told = " ".join(findings.sentences)
    inside = found.filter(where="trained, architecture held fixed", metric="effective_rank", method="spearman").row(
        0, named=True
    )
    assert inside["points"] == 11
    assert f"eRank {inside['value']:+.2f} ({inside['low']:+.2f} to {inside['high']:+.2f})" in told
    share = shares.filter(where="step 2,048", metric="effective_rank").row(0, named=True)
    assert f"{share['explained']:.0%} at step 2,048" in told
    assert share["explained_low"] is None  # three architectures
    assert "differ" not in told.replace("architectures", "")
    names = set(write_study(conducted))
    assert {"correlations.csv", "initialisation.md", "figure.svg", "paragraph.md"} <= names


def test_the_figure_joins_the_steps_of_an_architecture_over_the_loss(conducted: Conducted) -> None:
    chart = study_figure(conducted)
    assert chart is not None
    panel = chart.to_dict()["vconcat"][0]["vconcat"][0]["hconcat"][0]
    (line,) = (layer for layer in panel["layer"] if layer["mark"]["type"] == "line")
    encoding = line["encoding"]
    assert (encoding["x"]["field"], encoding["y"]["field"]) == ("loss", "effective_rank")
    assert (encoding["color"]["field"], encoding["order"]["field"]) == ("architecture", "step")


def test_other_tokenizers_sizes_and_no_steps(tmp_path: Path) -> None:
    models = ("pico-0.1m", str(save_tiny(tmp_path / "tiny", "llama")), str(save_tiny(tmp_path / "other", "qwen2")))
    data = tmp_path / "texts.txt"
    data.write_text("\n".join(SENTENCES))
    found = conduct("architectures", StudyOptions(models, (str(data),)), output=tmp_path / "study").findings
    told = " ".join(found.sentences)
    assert "Tokenizers differ" in told
    assert "Parameters differ by" in told
    assert "Across 3 architectures at the end, it is" in told
    assert found.figure is not None
    assert found.figure.x == "bits_per_character"
    row = found.table.filter(model="pico-0.1m").row(0, named=True)
    one_token_each = row["loss"] * (row["tokens"] - row["texts"]) / sum(map(len, SENTENCES))
    assert row["bits_per_character"] == pytest.approx(one_token_each / 0.6931, rel=0.1)  # means over texts, over all
    assert found.table["bits_per_character"].null_count() == 0


def test_one_model_is_none_to_compare(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least two trainings"):
        conduct("architectures", StudyOptions(("pico-0.1m",)), output=tmp_path / "study")


def verdict(
    inside: tuple[float, float, float], between: tuple[float, float | None, float | None], alone: tuple[float, ...]
) -> str:
    ends = {"trained, architecture held fixed": inside, "the end": between}
    ends |= {f"{place}, trained": (value, None, None) for place, value in enumerate(alone)}
    rows = [
        {"where": where, "metric": "effective_rank", "value": value, "low": low, "high": high, "points": 5}
        for where, (value, low, high) in ends.items()
    ]
    return _verdict(pl.DataFrame(rows), "the end")


def test_the_verdict_can_come_out_either_way() -> None:
    falls, rises, unclear = (-0.9, -0.99, -0.5), (0.9, 0.5, 0.99), (0.3, -0.6, 0.9)
    each = (-1.0, -0.5, -1.0)
    assert "not shown to rank architectures" in verdict(falls, unclear, each)
    assert "the two directions are opposite" in verdict(falls, rises, each)
    both = verdict(falls, falls, each)
    assert both.count("rises as the loss falls") == 2
    assert "in 3 of 3 separately" in both
    assert verdict(unclear, unclear, each).count("shows no relation with the loss") == 2
    assert verdict(falls, falls, (-1.0, 0.5, -1.0)).count("shows no relation with the loss") == 1  # one goes otherwise
    assert verdict(falls, (1.0, None, None), each) == verdict(falls, rises, each)  # five in perfect order
