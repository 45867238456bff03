"""Configuration, tokenizer and weights of a model reference."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rankscope.errors import ModelError
from rankscope.models.fingerprints import FingerprintParts, fingerprint_parts
from rankscope.models.placement import Placement, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from rankscope.models.reference import ModelReference


@dataclass(frozen=True)
class ModelDescription:
    """All of a model but its weights: enough to plan a run, and to build the untrained twin."""

    reference: ModelReference
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    trust_remote_code: bool = False

    @property
    def revision(self) -> str | None:
        """The commit that a hub model resolved to."""
        return getattr(self.config, "_commit_hash", None) or self.reference.revision

    @property
    def positions(self) -> int | None:
        """The longest text that the model's configuration allows, in tokens."""
        return positions_of(self.config)

    @cached_property
    def parts(self) -> FingerprintParts:
        """What this model's numbers depend on, part by part; files are read once for each description."""
        return fingerprint_parts(self)

    @property
    def fingerprint(self) -> str:
        """sha256 over weights, configuration, tokenizer and modelling code, 64 hex digits."""
        return self.parts.digest


def describe_model(reference: ModelReference, *, trust_remote_code: bool = False) -> ModelDescription:
    """Loads the configuration and the tokenizer; no weights.

    Raises:
        ModelError: no such model, no tokenizer, or modelling code without `trust_remote_code`.
    """
    from transformers import AutoConfig, AutoTokenizer

    where = where_to_load(reference, trust_remote_code=trust_remote_code)
    with as_model_error(reference, "configuration"):
        config = AutoConfig.from_pretrained(**where)
    try:
        with as_model_error(reference, "tokenizer"):
            if reference.tokenizer_location:
                where = {"pretrained_model_name_or_path": reference.tokenizer_location}
            tokenizer = AutoTokenizer.from_pretrained(**where)
    except ModelError as error:
        raise _without_tokenizer(reference, str(error)) from error
    # For some architectures a folder without tokenizer files yields a tokenizer without vocabulary.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise _without_tokenizer(reference, "what is there has no vocabulary")
    return ModelDescription(reference, config, tokenizer, trust_remote_code)


def load_model(description: ModelDescription, placement: Placement) -> PreTrainedModel:
    """The trained model in eval mode, with the placement's dtype, on its device.

    Raises:
        ModelError: no weights, weights that do not fit the configuration, or an unknown device.
    """
    import transformers

    return load_weights(transformers.AutoModelForCausalLM, description, placement)


def load_weights(auto_class: Any, description: ModelDescription, placement: Placement) -> PreTrainedModel:
    """The model that one of transformers' auto classes makes of a description, in eval mode, on its device.

    Raises:
        ModelError: as `load_model`.
    """
    import transformers

    where = where_to_load(description.reference, trust_remote_code=description.trust_remote_code)
    # Newer versions keep a GGUF file's weights packed where they find kernels for them: other arithmetic, silently.
    if description.reference.gguf_file and hasattr(transformers, "GgufConfig"):
        where["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with as_model_error(description.reference, "weights"):
        # With the configuration at hand a GGUF file is parsed once less, which takes seconds.
        model, report = auto_class.from_pretrained(
            **where,
            config=copy.deepcopy(description.config),
            dtype=placement.torch_dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    # Weights that are not in the files would be random, and the numbers with them.
    if missing := sorted(report["missing_keys"]) + sorted(name for name, *_ in report["mismatched_keys"]):
        raise ModelError(
            f"{description.reference.text} lacks {len(missing)} weights that its configuration needs, "
            f"first {missing[0]}: the checkpoint is incomplete or of another architecture"
        )
    return place(model.eval(), placement)


def where_to_load(reference: ModelReference, *, trust_remote_code: bool) -> dict[str, Any]:
    """What transformers' `from_pretrained` is told of a reference."""
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": reference.location,
        "trust_remote_code": trust_remote_code,
    }
    if reference.revision:
        where["revision"] = reference.revision
    if reference.gguf_file:
        where["gguf_file"] = reference.gguf_file
    return where


def _without_tokenizer(reference: ModelReference, reason: str) -> ModelError:
    return ModelError(
        f"{reference.text} has no tokenizer that can be loaded ({reason}): save one beside the configuration "
        "(tokenizer.save_pretrained), or install what it needs (pip install 'rankscope[tokenizers]')"
    )


@contextmanager
def as_model_error(reference: ModelReference, part: str) -> Iterator[None]:
    """Turns what transformers raises for a model that cannot be had into one line."""
    try:
        yield
    except Exception as error:  # damaged files make each library raise errors of its own
        reason = str(error).strip()
        if "trust_remote_code" in reason:
            raise ModelError(
                f"{reference.text} brings its own modelling code: read it, then allow it with "
                "--trust-remote-code (trust_remote_code=True)"
            ) from error
        first = reason.splitlines()[0] if reason else type(error).__name__
        raise ModelError(f"cannot load the {part} of {reference.text}: {first}") from error


def positions_of(config: PretrainedConfig) -> int | None:
    """How many tokens a model can see at once; None where its configuration sets no limit."""
    text_config = config.get_text_config()
    return getattr(text_config, "max_position_embeddings", None) or getattr(text_config, "n_positions", None)
