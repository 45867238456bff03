"""How often numbers are read back from a device: not for each text."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rankscope.measuring import Layers, TextTask, measure_batches
from rankscope.measuring.planned import Plan, PlannedText
from rankscope.metrics import metric_names
from rankscope.models import count_blocks, layers_before, resolve_layers
from rankscope.models.transformers_backend import TransformersNetwork
from tiny import tiny_model


class Reads(TorchDispatchMode):
    """Counts what waits for a device: scalars that are read, and copies to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        if "_local_scalar_dense" in name or "nonzero" in name or "masked_select" in name:
            self.counts[name] += 1
        return function(*args, **(kwargs or {}))


def plan_of(texts: int) -> Plan:
    generator = torch.Generator().manual_seed(0)
    each = [
        PlannedText(place, str(place), tuple(torch.randint(5, 60, (12 - place % 3,), generator=generator).tolist()))
        for place in range(texts)
    ]
    return Plan.of([each[: texts // 2], each[texts // 2 :]], [])


@pytest.mark.parametrize("device", ["cpu", "as on an accelerator"])
@pytest.mark.parametrize("layers", ["last", "all"])
@pytest.mark.parametrize("texts", [4, 24])
@pytest.mark.parametrize("default_only", [True, False])
def test_at_most_two_a_batch_and_one_a_group_of_layers(
    device: str, layers: str, texts: int, default_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device != "cpu":
        monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)
    read: Counter[str] = Counter()
    for name in ("tolist", "item", "cpu"):
        own = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda tensor, *rest, own=own, name=name: read.update([name]) or own(tensor, *rest)
        )
    model = tiny_model("llama")
    network = TransformersNetwork.of(model)
    names = resolve_layers(layers, count_blocks(model.config))
    task = TextTask(
        "m",
        "d",
        layers=Layers(names, layers_before(model.config, names)),
        metrics=metric_names(default_only=default_only),
    )
    plan = plan_of(texts)
    read.clear()
    with Reads() as scalars:
        rows = [row for _, batch in measure_batches(task, plan, network) for row in batch]
    assert len(rows) == texts * len(names)
    assert any("linear_cka" in row for row in rows) == (layers == "all" and not default_only)
    assert (scalars.counts + read).total() <= 2 * (2 + 1), (scalars.counts, read)
