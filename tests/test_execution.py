"""Where and how a run is computed."""

from __future__ import annotations

import pytest

from rankscope.errors import CallError
from rankscope.execution import Execution, split_execution


def test_what_belongs_to_an_execution_is_taken_out() -> None:
    execution, left = split_execution(None, {"engine": "ray", "limit": 5, "address": "auto"})
    assert execution == Execution("ray", "auto")
    assert left == {"limit": 5}
    assert split_execution(Execution(shard="0/2"), {"shard": "1/2"}) == (Execution(shard="1/2"), {})
    assert split_execution(None, {}) == (Execution(), {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engine": "rai"}, "did you mean ray"),
        ({"engine": "ray", "shard": "0/2"}, "omit shard"),
        ({"address": "auto"}, "--engine ray"),
        ({"worker_cpus": 2}, "--engine ray"),
        ({"engine": "ray", "worker_cpus": 0}, "at least 1"),
    ],
)
def test_executions_that_cannot_be(given: dict[str, object], message: str) -> None:
    with pytest.raises(CallError, match=message):
        split_execution(None, given)
