"""The cost of the metrics relative to the forward pass, on a real model and real texts.

Time: each batch runs without metrics, with all metrics on the last layer, and with all metrics on all
layers, one after another, so that drifts in the machine's speed affect all three equally; ratios are of
sums. Memory: the peak of a separate process for each case. Precision: bfloat16 compared with float32.

    python benchmarks/evaluation.py model.gguf --data dolly-15k=databricks-dolly-15k.jsonl.gz
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time

import torch

from rankscope.metrics import measure
from rankscope.models import Placement, load_model, resolve_layers
from rankscope.models.forward_pass import Batch, forward
from rankscope.runs import Job, prepare
from rankscope.settings import Settings


def batches_of(job: Job) -> list[Batch]:
    plan = job.plan(job.subjects[0].model, job.text_sets[0])
    return [Batch.of([list(text.tokens) for text in batch]) for batch in plan.batches]


def run(model: torch.nn.Module, batch: Batch, layers: tuple[str, ...], entropies: list[float] | None) -> float:
    """Seconds for one batch; if a list is given, all metrics are computed, and matrix entropies are added to it."""

    def reduce(_layer: str, texts: list[torch.Tensor]) -> None:
        if entropies is not None:
            entropies.extend(float(measure(hidden)["matrix_entropy"]) for hidden in texts)

    start = time.perf_counter()
    forward(model, batch, layers, reduce)
    return time.perf_counter() - start


def times(job: Job, dtype: str) -> dict[str, float]:
    model = load_model(job.subjects[0].model, Placement(dtype, job.placement.device))
    every = resolve_layers("all", model.config.num_hidden_layers)
    spent = {"bare": 0.0, "last": 0.0, "all": 0.0}
    entropies: list[float] = []
    batches = batches_of(job)
    run(model, batches[0], ("last",), None)
    for batch in batches:
        spent["bare"] += run(model, batch, ("last",), None)
        spent["last"] += run(model, batch, ("last",), entropies)
        spent["all"] += run(model, batch, every, [])
    return spent | {"effective_rank": math.exp(sum(entropies) / len(entropies))}


def metric_share(job: Job) -> float:
    """Time spent in metrics divided by the time of the bare forward passes, measured around the calls."""
    model = load_model(job.subjects[0].model, job.placement)
    inside = 0.0

    def reduce(_layer: str, texts: list[torch.Tensor]) -> None:
        nonlocal inside
        start = time.perf_counter()
        for hidden in texts:
            torch.stack(list(measure(hidden).values())).tolist()
        inside += time.perf_counter() - start

    batches = batches_of(job)
    forward(model, batches[0], ("last",), lambda *_: None)
    start = time.perf_counter()
    for batch in batches:
        forward(model, batch, ("last",), reduce)
    return inside / (time.perf_counter() - start - inside)


def peak_memory(arguments: list[str], layers: str) -> float:
    """Peak memory of a separate process, in GiB."""
    command = [sys.executable, __file__, *arguments, "--peak", layers]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--field")
    parser.add_argument("--limit", type=int, default=48)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    job = prepare([options.model], [options.data], Settings(limit=options.limit, field=options.field))
    if options.peak:
        model = load_model(job.subjects[0].model, job.placement)
        layers = resolve_layers(options.peak, model.config.num_hidden_layers)
        for batch in batches_of(job):
            run(model, batch, layers, [])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        return
    arguments = sys.argv[1:]
    full, half = times(job, "float32"), times(job, "bfloat16")
    memory = {layers: peak_memory(arguments, layers) for layers in ("last", "all")}
    report = {
        "texts": len(job.text_sets[0].texts),
        "metrics / forward pass": metric_share(job),
        "last layer / bare": full["last"] / full["bare"],
        "all layers / last layer": full["all"] / full["last"],
        "peak memory, all layers / last layer": memory["all"] / memory["last"],
        "peak memory, last layer, GiB": memory["last"],
        "float32 / bfloat16": full["last"] / half["last"],
        "eRank float32": full["effective_rank"],
        "eRank bfloat16": half["effective_rank"],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
