from __future__ import annotations

import pytest

from rankscope.reports.checkpoints import step_of, trainings


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("EleutherAI/pythia-70m@step1000", ("EleutherAI/pythia-70m", 1000)),
        ("pico@step-128", ("pico", 128)),
        ("allenai/OLMo@stage1-step5000-tokens21B", ("allenai/OLMo", 5000)),
        ("owner/model@143000", ("owner/model", 143000)),
        ("out/checkpoint-500", ("out", 500)),
        ("/data/out/global_step_70", ("/data/out", 70)),
        ("model@iter_0020", ("model", 20)),
        ("pico", None),
        ("pico@overfit", None),
        ("owner/model@v1.0", None),
        ("owner/opt-125m", None),
        ("owner/model@" + "0123456789" * 4, None),
    ],
)
def test_steps_in_references(reference: str, expected: tuple[str, int] | None) -> None:
    assert step_of(reference) == expected


def test_a_training_has_two_steps_in_their_order() -> None:
    rows = [{"model": name} for name in ("a@step20", "a@step3", "a", "b@step1", "c@7", "c@7")]
    assert trainings(rows) == {"a": [{"model": "a@step3", "step": 3}, {"model": "a@step20", "step": 20}]}
