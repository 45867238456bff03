"""Tensors of a GGUF file that the network does not use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from rankscope.models.gguf.header import GgufHeader, GgufTensor

# Applied through the configuration, or tables that older llama.cpp converters wrote and never read.
_ROTARY = re.compile(r"rope_(freqs|factors_long|factors_short)\.weight|blk\.\d+\.attn_rot_embd(\.weight)?")
_OUTPUT = "output.weight"


def unused_tensors(model: PreTrainedModel, header: GgufHeader) -> list[str]:
    """The names of tensors that transformers' reader silently skipped.

    Only for architectures of its older reader: what the newer one skips is in the loading report.
    """
    if getattr(getattr(model, "hf_quantizer", None), "supported", False):
        return []
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    processor = TENSOR_PROCESSORS.get(header.architecture, TensorProcessor)(config=model.config.to_dict())
    taken = get_gguf_hf_weights_map(model, processor)
    unused = [
        tensor
        for tensor in header.tensors
        if tensor.name not in taken
        and tensor.name.removesuffix(".weight") not in taken  # experts, stacked
        and not _ROTARY.fullmatch(tensor.name)
    ]
    return [tensor.name for tensor in unused if not _is_the_head(model, tensor)]


def _is_the_head(model: PreTrainedModel, tensor: GgufTensor) -> bool:
    """Whether a tensor is a head that the reader does not name: GPT-2's separate one, or one tied to embeddings."""
    head = model.get_output_embeddings()
    if tensor.name != _OUTPUT or head is None:
        return False
    from gguf import GGMLQuantizationType, dequantize
    from numpy import fromfile, uint8

    kind = GGMLQuantizationType(tensor.kind)
    data = fromfile(tensor.file, uint8, tensor.size, offset=tensor.start)
    rows = dequantize(data.reshape(tensor.dimensions[-1], -1), kind)
    weight = head.weight.detach().float().cpu()
    return rows.shape == weight.shape and torch.equal(
        torch.from_numpy(rows.copy()).to(head.weight.dtype).float(), weight
    )
