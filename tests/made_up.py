"""Run folders that are written or changed by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl

import rankscope as rs


def alignment_run(folder: Path) -> rs.Run:
    """The summary of two vision-language models, one with shuffled images as well."""
    rows = [_aligned("pico-vlm", 1.0), _aligned("pico-vlm", 0.8, "shuffled"), _aligned("other-vlm", 1.3)]
    return written(folder, rows, {})


def _aligned(model: str, scale: float, control: str = "base") -> dict:
    row: dict = {"model": model, "dataset": "pairs", "control": control, "texts": 20, "skipped": 0}
    ranks = {f"erank{place}": scale * value for place, value in enumerate((30.0, 18.0, 12.0, 9.0, 15.0), 1)}
    ratios = {"image_reduction_ratio": 0.4, "image_text_alignment": 0.8, "modality_integration_rate": 1.5, "loss": 3.0}
    for key, value in (ranks | ratios).items():
        row |= {key: value, f"{key}_low": 0.95 * value, f"{key}_high": 1.05 * value}
    return row


def written(folder: Path, rows: list[dict], settings: dict) -> rs.Run:
    """A run folder with this summary and no measurements."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    identity = {
        "kind": "alignment",
        "settings": settings,
        "models": [{"reference": model, "revision": None, "fingerprint": "0" * 64} for model in models],
        "data": [{"name": "pairs", "fingerprint": "1" * 64}],
    }
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "identity": identity, "sessions": []}))
    (folder / "summary.json").write_text(json.dumps({"schema": 1, "rows": rows}))
    return rs.Run(folder)


def renamed(run: rs.Run, folder: Path, names: dict[str, str]) -> rs.Run:
    """A copy of a run in which models, data and texts have other names."""
    shutil.copytree(run.path, folder)
    for file in (folder / "manifest.json", folder / "summary.json"):
        text = file.read_text()
        for old, new in names.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        file.write_text(text)
    for file in (folder / "measurements").glob("*.parquet"):
        columns = [pl.col(column).replace(names) for column in ("model", "dataset", "text_id")]
        pl.read_parquet(file).with_columns(columns).write_parquet(file)
    return rs.Run(folder)


def without_eigenvalues(run: rs.Run, folder: Path) -> rs.Run:
    """A copy of a run as it was written before eigenvalues were kept."""
    shutil.copytree(run.path, folder)
    for file in (folder / "measurements").glob("*.parquet"):
        pl.read_parquet(file).drop("eigenvalues").write_parquet(file)
    return rs.Run(folder)
