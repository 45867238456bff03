"""PEFT adapters: weight changes stored in their own folder and merged into a base model."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER_SETTINGS = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# These prepend to each text instead of changing weights, or change the forward pass.
_NOT_MERGED = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT",
               "CARTRIDGE", "XLORA", "POLY")  # fmt: skip
# Adapter settings that turn the merged model into another network, or repeat its blocks.
_REFUSED = {"layer_replication": "repeats blocks", "alora_invocation_tokens": "switches on within a text"}


def adapter_weights(folder: Path) -> tuple[Path, ...]:
    """The file from which PEFT reads an adapter's weights.

    Raises:
        ModelError: there is no such file.
    """
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return (folder / name,)
    raise ModelError(f"{folder} has an {ADAPTER_SETTINGS}, but neither {' nor '.join(_WEIGHTS)}")


def read_adapter_settings(file: Path) -> dict[str, Any]:
    """Reads an adapter's settings.

    Raises:
        ModelError: not JSON, no PEFT type, or a type that cannot be merged.
    """
    try:
        settings = json.loads(file.read_text("utf-8"))
        kind = str(settings["peft_type"]).upper()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{file} is damaged: expected JSON with a peft_type ({type(error).__name__}: {error})"
        ) from error
    if kind in _NOT_MERGED:
        raise ModelError(f"{file.parent} is an adapter of type {kind}, which cannot be merged into the base model")
    for name, what in _REFUSED.items():
        if settings.get(name):
            raise ModelError(
                f"{file.parent} is an adapter that {what} ({name}): it cannot be merged into the base model"
            )
    return dict(settings)


def base_of(settings: dict[str, Any], folder: str) -> str:
    """The base model named by an adapter.

    Raises:
        ModelError: it names none.
    """
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{folder} is an adapter that does not name its base: use BASE+{folder}")
    return base


def check_peft() -> None:
    """Checks that PEFT is installed.

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("peft") is None:
        raise MissingExtraError("peft", "peft")


def merged(model: PreTrainedModel, folder: str, revision: str | None, *, from_cache: bool = False) -> PreTrainedModel:
    """A base model with an adapter merged into its weights.

    Args:
        model: the base, in the dtype of the result.
        folder: the adapter's folder, or its hub id.
        revision: of the hub id.
        from_cache: take the hub id's files from the cache alone.

    Raises:
        ModelError: the adapter's weights do not fit the base, or some are missing.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    from rankscope.models.unused_weights import described

    options: dict[str, Any] = {"revision": revision} if revision else {}
    if from_cache:
        options["local_files_only"] = True
    dtypes = {name: parameter.dtype for name, parameter in model.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old or missing names; missing ones are refused below
        changed = PeftModel.from_pretrained(model, folder, is_trainable=False, **options)
    there = set(load_peft_weights(folder, device="cpu", **options))
    taken = set(get_peft_model_state_dict(changed, save_embedding_layers=False))
    if unused := there - taken - set(changed.state_dict()):
        raise ModelError(f"{folder} has {described(unused)} that do not fit the base: is it for another base?")
    if missing := taken - there:
        raise ModelError(f"{folder} lacks {described(missing)} that its settings require")
    result: PreTrainedModel = changed.merge_and_unload(safe_merge=True)
    if left := [name for name, _ in result.named_parameters() if name not in dtypes]:
        raise ModelError(f"{folder} cannot be merged into the base: {described(left)} would remain unmerged")
    return result
