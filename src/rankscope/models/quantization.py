"""Quantised checkpoints: dequantised if transformers supports it, else refused with a remedy."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from rankscope.errors import ModelError
from rankscope.models.weight_files import safetensors_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from transformers import PretrainedConfig, PreTrainedModel

# By transformers' names: the class whose `dequantize` or `run_compressed` restores plain weights.
_BY_SETTING = {
    "fp8": "FineGrainedFP8Config",
    "mxfp8": "FineGrainedFP8Config",
    "mxfp4": "Mxfp4Config",
    "metal": "MetalConfig",
    "compressed-tensors": "CompressedTensorsConfig",
}
_SCALE = "_scale_inv"
_AFTER_LOADING = ("bitsandbytes", "higgs")
_NEEDS = {"compressed-tensors": "compressed_tensors", "bitsandbytes": "bitsandbytes", "higgs": "flute"}
_BY_HAND = {
    "gptq": "gptqmodel", "awq": "gptqmodel", "torchao": "torchao", "quanto": "optimum-quanto", "hqq": "hqq",
    "aqlm": "aqlm", "vptq": "vptq", "spqr": "spqr_quant", "eetq": "eetq", "fp_quant": "fp_quant", "quark": "amd-quark",
    "auto-round": "auto-round",
}  # fmt: skip
# Older checkpoints of bitsandbytes state their method only in these keys.
_BITSANDBYTES = ("load_in_8bit", "load_in_4bit")


def method_of(config: PretrainedConfig) -> str | None:
    """The quantisation method of a checkpoint, by transformers' name; None if it is not quantised.

    Raises:
        ModelError: a `quantization_config` without a method.
    """
    settings = settings_of(config)
    if settings is None:
        return None
    if any(settings.get(name) for name in _BITSANDBYTES):
        return "bitsandbytes"
    method = settings.get("quant_method")
    if not method:
        raise ModelError("quantization_config in config.json has no quant_method: measure the original checkpoint")
    return str(getattr(method, "value", method))


def settings_of(config: PretrainedConfig) -> Mapping[str, Any] | None:
    """The `quantization_config` of a model or of its language part.

    Raises:
        ModelError: it is not a table.
    """
    for part in (config, config.get_text_config()):
        found = getattr(part, "quantization_config", None)
        if found is not None and hasattr(found, "to_dict"):
            return dict(found.to_dict())
        if found is not None and not isinstance(found, dict):
            raise ModelError(f"quantization_config in config.json must be a table of settings, got {found!r}")
        if found is not None:
            return found
    return None


def loading_options(config: PretrainedConfig, name: str) -> dict[str, Any]:
    """Keyword arguments of transformers' `from_pretrained` that dequantise weights while loading.

    Args:
        config: the checkpoint's.
        name: the model's, for messages.

    Raises:
        ModelError: a method that transformers cannot dequantise, or whose package is not installed.
    """
    import transformers

    method = method_of(config)
    if method is None:
        return {}
    what = f"{name} is quantised ({method})"
    if method not in _BY_SETTING and method not in _AFTER_LOADING:
        package = _BY_HAND.get(method)
        how = f"with {package} " if package else ""
        raise ModelError(
            f"{what}, which transformers cannot dequantise: measure the original checkpoint, or save a dequantised "
            f"copy {how}"
            "without quantization_config"
        )
    needed = _NEEDS.get(method)
    if needed and find_spec(needed) is None:
        raise ModelError(f"{what}: reading its weights needs {needed}: pip install {needed.replace('_', '-')}")
    if method in _AFTER_LOADING:
        return {}
    settings_class = getattr(transformers, _BY_SETTING[method], None)
    if settings_class is None:
        raise ModelError(f"{what}, which this version of transformers cannot dequantise: pip install -U transformers")
    return {"quantization_config": _dequantizing(method, settings_class)}


def _dequantizing(method: str, settings_class: Any) -> Any:
    from inspect import signature

    known = signature(settings_class.__init__).parameters
    if method == "compressed-tensors" and "dequantize" not in known:
        return settings_class(run_compressed=False)
    return settings_class(dequantize=True)


def check_scales(config: PretrainedConfig, files: Iterable[Path]) -> None:
    """Checks that each 8-bit float weight of a checkpoint has its scales, in blocks of the stated size.

    transformers uses a weight without scales unscaled, and if blocks do not divide a weight's sides, it infers smaller
    ones from the number of scales: in both cases it silently computes other numbers.

    Args:
        config: the checkpoint's.
        files: the checkpoint's; only safetensors files are checked.

    Raises:
        ModelError: scales are missing, or their number does not match the blocks.
    """
    if method_of(config) not in ("fp8", "mxfp8"):
        return
    block = (settings_of(config) or {}).get("weight_block_size")
    tensors: dict[str, dict[str, Any]] = {}
    for file in files:
        if file.suffix == ".safetensors":
            tensors |= safetensors_header(file)
    for name, tensor in tensors.items():
        if not str(tensor["dtype"]).startswith("F8_E4M3") or name.endswith(_SCALE):
            continue
        scales = tensors.get(f"{name}{_SCALE}")
        if scales is None:
            raise ModelError(f"weight {name} is in 8-bit floats without scales: expected {name}{_SCALE} next to it")
        for side, blocks, width in zip(tensor["shape"][-2:], scales["shape"][-2:], block or (), strict=False):
            if blocks > 1 and blocks * width != side:
                raise ModelError(
                    f"weight {name} has {blocks} scales for a side of {side}, in blocks of {width}: transformers can "
                    "dequantise only blocks that divide the side; measure the original checkpoint"
                )


def plain_weights(model: PreTrainedModel, config: PretrainedConfig, name: str, dtype: torch.dtype) -> PreTrainedModel:
    """The loaded model with plain numbers for weights.

    Args:
        model: as loaded.
        config: of the checkpoint.
        name: the model's, for messages.
        dtype: of the weights.

    Raises:
        ModelError: a weight is still packed, or has a type of eight bits or fewer.
    """
    if method_of(config) in _AFTER_LOADING:
        _check_blocks(model, name)
        model = model.dequantize(dtype).to(dtype)
    packed = [
        f"{weight} ({str(parameter.dtype).removeprefix('torch.')})"
        for weight, parameter in model.named_parameters()
        if not parameter.is_floating_point() or parameter.element_size() < 2 or type(parameter.data) is not torch.Tensor
    ]
    if packed:
        raise ModelError(
            f"{name} has {len(packed)} weights that are not plain numbers, first {packed[0]}: "
            "measure the original checkpoint, or save a dequantised copy"
        )
    return model


def _check_blocks(model: PreTrainedModel, name: str) -> None:
    """Refuses 4-bit weights whose rows are not whole blocks: bitsandbytes 0.50 unpacks them incorrectly on a CPU."""
    for weight, parameter in model.named_parameters():
        state = getattr(parameter, "quant_state", None)
        if state is not None and state.shape[-1] % state.blocksize:
            raise ModelError(
                f"{name}: the rows of {weight} have {state.shape[-1]} numbers, not a multiple of the block size "
                f"{state.blocksize}: bitsandbytes does not dequantise these reliably; measure the original checkpoint"
            )
