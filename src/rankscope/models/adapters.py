"""PEFT adapters: small changes to the weights of a base model, kept in a folder of their own and merged into it."""

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
# These put something before each text instead of changing weights, or change what a forward pass does.
_NOT_MERGED = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT",
               "CARTRIDGE", "XLORA", "POLY")  # fmt: skip
# Settings of an adapter with which its merged weights are another network, or have other blocks.
_REFUSED = {"layer_replication": "repeats blocks", "alora_invocation_tokens": "switches on within a text"}


def adapter_weights(folder: Path) -> tuple[Path, ...]:
    """The file that PEFT reads an adapter's weights from.

    Raises:
        ModelError: there is none.
    """
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return (folder / name,)
    raise ModelError(f"{folder} holds an {ADAPTER_SETTINGS}, but neither {' nor '.join(_WEIGHTS)}")


def read_adapter_settings(file: Path) -> dict[str, Any]:
    """An adapter's settings.

    Raises:
        ModelError: not JSON, without a PEFT type, or of a kind that cannot be merged.
    """
    try:
        settings = json.loads(file.read_text("utf-8"))
        kind = str(settings["peft_type"]).upper()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{file} is damaged: expected JSON with a peft_type ({type(error).__name__}: {error})"
        ) from error
    if kind in _NOT_MERGED:
        raise ModelError(f"{file.parent} is an adapter of type {kind}, which cannot be merged into the base's weights")
    for name, what in _REFUSED.items():
        if settings.get(name):
            raise ModelError(
                f"{file.parent} is an adapter that {what} ({name}): it cannot be merged into the base's weights"
            )
    return dict(settings)


def base_of(settings: dict[str, Any], folder: str) -> str:
    """The name that an adapter gives of its base.

    Raises:
        ModelError: it gives none.
    """
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{folder} is an adapter that does not name its base: give both, as BASE+{folder}")
    return base


def check_peft() -> None:
    """Checks that PEFT is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("peft") is None:
        raise MissingExtraError("peft", "peft")


def merged(model: PreTrainedModel, folder: str, revision: str | None, *, from_cache: bool = False) -> PreTrainedModel:
    """A base model with an adapter added to its weights.

    Args:
        model: the base, in the dtype that the result shall have.
        folder: the adapter's, or its hub id.
        revision: of the hub id.
        from_cache: take the hub id's files from the cache alone.

    Raises:
        ModelError: weights of the adapter that the base has no place for, or places without weights.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    from rankscope.models.unused_weights import described

    options: dict[str, Any] = {"revision": revision} if revision else {}
    if from_cache:
        options["local_files_only"] = True
    dtypes = {name: parameter.dtype for name, parameter in model.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are old, or missing; the latter are refused below
        changed = PeftModel.from_pretrained(model, folder, is_trainable=False, **options)
    there = set(load_peft_weights(folder, device="cpu", **options))
    taken = set(get_peft_model_state_dict(changed, save_embedding_layers=False))
    if unused := there - taken - set(changed.state_dict()):
        raise ModelError(f"{folder} holds {described(unused)} that the base has no place for: it is of another base")
    if missing := taken - there:
        raise ModelError(f"{folder} lacks {described(missing)} that its settings ask for")
    result: PreTrainedModel = changed.merge_and_unload(safe_merge=True)
    if left := [name for name, _ in result.named_parameters() if name not in dtypes]:
        raise ModelError(f"{folder} cannot be merged into the base: {described(left)} would be left")
    return result
