from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rankscope as rs
from made_up import renamed
from rankscope.cli import main
from rankscope.reports import build_report, predictions_table
from rankscope.reports.predictions import predictions_of, predictions_on
from rankscope.reports.rows import LabelledRow
from rankscope.runs import Differing
from rankscope.statistics import Summary, predictions
from rankscope.tables import to_markdown

RUN = rs.Run("nowhere")


def rows(number: int) -> list[LabelledRow]:
    rng = np.random.default_rng(0)
    found: list[Summary] = [
        {
            "model": f"m{place}", "family": f"f{place % 3}", "parameters": 10 ** (7 + place // 3), "texts": 10,
            "tokens": 1000 + int(rng.integers(0, 100)), "loss": 5 - 0.3 * (place // 3) + 0.1 * float(rng.normal()),
            "effective_rank": 20 + float(rng.normal()), "diff_erank": 30 + float(rng.normal()),
        }
        for place in range(number)
    ]  # fmt: skip
    return [LabelledRow(RUN, str(row["model"]), row) for row in found]


def test_loss_is_predicted_from_size_and_length_from_five_models_on() -> None:
    found, remark = predictions_on(rows(9), Differing((RUN,), {}))
    assert found is not None
    assert remark is None
    used = [one.row | {"tokens_per_text": int(str(one.row["tokens"])) / 10} for one in rows(9)]
    direct = predictions(used, ("effective_rank", "diff_erank"), "loss")
    assert found["gain_low"].to_list() == [one.gain_low for one in direct]
    shown = to_markdown(predictions_table(found))
    assert "ln(parameters)" in shown
    assert "not above baseline" in shown
    assert predictions_on(rows(4), Differing((RUN,), {})) == (None, None)


def test_what_cannot_be_set_beside_each_other_is_not() -> None:
    for setting in ("perturbation", "limit"):
        assert predictions_on(rows(9), Differing((RUN, RUN), {setting: (1, 2)})) == (None, None)
    found, _ = predictions_on(rows(9), Differing((RUN, RUN), {"protocol": ("paper", "default")}))
    assert found is not None
    assert set(found["metric"].drop_nulls()) == {"effective_rank"}
    twice = [LabelledRow(RUN, "m1", one.row) for one in rows(9)]
    assert predictions_on(twice, Differing((RUN,), {})) == (None, None)


def test_a_missing_parameter_count_is_a_remark_that_names_the_model() -> None:
    models = rows(9)
    models[2] = LabelledRow(RUN, "m2", models[2].row | {"parameters": None})
    found, remark = predictions_on(models, Differing((RUN,), {}))
    assert found is None
    assert "no parameter count is known for m2," in str(remark)


@pytest.mark.slow
def test_reports_and_comparisons_of_five_models_have_it(
    runs: dict[str, rs.Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = {"pico-0.1m": "owner/a", "pico-0.4m": "owner/b", "pico-1m": "owner/c"}
    opened = [runs["sizes"], renamed(runs["sizes"], tmp_path / "others", others)]
    found, remarks = predictions_of(opened)
    assert list(found) == ["stdlib-docs"]
    assert remarks == []
    assert found["stdlib-docs"]["models"].unique().to_list() == [6]
    assert len(build_report(*opened).tables()["prediction"].rows) == found["stdlib-docs"].height
    with pytest.raises(SystemExit) as ended:
        main(["compare", *(str(run.path) for run in opened), "--json"])
    assert ended.value.code == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["predictions"]) == found["stdlib-docs"].height
    assert content["predictions"][0]["dataset"] == "stdlib-docs"
