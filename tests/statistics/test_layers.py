from __future__ import annotations

from rankscope.statistics import layer_depth


def test_layers_lie_in_the_order_of_their_numbers_and_the_heads_input_last() -> None:
    assert sorted(["last", "10", "2", "0"], key=layer_depth) == ["0", "2", "10", "last"]
