"""The build time and page size of a large report on synthetic data: 5 models x 31 layers x 500 texts.

python benchmarks/report.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from rankscope.measuring import text_columns
from rankscope.metrics import metric_names
from rankscope.reports import build_report, save_figures, save_page, save_tables
from rankscope.runs.folder import SUMMARY, open_run_folder
from rankscope.statistics import summarize

MODELS, LAYERS, TEXTS, HIDDEN_SIZE = 5, 31, 500, 576
SECONDS, MEGABYTES = 20, 6  # limits for the page


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fabricate(folder / "run")
        started = time.perf_counter()
        report = build_report(folder / "run")
        page = save_page(report, folder / "report.html")
        seconds, megabytes = time.perf_counter() - started, page.stat().st_size / 1e6
        print(f"page:    {seconds:5.1f} s of {SECONDS}, {megabytes:4.2f} MB of {MEGABYTES}")
        started = time.perf_counter()
        written = [*save_tables(report, folder / "tables"), *save_figures(report, folder / "figures")]
        print(f"files:   {time.perf_counter() - started:5.1f} s for {len(written)} tables and figures")
    if seconds > SECONDS or megabytes > MEGABYTES:
        raise SystemExit("over the budget")


def fabricate(folder: Path) -> None:
    """Writes a run folder with synthetic measurements in the shape of real ones."""
    models = [f"organisation/model-{place}" for place in range(MODELS)]
    identity = {
        "settings": {"protocol": "default", "layers": "all", "limit": TEXTS},
        "models": [{"reference": name, "revision": None, "fingerprint": "0" * 64, "dropout": 0.0} for name in models],
        "data": [{"name": "made-up", "fingerprint": "0" * 64}],
    }
    run = open_run_folder(folder, identity)
    for place, model in enumerate(models):
        for seed, role in ((None, "trained"), (0, "untrained")):
            run.adopt_unit(f"{place:02d}_{role}", measurements(model, role, seed, np.random.default_rng(place)))
    frame = pl.concat([run.finished_unit(file.stem) for file in sorted(run.measurements.glob("*.parquet"))])
    run.write_json(SUMMARY, {"schema": 1, "rows": summarize(frame), "notes": []})


def measurements(model: str, role: str, seed: int | None, rng: np.random.Generator) -> pl.DataFrame:
    """The rows of one model in one role: each text at each layer."""
    layers = [*map(str, range(LAYERS - 1)), "last"]
    rows = TEXTS * LAYERS
    entropy = rng.normal(3.5 if role == "trained" else 4.0, 0.2, rows)
    spectrum = np.exp(-np.arange(300) / 40)
    index = np.repeat(np.arange(TEXTS), LAYERS)
    eigenvalues = [(spectrum / spectrum.sum()).tolist() if text < 8 else None for text in index]
    metrics = {name: rng.uniform(0.1, 1, rows) for name in metric_names(default_only=True)}
    columns = {
        "model": [model] * rows,
        "dataset": ["made-up"] * rows,
        "text_index": index,
        "text_id": [str(text) for text in index],
        "layer": layers * TEXTS,
        "role": [role] * rows,
        "seed": [seed] * rows,
        "n_tokens": np.repeat(rng.integers(301, 1024, TEXTS), LAYERS),
        "hidden_size": [HIDDEN_SIZE] * rows,
        "status": ["ok"] * rows,
        "reason": [None] * rows,
        **metrics,
        "matrix_entropy": entropy,
        "effective_rank": np.exp(entropy),
        "rotated_matrix_nuclear_norm": [None] * rows,
        "eigenvalues": eigenvalues,
    }
    return pl.DataFrame(columns, schema=text_columns())


if __name__ == "__main__":
    main()
