"""Models: references, loading, untrained twins, the forward pass with its hidden states, generation."""

from rankscope.models.backend import Backend, LoadedNetwork
from rankscope.models.checkpoints import (
    Checkpoints,
    TrainingStep,
    checkpoints_in,
    order_of_checkpoint,
    step_in_name,
    steps_in,
    training_step,
    why_unfinished,
    why_unreadable,
)
from rankscope.models.decisive import decisive_texts
from rankscope.models.dropout import dropout_of
from rankscope.models.fingerprints import (
    FingerprintParts,
    chat_template_digest,
    digests_by_name,
    generation_digest,
    plain_config,
    refuse_changed,
)
from rankscope.models.forward_pass import forward
from rankscope.models.generation import GenerationSettings, Response, UnansweredPrompt, generate
from rankscope.models.initialization import Initializer, choose_initializer
from rankscope.models.known_models import (
    KnownModel,
    count_parameters,
    expand_families,
    family_members,
    known_families,
    known_model,
    model_family,
)
from rankscope.models.layers import count_blocks, find_blocks, layers_before, layers_of, resolve_layers
from rankscope.models.linear_layers import LinearShape, linear_layers, readers_of_layers
from rankscope.models.loading import ModelDescription, describe_model, load_model
from rankscope.models.network import Batch, Network, Reading
from rankscope.models.outline import outline_of
from rankscope.models.pico import PicoModel, pico_architectures, pico_checkpoints, pico_family, pico_sizes
from rankscope.models.pico_vlm import PicoVlm, pico_vlm_family
from rankscope.models.placement import Placement, own_dtype, resolve_device
from rankscope.models.positions import positions_of, regimes_of
from rankscope.models.pruning import without_blocks
from rankscope.models.reference import ModelReference, parse_model_reference
from rankscope.models.rounding_weights import Rounding, rounded_weights, share_of_linear_weights
from rankscope.models.token_ids import check_token_ids
from rankscope.models.transformers_backend import TRANSFORMERS, TransformersBackend, TransformersNetwork
from rankscope.models.trial import check_padding, examine
from rankscope.models.twins import check_same_shape, permuted_twin, untrained_twin
from rankscope.models.weight_files import weight_files

__all__ = [
    "TRANSFORMERS",
    "Backend",
    "Batch",
    "Checkpoints",
    "FingerprintParts",
    "GenerationSettings",
    "Initializer",
    "KnownModel",
    "LinearShape",
    "LoadedNetwork",
    "ModelDescription",
    "ModelReference",
    "Network",
    "PicoModel",
    "PicoVlm",
    "Placement",
    "Reading",
    "Response",
    "Rounding",
    "TrainingStep",
    "TransformersBackend",
    "TransformersNetwork",
    "UnansweredPrompt",
    "chat_template_digest",
    "check_padding",
    "check_same_shape",
    "check_token_ids",
    "checkpoints_in",
    "choose_initializer",
    "count_blocks",
    "count_parameters",
    "decisive_texts",
    "describe_model",
    "digests_by_name",
    "dropout_of",
    "examine",
    "expand_families",
    "family_members",
    "find_blocks",
    "forward",
    "generate",
    "generation_digest",
    "known_families",
    "known_model",
    "layers_before",
    "layers_of",
    "linear_layers",
    "load_model",
    "model_family",
    "order_of_checkpoint",
    "outline_of",
    "own_dtype",
    "parse_model_reference",
    "permuted_twin",
    "pico_architectures",
    "pico_checkpoints",
    "pico_family",
    "pico_sizes",
    "pico_vlm_family",
    "plain_config",
    "positions_of",
    "readers_of_layers",
    "refuse_changed",
    "regimes_of",
    "resolve_device",
    "resolve_layers",
    "rounded_weights",
    "share_of_linear_weights",
    "step_in_name",
    "steps_in",
    "training_step",
    "untrained_twin",
    "weight_files",
    "why_unfinished",
    "why_unreadable",
    "without_blocks",
]
