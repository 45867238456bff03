"""Names of layers in measurements and summaries."""

from __future__ import annotations


def layer_depth(layer: str) -> float:
    """A layer's depth for sorting: its number, or infinity for `last`, the input of the head."""
    return float(layer) if layer.isdecimal() else float("inf")
