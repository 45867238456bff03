"""Bad run folders: damaged manifests, summaries and measurements."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from bad_inputs.kit import ANY, VALUES, Kit, Made, spoil


def damaged_run(kit: Kit) -> Made:
    run = kit.copy_of_run()
    file = kit.random.choice(
        [
            run / "manifest.json",
            run / "summary.json",
            *sorted(run.glob("measurements/*.parquet")),
            *sorted(run.glob("units/*.json")),
            *sorted(run.glob("sessions/*.json")),
        ]
    )
    if kit.random.random() < 0.2:
        file.unlink()
    elif file.suffix == ".json" and kit.random.random() < 0.6:
        file.write_text(json.dumps(replaced_somewhere(kit, json.loads(file.read_text()))))
    elif file.suffix == ".parquet" and kit.random.random() < 0.5:
        frame = pl.read_parquet(file)
        column = kit.random.choice(frame.columns)
        changes = [
            frame.drop(column),
            frame.clear(),
            frame.with_columns(pl.lit("x").alias(column)),
            frame.rename({column: "zz"}),
        ]
        changes.append(frame.with_columns(pl.lit(None).alias(column)))
        kit.random.choice(changes).write_parquet(file)
    else:
        spoil(kit, file)
    calls: list[tuple[object, ...]] = [
        ("compare", run), ("compare", kit.run, run), ("compare", run, "--json"), ("report", run),
        ("report", kit.run, run), ("report", run, "--model-card"), ("report", run, "--tables", kit.folder / "t"),
        kit.evaluate("--output", run), ("merge", run, "--output", run),
        ("merge", run, "--output", kit.folder / "whole"),
    ]  # fmt: skip
    return tuple(map(str, kit.random.choice(calls))), ANY


def replaced_somewhere(kit: Kit, content: Any) -> Any:
    """The document with one value, at any depth, replaced or left out."""
    if isinstance(content, dict) and content and kit.random.random() < 0.8:
        key = kit.random.choice(sorted(content))
        if kit.random.random() < 0.2:
            return {name: value for name, value in content.items() if name != key}
        return content | {key: replaced_somewhere(kit, content[key])}
    if isinstance(content, list) and content and kit.random.random() < 0.8:
        return [replaced_somewhere(kit, content[0]), *content[1:]]
    return kit.random.choice(VALUES)
