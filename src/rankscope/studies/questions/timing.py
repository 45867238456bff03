"""Wall time and memory of the papers' entropy, of exact entropy, of MNN, and of the forward pass alone.

Networks have random weights: time does not depend on them, so only a configuration is needed. Each batch passes
through the network once, and every method then uses the same hidden states, so drifts in the machine's speed affect
all methods equally. The time of a whole run is the forward pass plus the method. The papers' method is a singular
value decomposition, with vectors, of the d x d covariance in float32, as in the published code of both papers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch
from torch import Tensor

from rankscope.errors import DataError
from rankscope.metrics import matrix_entropy, matrix_nuclear_norm, unit_rows
from rankscope.models import (
    Batch,
    count_parameters,
    examine,
    forward,
    known_model,
    untrained_twin,
)
from rankscope.runs import prepare
from rankscope.studies.conditions import Cells, with_published
from rankscope.studies.published import first_printed
from rankscope.studies.study import Figure, Findings, Request, Study

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEXTS_OF_THE_PAPERS_WAY = 3
"""Number of texts timed with the papers' method, which takes the same time for short and long texts."""
_TABLES = ("mnn.table1", "mnn.table8")
_RESET_PEAK, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def conduct(request: Request) -> Findings:
    """Times one network after another, batch by batch and method by method."""
    rows = []
    for model in request.models:
        job = prepare([model], request.data, request.settings)
        for texts in job.text_sets:
            described = job.subjects[0].model
            plan = job.plan(described, texts)
            if not plan.batches:
                raise DataError(f"{texts.name} has no text that {model} can read: there is nothing to time")
            batches = [Batch.of([list(text.tokens) for text in batch]) for batch in plan.batches]
            request.progress.say(f"{model}: initialising a network with random weights")
            network = untrained_twin(described, 0, job.placement)
            request.progress.start(f"{model} on {texts.name}", plan.tokens)
            known = known_model(model)
            rows.append(
                {
                    "model": model,
                    "dataset": texts.name,
                    "family": known.family if known else described.config.model_type,
                    "parameters": known.parameters if known else count_parameters(described),
                    "texts": sum(map(len, plan.batches)),
                    "tokens": plan.tokens,
                    **_measure(network, batches, request),
                }
            )
            del network
    table = with_published(pl.DataFrame(rows, infer_schema_length=None), _published)
    return Findings(table, tuple(_sentences(table)))


def _entropy_the_papers_way(hidden: Tensor) -> Tensor:
    rows = unit_rows(hidden, dtype=torch.float32)
    covariance = rows.T @ rows / len(rows)
    _, values, _ = torch.linalg.svd(covariance / covariance.trace())
    entropy: Tensor = -torch.special.xlogy(values, values).sum()
    return entropy


_METHODS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mnn": matrix_nuclear_norm,
    "entropy": matrix_entropy,
    "papers": _entropy_the_papers_way,
}


@dataclass
class _Meter:
    """Seconds, peak memory and number of texts of each method."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)

    def run(self, name: str, texts: Sequence[Tensor]) -> None:
        """Runs a method on texts, one after another."""
        self.reset_peak()
        start = self.now()
        for hidden in texts:
            float(_METHODS[name](hidden))
        self.seconds[name] = self.seconds.get(name, 0.0) + self.now() - start
        self.texts[name] = self.texts.get(name, 0) + len(texts)
        self.note_peak(name)

    def now(self) -> float:
        """The clock in seconds, after all pending work of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def reset_peak(self) -> None:
        """Resets the peak memory, if the system supports it."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif os.access(_RESET_PEAK, os.W_OK):
            _RESET_PEAK.write_text("5")

    def note_peak(self, name: str) -> None:
        """Records the peak since the last reset, in GiB, of the device or of the process."""
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device) / 2**30
        elif os.access(_RESET_PEAK, os.W_OK):
            lines = _STATUS.read_text().splitlines()
            peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20
        else:
            return
        self.memory[name] = max(peak, self.memory.get(name, 0.0))


def _measure(network: PreTrainedModel, batches: Sequence[Batch], request: Request) -> dict[str, Any]:
    examined = examine(network)
    meter = _Meter(examined.device)
    inside = 0.0

    def methods(_layer: str, texts: list[Tensor]) -> None:
        nonlocal inside
        meter.note_peak("forward")
        start = meter.now()
        for name in ("mnn", "entropy"):
            meter.run(name, texts)
        if left := texts[: TEXTS_OF_THE_PAPERS_WAY - meter.texts.get("papers", 0)]:
            meter.run("papers", left)
        inside += meter.now() - start
        meter.reset_peak()

    for part in examined.parts(batches[-1].lengths):
        forward(examined, batches[-1].select(part), ("last",), lambda *_: None)
    meter.reset_peak()
    start = meter.now()
    for batch in batches:
        for part in examined.parts(batch.lengths):
            forward(examined, batch.select(part), ("last",), methods)
        request.progress.advance(sum(batch.lengths), computed=True)
    bare = meter.now() - start - inside
    texts = meter.texts["entropy"]
    whole = {name: bare + meter.seconds[name] * texts / meter.texts[name] for name in _METHODS}
    return {
        "hidden_size": network.config.get_text_config().hidden_size,
        "forward_seconds": bare,
        **{f"{name}_seconds": seconds for name, seconds in whole.items()},
        "entropy_over_mnn": whole["entropy"] / whole["mnn"],
        "papers_over_entropy": whole["papers"] / whole["entropy"],
        "papers_step_over_entropy_step": (whole["papers"] - bare) / (whole["entropy"] - bare),
        **{f"{name}_memory": meter.memory.get(name) for name in ("forward", *_METHODS)},
    }


def _published(row: dict[str, Any]) -> Cells:
    columns = {"papers_seconds": "matrix_entropy_s", "mnn_seconds": "matrix_nuclear_norm_s"}
    return {ours: first_printed(_TABLES, row["model"], column) for ours, column in columns.items()}


def _sentences(table: pl.DataFrame) -> list[str]:
    found = [
        f"{row['model']} (d = {row['hidden_size']:,}), {row['texts']} texts of {row['tokens'] / row['texts']:.0f} "
        f"tokens: a whole run with exact entropy takes {row['entropy_over_mnn']:.3f} times one with MNN and "
        f"{row['entropy_seconds'] / row['forward_seconds']:.3f} times the forward pass alone; the papers' method takes "
        f"{row['papers_over_entropy']:.1f} times as long (its decomposition alone "
        f"{row['papers_step_over_entropy_step']:,.0f} times)."
        for row in table.rows(named=True)
    ]
    found.append(
        f"The papers' method was timed on {TEXTS_OF_THE_PAPERS_WAY} texts and extrapolated: its d x d decomposition "
        "takes equally long for every text. The papers do not state their hardware: compare ratios, not seconds."
    )
    return found


_SECONDS = ("forward_seconds", "mnn_seconds", "entropy_seconds", "papers_seconds")
STUDY = Study(
    name="timing",
    question="What do exact matrix entropy, the papers' method for it, and MNN cost in addition to the forward pass?",
    source="Matrix Nuclear-Norm, tables 1 and 8",
    models=("family:cerebras-gpt",),
    data=("dolly-15k",),
    columns=(
        "dataset",
        "model",
        "hidden_size",
        "texts",
        "tokens",
        *_SECONDS,
        "entropy_over_mnn",
        "papers_over_entropy",
        "forward_memory",
        "entropy_memory",
        "papers_memory",
    ),
    figure=Figure(x="hidden_size", metrics=_SECONDS, series="family", log_x=True, panels_by="dataset"),
    conduct=conduct,
    also_measures=lambda _: "times on one machine",
    decides=("layers", "untrained_seeds", "metrics", "protocol", "untrained_from", "drop_tokens"),
    published=_TABLES,
    in_one_process=True,
)
