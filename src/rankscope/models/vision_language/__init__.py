"""Vision-language models: families, loading, inputs, and the captured forward pass."""

from rankscope.models.vision_language.capture import Seen, VisionLanguageNetwork, watch_forward
from rankscope.models.vision_language.families import FAMILIES, Family, Parts, family_of
from rankscope.models.vision_language.inputs import (
    EncodedText,
    ModelInput,
    UnusablePairError,
    encode_text,
    image_input,
    text_input,
    with_text,
)
from rankscope.models.vision_language.loading import VisionLanguageModel, describe_vision_language_model

__all__ = [
    "FAMILIES",
    "EncodedText",
    "Family",
    "ModelInput",
    "Parts",
    "Seen",
    "UnusablePairError",
    "VisionLanguageModel",
    "VisionLanguageNetwork",
    "describe_vision_language_model",
    "encode_text",
    "family_of",
    "image_input",
    "text_input",
    "watch_forward",
    "with_text",
]
