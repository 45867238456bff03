"""Models: references, loading, untrained twins, and the forward pass that hands over hidden states."""

from rankscope.models.forward_pass import Batch, forward
from rankscope.models.layers import count_blocks, find_blocks, resolve_layers
from rankscope.models.loading import ModelDescription, describe_model, load_model, untrained_twin
from rankscope.models.placement import Placement, resolve_device
from rankscope.models.reference import ModelReference, parse_model_reference

__all__ = [
    "Batch",
    "ModelDescription",
    "ModelReference",
    "Placement",
    "count_blocks",
    "describe_model",
    "find_blocks",
    "forward",
    "load_model",
    "parse_model_reference",
    "resolve_device",
    "resolve_layers",
    "untrained_twin",
]
