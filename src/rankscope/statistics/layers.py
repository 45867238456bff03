"""Layers by the names that they have in measurements and summaries."""

from __future__ import annotations


def layer_depth(layer: str) -> float:
    """How deep a layer lies: its number, and beyond all numbers the head's input, `last`."""
    return float(layer) if layer.isdecimal() else float("inf")
