from __future__ import annotations

from rankscope.reports.checkpoints import trainings


def test_a_training_has_two_steps_in_their_order() -> None:
    rows = [{"model": name} for name in ("a@step20", "a@step3", "a", "b@step1", "c@7", "c@7")]
    assert trainings(rows) == {"a": [{"model": "a@step3", "step": 3}, {"model": "a@step20", "step": 20}]}


def test_picos_end_is_on_the_axis_with_its_checkpoints() -> None:
    rows = [{"model": name} for name in ("pico", "pico@overfit", "pico@step-128", "pico-1m")]
    assert [row["step"] for row in trainings(rows)["pico"]] == [128, 2048, 2560]
