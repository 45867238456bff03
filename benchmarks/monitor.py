"""The cost of monitoring a training: of one measurement in 100 steps, and of the metrics relative to the forward pass.

The configuration is pico-3m, with batches of 16 x 256 tokens, a probe of 16 texts of 256 tokens, and the layers middle
and last. Weights and tokens are random, because time does not depend on them. Ratios are within one process.

    python benchmarks/monitor.py
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM

from rankscope.measuring import Layers, Plan, TextTask, measure_batches
from rankscope.models import Batch, TransformersNetwork, describe_model, parse_model_reference
from rankscope.monitoring import Monitor

TEXTS, TOKENS, EVERY, REPEATS = 16, 256, 100, 5


def main() -> None:
    described = describe_model(parse_model_reference("pico-3m"))
    model = AutoModelForCausalLM.from_config(copy.deepcopy(described.config), dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, described.config.vocab_size, (TEXTS, TOKENS), generator=generator)
    probe = [described.tokenizer.decode(text) for text in ids]
    monitor = Monitor(probe, described.tokenizer, max_length=TOKENS)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()

    steps = iter(range(1_000_000))
    monitor.measure(model, next(steps))  # the trial run, which happens once
    network = TransformersNetwork.of(model.eval())
    plan, layers = monitor._plan, monitor._layers
    assert plan is not None
    passes = {
        "a training step": train,
        "a measurement": lambda: monitor.measure(model, next(steps)),
        "the probe's rows": lambda: rows(network, plan, TextTask("m", "p", layers=layers, metrics=monitor._asked)),
        "its forward passes alone": lambda: bare(network, plan, layers),
    }
    seconds = {name: shortest(run) for name, run in passes.items()}
    for name, value in seconds.items():
        print(f"{name:26s} {1000 * value:8.1f} ms")
    share = seconds["a measurement"] / (EVERY * seconds["a training step"])
    print(f"a measurement every {EVERY} steps costs {share:.2%} of the training")
    metrics = seconds["the probe's rows"] / seconds["its forward passes alone"] - 1
    print(f"metrics at two layers take {metrics:.0%} of the probe's forward passes")


def rows(network: TransformersNetwork, plan: Plan, task: TextTask) -> None:
    network.network.model.eval()
    for _ in measure_batches(task, plan, network):
        pass


def bare(network: TransformersNetwork, plan: Plan, layers: Layers) -> None:
    """The same forward passes, with the loss but without metrics."""
    network.network.model.eval()
    for texts in plan.token_ids:
        batch = Batch.of([list(text) for text in texts])
        for part in network.parts(batch.lengths):
            network.run(batch.select(part), layers.names, lambda *_: None, loss=True)


def shortest(run: Callable[[], object]) -> float:
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


if __name__ == "__main__":
    main()
