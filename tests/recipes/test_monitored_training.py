from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "recipes" / "monitored_training.py"


def test_six_steps(tmp_path: Path) -> None:
    command = [sys.executable, str(RECIPE), "--steps", "6", "--every", "3", "--batch", "2", "--output", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stderr
    curve = pl.read_csv(tmp_path / "curve.csv")
    ranks = curve.filter(metric="effective_rank", layer="last")
    assert ranks["step"].to_list() == [0, 3, 6]
    assert all(1 < rank <= 200 for rank in ranks["value"])
    losses = curve.filter(metric="loss", layer="last")["value"].to_list()
    assert abs(losses[0] - math.log(2048)) < 0.3  # before training every token is as likely as any other
    assert losses[-1] < losses[0]
    assert f"{ranks['value'][-1]:.3f}" in said.stdout
    page = (tmp_path / "curve.html").read_text()
    assert all(repr(value) in page for value in ranks["value"])
    assert "<script src" not in page
