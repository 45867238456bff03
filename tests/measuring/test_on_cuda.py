"""On a CUDA device each text and layer has the numbers, and the faults, that it has on a CPU."""

from __future__ import annotations

import pytest
import torch
import transformers

from rankscope.measuring.columns import Row
from rankscope.measuring.layers import Layers
from rankscope.measuring.planned import Plan, PlannedText
from rankscope.measuring.texts import TextTask, measure_batches
from rankscope.metrics import metric_names
from rankscope.models.transformers_backend import TransformersNetwork

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

LAYERS = ("0", "1", "2", "last")


def network(device: str, dtype: torch.dtype = torch.float32) -> TransformersNetwork:
    config = transformers.LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, vocab_size=300
    )
    torch.manual_seed(0)
    return TransformersNetwork.of(transformers.LlamaForCausalLM(config).to(device, dtype).eval())


def plan() -> Plan:
    generator = torch.Generator().manual_seed(0)
    texts = [
        PlannedText(place, f"t{place}", tuple(torch.randint(300, (length,), generator=generator).tolist()))
        for place, length in enumerate((150, 150, 97, 64, 33, 12))
    ]
    texts[4] = PlannedText(4, "repeated", (7,) * 33)  # equal rows before the first block
    return Plan.of([texts[:2], texts[2:]], [])


def rows_on(device: str, **task: object) -> dict[tuple[object, object], Row]:
    asked = TextTask("m", "d", layers=Layers(LAYERS), metrics=metric_names(), **task)  # type: ignore[arg-type]
    measured = measure_batches(asked, plan(), network(device))
    return {(row["text_id"], row["layer"]): row for _, rows in measured for row in rows}


@pytest.mark.parametrize(("task", "near"), [({}, 2e-5), ({"spectra_dtype": "float32"}, 1e-4)])
def test_numbers_and_faults_are_those_of_the_cpu(task: dict[str, object], near: float) -> None:
    on_cpu, on_cuda = rows_on("cpu"), rows_on("cuda", **task)
    assert on_cpu.keys() == on_cuda.keys()
    assert {at for at, row in on_cpu.items() if row["reason"]} == {at for at, row in on_cuda.items() if row["reason"]}
    for at, row in on_cpu.items():
        for name in metric_names():
            if name in row:
                # The square roots of small eigenvalues lose half of the digits.
                allowed = 10 * near if name == "nuclear_norm" else near
                assert on_cuda[at][name] == pytest.approx(row[name], rel=allowed, abs=allowed), (at, name)


@pytest.mark.parametrize("precision", ["highest", "high"])
def test_the_callers_tf32_setting_is_left_alone_and_moves_no_spectrum(precision: str) -> None:
    before = torch.get_float32_matmul_precision()
    hidden = torch.randn(200, 300, device="cuda", generator=torch.Generator("cuda").manual_seed(1))
    from rankscope.metrics import effective_rank, spectrum

    expected = float(effective_rank(hidden.double().cpu()))
    torch.set_float32_matmul_precision(precision)
    try:
        assert float(effective_rank(hidden)) == pytest.approx(expected, rel=1e-10)
        assert float(effective_rank(spectrum(hidden, dtype=torch.float32))) == pytest.approx(expected, rel=1e-5)
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


def test_numbers_do_not_depend_on_how_many_batches_are_decomposed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    together = rows_on("cuda")
    monkeypatch.setattr("rankscope.metrics.devices.MATRICES_AT_ONCE", 1)
    assert rows_on("cuda") == together
