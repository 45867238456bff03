"""Models: references, loading, untrained twins, the forward pass that hands over hidden states, generation."""

from rankscope.models.checkpoints import Checkpoints, checkpoints_in, step_in_state, why_unfinished
from rankscope.models.families import (
    KnownModel,
    count_parameters,
    expand_families,
    family_members,
    known_families,
    known_model,
)
from rankscope.models.forward_pass import Batch, forward
from rankscope.models.generation import GenerationSettings, Response, UnansweredPrompt, generate
from rankscope.models.layers import count_blocks, find_blocks, resolve_layers
from rankscope.models.loading import ModelDescription, describe_model, load_model, plain_config
from rankscope.models.pico import PicoModel, pico_checkpoints, pico_family, pico_sizes
from rankscope.models.pico_vlm import PicoVlm, pico_vlm_family
from rankscope.models.placement import Placement, resolve_device
from rankscope.models.reference import ModelReference, parse_model_reference
from rankscope.models.twins import check_same_shape, dropout_of, permuted_twin, untrained_twin

__all__ = [
    "Batch",
    "Checkpoints",
    "GenerationSettings",
    "KnownModel",
    "ModelDescription",
    "ModelReference",
    "PicoModel",
    "PicoVlm",
    "Placement",
    "Response",
    "UnansweredPrompt",
    "check_same_shape",
    "checkpoints_in",
    "count_blocks",
    "count_parameters",
    "describe_model",
    "dropout_of",
    "expand_families",
    "family_members",
    "find_blocks",
    "forward",
    "generate",
    "known_families",
    "known_model",
    "load_model",
    "parse_model_reference",
    "permuted_twin",
    "pico_checkpoints",
    "pico_family",
    "pico_sizes",
    "pico_vlm_family",
    "plain_config",
    "resolve_device",
    "resolve_layers",
    "step_in_state",
    "untrained_twin",
    "why_unfinished",
]
