"""Configuration, tokenizer and weights of a model reference."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import ModelError, RankscopeError, first_line
from rankscope.models.adapters import check_peft, merged
from rankscope.models.architectures import auto_class_of
from rankscope.models.fingerprints import FingerprintParts, fingerprint_parts
from rankscope.models.gguf import apply_settings, unused_tensors
from rankscope.models.placement import Placement, place
from rankscope.models.positions import positions_of
from rankscope.models.quantization import check_scales, loading_options, plain_weights
from rankscope.models.sizes import check_blocks
from rankscope.models.sources import found_on_the_hub, gguf_header, one_gguf_file
from rankscope.models.unused_weights import check_all_taken, described
from rankscope.models.weight_files import check_weight_files, downloaded_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from rankscope.models.reference import ModelReference


@dataclass(frozen=True)
class ModelDescription:
    """A model without its weights: enough to plan a run, and to build the untrained twin."""

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
        """Maximum length of a text according to the model's configuration, in tokens."""
        return positions_of(self.config)

    @cached_property
    def parts(self) -> FingerprintParts:
        """The parts that this model's numbers depend on; files are read once per description."""
        return fingerprint_parts(self)

    @property
    def fingerprint(self) -> str:
        """sha256 over weights, configuration, tokenizer and modelling code, 64 hex digits."""
        return self.parts.digest


def describe_model(reference: ModelReference, *, trust_remote_code: bool = False) -> ModelDescription:
    """Loads the configuration and the tokenizer, but no weights.

    Raises:
        ModelError: no such model, no tokenizer, or modelling code without `trust_remote_code`.
    """
    from transformers import AutoConfig, AutoTokenizer, PretrainedConfig

    with as_model_error(reference, "configuration"):
        reference = found_on_the_hub(reference)
    if reference.adapter is not None:
        check_peft()
    with one_gguf_file(reference, with_data=False) as source:
        where = where_to_load(source, trust_remote_code=trust_remote_code)
        with as_model_error(reference, "configuration"):
            written = (
                gguf_header(source).metadata if reference.gguf_file else PretrainedConfig.get_config_dict(**where)[0]
            )
            check_blocks(written, reference.text)
            config = AutoConfig.from_pretrained(**where)
            if reference.gguf_file:
                apply_settings(config, gguf_header(source))
        try:
            with as_model_error(reference, "tokenizer"):
                tokenizer = AutoTokenizer.from_pretrained(**_where_the_tokenizer_is(reference, where))
        except ModelError as error:
            raise _without_tokenizer(reference, str(error)) from error
    # For some architectures a folder without tokenizer files yields a tokenizer without vocabulary.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise _without_tokenizer(reference, "its tokenizer has no vocabulary")
    return ModelDescription(reference, config, tokenizer, trust_remote_code)


def load_model(description: ModelDescription, placement: Placement) -> PreTrainedModel:
    """The trained model in eval mode, with the placement's dtype, on its device.

    Raises:
        ModelError: no weights, weights that do not fit the configuration, or an unknown device.
    """
    return load_weights(auto_class_of(description.config), description, placement, text_only=True)


def load_weights(
    auto_class: Any, description: ModelDescription, placement: Placement, *, text_only: bool = False
) -> PreTrainedModel:
    """The model made by one of transformers' auto classes from a description, in eval mode, on its device.

    Args:
        auto_class: one of transformers'.
        description: which model.
        placement: dtype and device.
        text_only: whether the class reads only text; weights for images and sound may then remain unused.

    Raises:
        ModelError: as for `load_model`.
    """
    reference, name = description.reference, description.reference.text
    placement = placement.of(description.config)
    check_weight_files(reference)
    options = loading_options(description.config, name)
    with one_gguf_file(reference) as source, as_model_error(reference, "weights"):
        # With the available configuration, a GGUF file is parsed once less, which saves seconds.
        model, report = auto_class.from_pretrained(
            **where_to_load(source, trust_remote_code=description.trust_remote_code),
            **(options or _plain_gguf(reference)),
            config=copy.deepcopy(description.config),
            dtype=placement.torch_dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
        )
        unused = sorted(report["unexpected_keys"])
        if reference.gguf_file:
            unused += unused_tensors(model, gguf_header(source))
    # Weights that are missing in the files would be random, and so would the numbers.
    if missing := sorted(report["missing_keys"]) + sorted(name for name, *_ in report["mismatched_keys"]):
        also = f"; it has {described(unused)} that the network does not use" if unused else ""
        raise ModelError(
            f"{name} lacks {len(missing)} weights that its configuration needs, "
            f"first {missing[0]}: the checkpoint is incomplete or has another architecture{also}"
        )
    check_all_taken(name, unused, text_only=text_only, quantized=bool(options))
    with as_model_error(reference, "weights"):
        if options:
            check_scales(description.config, downloaded_files(reference))
        model = plain_weights(model, description.config, name, placement.torch_dtype)
    if reference.adapter is not None:
        with as_model_error(reference, "adapter"):
            adapter = reference.adapter
            model = merged(model, adapter.location, adapter.revision, from_cache=reference.from_cache)
    return place(model.eval(), placement)


def where_to_load(reference: ModelReference, *, trust_remote_code: bool) -> dict[str, Any]:
    """Keyword arguments of transformers' `from_pretrained` for a reference."""
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": reference.location,
        "trust_remote_code": trust_remote_code,
    }
    if reference.revision:
        where["revision"] = reference.revision
    if reference.gguf_file:
        where["gguf_file"] = reference.gguf_file
    if reference.from_cache:
        where["local_files_only"] = True
    return where


def _where_the_tokenizer_is(reference: ModelReference, where: dict[str, Any]) -> dict[str, Any]:
    """Prefers an adapter's own tokenizer to its base's: the adapter was trained with it."""
    adapter = reference.adapter
    if adapter is not None and (Path(adapter.location) / "tokenizer_config.json").is_file():
        return {"pretrained_model_name_or_path": adapter.location}
    if reference.tokenizer_location:
        return {
            "pretrained_model_name_or_path": reference.tokenizer_location,
            "local_files_only": reference.from_cache,
        }
    return where


def _plain_gguf(reference: ModelReference) -> dict[str, Any]:
    """Disables packed GGUF weights, which newer versions silently use with other arithmetic if they find kernels."""
    import transformers

    if reference.gguf_file and hasattr(transformers, "GgufConfig"):
        return {"quantization_config": transformers.GgufConfig(dequantize=True)}
    return {}


def _without_tokenizer(reference: ModelReference, reason: str) -> ModelError:
    return ModelError(
        f"{reference.text} has no tokenizer that can be loaded ({reason}): save one next to the configuration "
        "(tokenizer.save_pretrained), or install the missing packages (pip install 'rankscope[tokenizers]')"
    )


@contextmanager
def as_model_error(reference: ModelReference, part: str) -> Iterator[None]:
    """Converts transformers' errors about a model that cannot be loaded into one line."""
    try:
        yield
    except RankscopeError:
        raise
    except Exception as error:  # damaged files make each library raise its own errors
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{reference.text} comes with its own modelling code: review it, then allow it with "
                "--trust-remote-code (trust_remote_code=True)"
            ) from error
        raise ModelError(f"cannot load the {part} of {reference.text}: {first_line(error)}") from error
