"""Runs that several tests report on: real ones of small models, and one of images and texts that is written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

import rankscope as rs
from made_up import alignment_run

TEXTS = 12


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, rs.Run]:
    """`single`: one model, one layer. `sizes`: three models, all layers. `training`: checkpoints of one model."""
    place = tmp_path_factory.mktemp("runs")
    asked = {
        "single": (["pico-0.1m"], {"layers": "last"}),
        "sizes": (["pico-0.1m", "pico-0.4m", "pico-1m"], {"layers": "all"}),
        "training": (["pico@step-0", "pico@step-128", "pico@step-512", "pico"], {"layers": "last"}),
    }
    return {
        name: rs.evaluate(
            models, "stdlib-docs", output=place / name, limit=TEXTS, device="cpu", twin_cache=False, **settings
        )
        for name, (models, settings) in asked.items()
    }


@pytest.fixture
def alignment(tmp_path: Path) -> rs.Run:
    """A run of images and texts."""
    return alignment_run(tmp_path / "alignment")
