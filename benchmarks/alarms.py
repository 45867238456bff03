"""Monitors sound and broken trainings, and reports the step of the first alarm, if any.

The configuration is pico-0.1m, trained from scratch on stdlib-docs: batches of 8 x 128 tokens, AdamW, learning rate
3e-3 with 30 steps of warm-up and cosine decay to a tenth, weight decay 0.1. The probe, 16 texts that are not trained
on, is measured 100 times during the training.

    python benchmarks/alarms.py            # about ten minutes on one core
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from rankscope.models import ModelDescription, describe_model, parse_model_reference
from rankscope.monitoring import Alarm, Monitor
from rankscope.texts import load_texts, parse_data_reference

PROBE, BATCH, TOKENS = 16, 8, 128


@dataclass(frozen=True)
class Training:
    """A training; by default a sound one.

    Attributes:
        seed: seed of weights and batches.
        rate: factor of the learning rate; gradients are clipped only if it is 1.
        warm_up: number of warm-up steps.
        decay: factor of the weight decay.
        noise: whether targets are random.
        breaks: damages the network before it is trained.
    """

    seed: int = 0
    rate: float = 1.0
    warm_up: int = 30
    decay: float = 1.0
    noise: bool = False
    breaks: Callable[[nn.Module], None] = lambda _: None


def zero_embeddings(model: nn.Module) -> None:
    """Sets the embeddings to zero and freezes them."""
    weight = model.get_input_embeddings().weight  # type: ignore[operator]
    nn.init.zeros_(weight)
    weight.requires_grad_(False)


def silent_block(model: nn.Module) -> None:
    """Makes the second block output zeros."""
    block = model.gpt_neox.layers[1]  # type: ignore[union-attr,index]
    block.register_forward_hook(
        lambda _, __, output: (output[0] * 0, *output[1:]) if isinstance(output, tuple) else output * 0
    )


TRAININGS = {
    **{f"sound, seed {seed}": Training(seed) for seed in range(5)},
    "learning rate x 30": Training(rate=30),
    "no warm-up, learning rate x 10": Training(rate=10, warm_up=0),
    "weight decay x 100": Training(decay=100),
    "labels of noise": Training(noise=True),
    "embeddings frozen at zero": Training(breaks=zero_embeddings),
    "a block's output times 0": Training(breaks=silent_block),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps
    described = describe_model(parse_model_reference("pico-0.1m"))
    texts = [text.text for text in load_texts(parse_data_reference("stdlib-docs", None, None, None)).texts]
    ids = torch.tensor([token for text in texts[PROBE:] for token in described.tokenizer(text)["input_ids"]])
    print(f"{'training':32s} first alarm, of {steps} steps")
    for name, training in TRAININGS.items():
        alarm = first_alarm(training, described, texts[:PROBE], ids, steps)
        print(f"{name:32s} {'none' if alarm is None else alarm}", flush=True)


def first_alarm(
    training: Training, described: ModelDescription, probe: list[str], ids: Tensor, steps: int
) -> Alarm | None:
    """Trains until an alarm fires, or to the end; returns the alarm."""
    torch.manual_seed(training.seed)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(described.config), dtype=torch.float32)
    training.breaks(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.1 * training.decay, betas=(0.9, 0.95))
    generator = torch.Generator().manual_seed(training.seed)
    monitor = Monitor(probe, described.tokenizer)
    for step in range(steps + 1):
        if step % max(1, steps // 100) == 0:
            monitor.measure(model, step)
            if monitor.fired:
                return monitor.fired[0]
        rate = 3e-3 * training.rate * (min(1.0, (step + 1) / training.warm_up) if training.warm_up else 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * (0.1 + 0.45 * (1 + math.cos(math.pi * step / steps)))
        starts = torch.randint(0, len(ids) - TOKENS, (BATCH,), generator=generator)
        batch = torch.stack([ids[start : start + TOKENS] for start in starts])
        size = described.config.vocab_size
        labels = torch.randint(0, size, batch.shape, generator=generator) if training.noise else batch
        logits = model.train()(input_ids=batch).logits[:, :-1]
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()).backward()
        if training.rate == 1:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return None


if __name__ == "__main__":
    main()
