from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from processes import script, started, wait_for
from rankscope.texts.stdlib_docs import read_stdlib_docs

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "recipes" / "monitored_training.py"


def test_six_steps(tmp_path: Path) -> None:
    data, log = tmp_path / "texts.txt", tmp_path / "log"
    data.write_text("".join(" ".join(row.row["text"].split()) + "\n" for row in islice(read_stdlib_docs(), 60)))
    arguments = ("--steps", 6, "--every", 3, "--batch", 2, "--data", data, "--output", tmp_path)
    with started(script, RECIPE, *arguments, log=log) as process:
        assert wait_for(process, 300) == 0, log.read_text()
    curve = pl.read_csv(tmp_path / "curve.csv")
    ranks = curve.filter(metric="effective_rank", layer="last")
    assert ranks["step"].to_list() == [0, 3, 6]
    assert all(1 < rank <= 200 for rank in ranks["value"])
    losses = curve.filter(metric="loss", layer="last")["value"].to_list()
    assert abs(losses[0] - math.log(2048)) < 0.3  # before training every token is as likely as any other
    assert losses[-1] < losses[0]
    assert f"{ranks['value'][-1]:.3f}" in log.read_text()
    page = (tmp_path / "curve.html").read_text()
    assert all(repr(value) in page for value in ranks["value"])
    assert "<script src" not in page
