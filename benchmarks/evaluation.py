"""The cost of the metrics relative to the forward pass, on a real model and real texts.

Time: each batch runs without metrics, with all default metrics on the last layer, and with all of them on all layers,
one after another, so that drifts in the machine's speed affect all three equally; ratios are of sums, and the loss is
computed each time. A whole run is compared with loading the network and the bare forward passes. Memory: the peak of a
separate process for each case. Precision: bfloat16 compared with float32.

    python benchmarks/evaluation.py model.gguf --data dolly-15k=databricks-dolly-15k.jsonl.gz
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

import rankscope as rs
from rankscope.measuring.layers import Layers
from rankscope.measuring.plan import Plan
from rankscope.measuring.texts import TextTask, measure_batches
from rankscope.metrics import metric_names
from rankscope.models import TRANSFORMERS, Batch, Placement, TransformersNetwork, count_blocks, resolve_layers
from rankscope.runs import Job, prepare
from rankscope.settings import Settings

METRICS = metric_names(default_only=True)


def loaded(job: Job, dtype: str = "float32") -> tuple[TransformersNetwork, Plan]:
    description = job.subjects[0].model
    plan = job.plan(description, job.text_sets[0])
    network = TRANSFORMERS.load(description, Placement(dtype, job.placement.device))
    return network.fitted_to(description.reference.text, plan.token_ids), plan


def bare(network: TransformersNetwork, plan: Plan, number: int) -> None:
    """One forward pass to the loss, without metrics."""
    batch = Batch.of([list(text.tokens) for text in plan.batches[number]])
    for part in network.parts(batch.lengths):
        network.run(batch.select(part), ("last",), lambda *_: None, loss=True)


def measured(network: TransformersNetwork, plan: Plan, number: int, layers: tuple[str, ...]) -> list[dict]:
    task = TextTask("model", "texts", layers=Layers(layers), metrics=METRICS)
    return [row for _, rows in measure_batches(task, plan.only([number]), network) for row in rows]


def times(job: Job, dtype: str) -> dict[str, float]:
    began = time.perf_counter()
    network, plan = loaded(job, dtype)
    every = resolve_layers("all", count_blocks(job.subjects[0].model.config))
    spent = {"loading": time.perf_counter() - began, "bare": 0.0, "last": 0.0, "all": 0.0}
    entropies = []
    bare(network, plan, 0)
    for number in range(len(plan.batches)):
        for name, layers in (("bare", ()), ("last", ("last",)), ("all", every)):
            began = time.perf_counter()
            rows = measured(network, plan, number, layers) if layers else bare(network, plan, number)
            spent[name] += time.perf_counter() - began
            if name == "last":
                entropies += [row["matrix_entropy"] for row in rows if row["status"] == "ok"]
    return spent | {"effective_rank": float(np.exp(np.mean(entropies)))}


def whole_run(options: argparse.Namespace) -> float:
    """Seconds of `rs.evaluate` for the last layer, without twins."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        rs.evaluate(
            options.model, options.data, output=f"{folder}/run", limit=options.limit, field=options.field,
            untrained_seeds=0, dtype="float32",
        )  # fmt: skip
        return time.perf_counter() - began


def peak_memory(arguments: list[str], layers: str) -> float:
    """GiB of a separate process."""
    command = [sys.executable, __file__, *arguments, "--peak", layers]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_peak(job: Job, layers: str) -> None:
    network, plan = loaded(job)
    names = resolve_layers(layers, count_blocks(job.subjects[0].model.config))
    for number in range(len(plan.batches)):
        measured(network, plan, number, names)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--field")
    parser.add_argument("--limit", type=int, default=48)
    parser.add_argument("--only-time", action="store_true", help="neither memory nor bfloat16")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    job = prepare([options.model], [options.data], Settings(limit=options.limit, field=options.field))
    if options.peak:
        print_peak(job, options.peak)
        return
    full = times(job, "float32")
    report = {
        "texts": len(job.text_sets[0].texts),
        "loading, s": full["loading"],
        "forward passes, s": full["bare"],
        "last layer / forward passes": full["last"] / full["bare"],
        "all layers / forward passes": full["all"] / full["bare"],
        "whole run / (loading + forward passes)": whole_run(options) / (full["loading"] + full["bare"]),
        "eRank float32": full["effective_rank"],
    }
    if not options.only_time:
        half, memory = times(job, "bfloat16"), {one: peak_memory(sys.argv[1:], one) for one in ("last", "all")}
        report |= {
            "float32 / bfloat16": full["last"] / half["last"],
            "eRank bfloat16": half["effective_rank"],
            "peak memory, last layer, GiB": memory["last"],
            "peak memory, all layers / last layer": memory["all"] / memory["last"],
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
