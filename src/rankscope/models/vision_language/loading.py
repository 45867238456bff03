"""Configuration, tokenizer, image processor and weights of a vision-language model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.errors import ModelError
from rankscope.file_digests import digest_of
from rankscope.models.fingerprints import FingerprintParts, digests_by_name, refuse_changed
from rankscope.models.loading import ModelDescription, as_model_error, describe_model, load_weights, where_to_load
from rankscope.models.pico_vlm import VLM_FAMILY, load_pico_vlm, pico_vlm_files
from rankscope.models.placement import Placement, place
from rankscope.models.reference import parse_model_reference
from rankscope.models.vision_language.capture import VisionLanguageNetwork
from rankscope.models.vision_language.families import Family, Parts, family_of
from rankscope.models.vision_language.minigpt_v2 import MiniGPTv2Files, load_minigpt_v2, parse_minigpt_v2
from rankscope.models.weight_files import weight_files

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class VisionLanguageModel:
    """A vision-language model without its weights.

    Attributes:
        text: the reference as given.
        label: a short name.
        language: configuration and tokenizer.
        family: location of its parts.
        parts: make its input.
        files: of MiniGPT-v2, whose weights are in separate files.
    """

    text: str
    label: str
    language: ModelDescription
    family: Family
    parts: Parts
    files: MiniGPTv2Files | None = None

    @cached_property
    def parts_of_fingerprint(self) -> FingerprintParts:
        """The parts that its numbers depend on; files are read once per description."""
        processor = digest_of(json.loads(self.parts.image_processor.to_json_string()))
        weights = digests_by_name([*weight_files(self.language.reference), *self._more_files])
        return replace(self.language.parts, weights=weights, image_processor=processor)

    @property
    def fingerprint(self) -> str:
        """sha256 over weights, configuration, tokenizer, image processor and modelling code, 64 hex digits."""
        return self.parts_of_fingerprint.digest

    @property
    def _more_files(self) -> list[Path]:
        """Files of weights that the language model's reference does not name."""
        if self.files is not None:
            return [self.files.vision, self.files.checkpoint]
        folder = Path(self.language.reference.location)
        return pico_vlm_files() if folder.parent == VLM_FAMILY else []

    def load_network(self, placement: Placement) -> VisionLanguageNetwork:
        """Loads the network; refused if its files changed while they were read.

        Raises:
            ModelError: as for `load`.
            RankscopeError: files of weights differ from the fingerprinted ones.
        """
        model = self.load(placement)
        refuse_changed(self.language, self._more_files, self.parts_of_fingerprint)
        return VisionLanguageNetwork(model, self.family)

    def load(self, placement: Placement) -> PreTrainedModel:
        """The model in eval mode, on its device.

        Raises:
            ModelError: no weights, or weights that do not fit.
        """
        from transformers import AutoModelForImageTextToText

        folder = Path(self.language.reference.location)
        if self.files is not None:
            return place(load_minigpt_v2(self.files, self.parts.config, placement), placement)
        if folder.parent == VLM_FAMILY:
            return place(load_pico_vlm(folder).to(placement.torch_dtype), placement)
        return load_weights(AutoModelForImageTextToText, self.language, placement)


def describe_vision_language_model(text: str, *, trust_remote_code: bool = False) -> VisionLanguageModel:
    """Loads everything but the weights.

    Args:
        text: a hub id, a folder, `pico-vlm`, or `minigpt-v2=LLAMA,eva_vit_g.pth,CHECKPOINT.pth`.
        trust_remote_code: run code that comes with the model.

    Raises:
        ModelError: no such model, tokenizer or image processor.
        UnknownNameError: an unsupported type of model.
    """
    if files := parse_minigpt_v2(text):
        return _describe_minigpt_v2(text, files, trust_remote_code=trust_remote_code)
    reference = parse_model_reference(text)
    language = describe_model(reference, trust_remote_code=trust_remote_code)
    family = family_of(language.config)
    if not language.tokenizer.is_fast:
        raise ModelError(f"{text} has a tokenizer without token positions: it needs a tokenizer.json")
    from transformers import AutoImageProcessor

    # Pillow's resampling on every machine: torchvision, if installed, gives other pixels.
    with as_model_error(reference, "image processor"):
        where = where_to_load(language.reference, trust_remote_code=trust_remote_code)
        image_processor = AutoImageProcessor.from_pretrained(**where, backend="pil")
    return VisionLanguageModel(
        text, reference.label, language, family, Parts(language.config, language.tokenizer, image_processor)
    )


def _describe_minigpt_v2(text: str, files: MiniGPTv2Files, *, trust_remote_code: bool) -> VisionLanguageModel:
    language = describe_model(parse_model_reference(files.llama), trust_remote_code=trust_remote_code)
    config = files.config(language.config)
    parts = Parts(config, language.tokenizer, files.image_processor(config))
    return VisionLanguageModel(text, "minigpt-v2", language, family_of(config), parts, files)
