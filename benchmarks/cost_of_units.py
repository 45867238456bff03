"""Measures the unit costs of a run on this machine; see cost_model.py."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors

from rankscope.measuring import Plan, measure_batches, text_columns
from rankscope.models import LoadedNetwork
from rankscope.runs import Job, prepare
from rankscope.runs.carry_out import UnitFile
from rankscope.runs.folder import open_run_folder
from rankscope.runs.manifest import UnitRecord
from rankscope.runs.parquet import to_parquet
from rankscope.runs.plans import Plans
from rankscope.runs.preparation import load_text_sets
from rankscope.settings import Settings
from rankscope.statistics import summarize

MODELS = ("pico-0.1m", "pico-0.4m", "pico-1m", "pico-3m")
SETTINGS = {"device": "cpu", "field": "text", "twin_cache": False}
TEXTS, PLANNED, SUMMARISED, BATCHES = 200, 10_000, 25_000, 12


def _cost(what: str) -> Any:
    return field(metadata={"is": what})


@dataclass(frozen=True)
class Costs:
    """Seconds per unit of each kind of work; `spread` and `bytes` are not in seconds."""

    start: float = _cost("a process that only measures two texts with the smallest model")
    merger: float = _cost("a process that only merges those two")
    describe: float = _cost("a model's configuration, tokenizer and fingerprint")
    read: float = _cost("a text, read and fingerprinted")
    plan: float = _cost("a token, planned (once per tokenizer)")
    fit: float = _cost("a token, read to choose the texts that networks are fitted to (once per tokenizer)")
    load: float = _cost("a network, loaded or drawn, and fitted to the texts")
    token: float = _cost("a token, forward pass and metrics")
    batch: float = _cost("a batch, written into the run's folder")
    join: float = _cost("a batch, read and joined by the merge")
    row: float = _cost("a row (text x network x layer), summarised by the merge")
    spread: float = _cost("not seconds: relative standard deviation of a batch's seconds per token")
    bytes: float = _cost("not seconds: bytes of a row in a unit's file")


def data_file(folder: Path) -> Path:
    """A file of the bundled texts, repeated as often as needed."""
    (texts,) = load_text_sets(["stdlib-docs"], Settings())
    known = [text.text for text in texts.texts]
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": known[n % len(known)]}) + "\n" for n in range(PLANNED)))
    return file


def prepared(data: Path, limit: int = TEXTS) -> Job:
    """The job of the small run."""
    return prepare(MODELS, [str(data)], Settings(**SETTINGS, limit=limit))


def measured_costs(data: Path, folder: Path) -> tuple[Costs, dict[str, float]]:
    """Unit costs of pico (0.4 M parameters), and the seconds per token of each model in the small run."""
    job, few = prepared(data), prepare(MODELS[:1], [str(data)], Settings(**SETTINGS, limit=TEXTS))
    of_four, of_one = (
        seconds(lambda models=models: prepare(models, [str(data)], Settings(**SETTINGS, limit=TEXTS)).identity, 3)
        for models in (MODELS, MODELS[:1])
    )
    planning = _planning(data, few)
    (plan,) = Plans(job).of(job.subjects[1].model)
    loads = [seconds(lambda seed=seed: _network(job.subjects[1], seed, job, plan), 5) for seed in (None, 0)]
    rates, spreads, rows = {}, {}, []
    for name, subject in zip(MODELS, job.subjects, strict=True):
        rates[name], spreads[name], rows = _passes(job, subject)
    (kept, joined), (row, size) = _keeping(folder, rows), _summarising(rows)
    return (
        Costs(
            start=observed(data, folder / "least", "0/1", MODELS[:1], texts=2),
            merger=observed(data, folder / "least", None),
            describe=(of_four - of_one) / (len(MODELS) - 1),
            **planning,
            load=statistics.mean(loads),
            token=rates["pico-0.4m"],
            batch=kept,
            join=joined,
            row=row,
            spread=spreads["pico-0.4m"],
            bytes=size,
        ),
        rates,
    )


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of this process, as the median of several runs."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return statistics.median(found)


def child(command: list[str]) -> float:
    """CPU seconds of a child process."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(said.decode())
    return used.ru_utime + used.ru_stime


def observed(data: Path, output: Path, shard: str | None, models: Sequence[str] = MODELS, texts: int = TEXTS) -> float:
    """CPU seconds of a shard of the small run, or of its merge."""
    command = [sys.executable, "-m", "rankscope"]
    if shard is None:
        return child([*command, "merge", str(output), "--output", str(output)])
    call = ["evaluate", *models, "--data", str(data), "--field", "text", "--limit", str(texts), "--device", "cpu"]
    return child([*command, *call, "--no-twin-cache", "--output", str(output), "--shard", shard])


def _planning(data: Path, warm: Job) -> dict[str, float]:
    """Costs of preparing texts: `read` per text, apart from its tokens; `plan` and `fit` per token."""
    Plans(warm).of(warm.subjects[0].model)
    jobs: list[Job] = []
    read = seconds(lambda: jobs.append(prepared(data, PLANNED)) or jobs[0].text_sets[0].fingerprint)
    job = jobs[0]
    read -= seconds(lambda: prepared(data, 1))
    plans: list[Any] = []
    plan = seconds(lambda: plans.extend(Plans(job).of(job.subjects[0].model)) or plans[0].fingerprint)
    fit = seconds(lambda: plans[0].decisive(job.subjects[0].model.config))
    return {"read": read / PLANNED, "plan": plan / plans[0].tokens, "fit": fit / plans[0].tokens}


def _passes(job: Job, subject: Any) -> tuple[float, float, list[tuple[int, list[Any]]]]:
    """Seconds per token, their spread over batches, and the rows of batches spread over the whole plan."""
    part = next(iter(job.parts(subject, Plans(job).of(subject.model))))
    network = _network(subject, None, job, part.plan)
    count = len(part.plan.batches)
    chosen = np.linspace(0, count - 1, BATCHES).astype(int).tolist()
    list(measure_batches(part.task, part.plan, network, set(range(count + 1)) - {chosen[1]}))
    spent, rows = [], []
    for number in chosen:
        began = time.process_time()
        rows += measure_batches(part.task, part.plan, network, set(range(count + 1)) - {number})
        spent.append((time.process_time() - began) / part.plan.sizes[number])
    sizes = np.array(part.plan.sizes)[chosen]
    rate = float(np.average(spent, weights=sizes))
    return rate, float(np.std(spent)) / rate, rows


def _network(subject: Any, seed: int | None, job: Job, plan: Plan) -> LoadedNetwork:
    """Loads a network and fits it to the texts."""
    return subject.load(seed, "default", job.placement).fitted_to("", plan.decisive(subject.model.config))


def _keeping(folder: Path, rows: list[tuple[int, list[Any]]]) -> tuple[float, float]:
    """Seconds to write a batch, and seconds to join it."""
    run = open_run_folder(folder / "made-up", {"settings": {}})
    store = UnitFile(run, "unit", ("last",))
    # As in a long run, where only the first texts keep their eigenvalues.
    batches = [[row | {"eigenvalues": None} for row in batch] for _, batch in rows]
    batches *= 20
    kept = seconds(lambda: [store.keep(number, batch) for number, batch in enumerate(batches)])
    joined = seconds(lambda: store.finish(UnitRecord("", "", len(batches), ("last",), "layer")))
    return kept / len(batches), joined / len(batches)


def _summarising(rows: list[tuple[int, list[Any]]]) -> tuple[float, float]:
    """Seconds and bytes per row of a long run with a trained network and a twin."""
    known = [row for _, batch in rows for row in batch]
    made = [known[n % len(known)] | {"text_index": n} for n in range(SUMMARISED)]
    frame = pl.DataFrame(made, schema=text_columns())
    noise = pl.Series(np.random.default_rng(0).uniform(1, 1.1, SUMMARISED))  # so that values are distinct
    nothing = pl.lit(None, dtype=frame.schema["eigenvalues"])
    frame = frame.with_columns(polars.selectors.float() * noise, eigenvalues=nothing)
    twin = frame.with_columns(role=pl.lit("untrained"), seed=pl.lit(0, dtype=frame.schema["seed"]))
    both = pl.concat([frame, twin])
    return seconds(lambda: summarize(both)) / both.height, len(to_parquet(frame)) / frame.height
