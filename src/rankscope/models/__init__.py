"""Models: references, loading, untrained twins, and the forward pass that hands over hidden states."""

from rankscope.models.forward_pass import Batch, forward
from rankscope.models.layers import count_blocks, find_blocks, resolve_layers
from rankscope.models.loading import ModelDescription, describe_model, load_model, plain_config
from rankscope.models.pico import PicoModel, pico_checkpoints, pico_family, pico_sizes
from rankscope.models.placement import Placement, resolve_device
from rankscope.models.reference import ModelReference, parse_model_reference
from rankscope.models.twins import check_same_shape, dropout_of, permuted_twin, untrained_twin

__all__ = [
    "Batch",
    "ModelDescription",
    "ModelReference",
    "PicoModel",
    "Placement",
    "check_same_shape",
    "count_blocks",
    "describe_model",
    "dropout_of",
    "find_blocks",
    "forward",
    "load_model",
    "parse_model_reference",
    "permuted_twin",
    "pico_checkpoints",
    "pico_family",
    "pico_sizes",
    "plain_config",
    "resolve_device",
    "resolve_layers",
    "untrained_twin",
]
