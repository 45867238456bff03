"""MiniGPT-v2's three files with the published names and small sizes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tiny import save_tiny

WIDTH, INNER, BLOCKS, PATCH, GRID, RANK = 88, 40, 3, 56, 4, 4
JOINED = 4 * WIDTH
TARGETS = ("q_proj", "v_proj")


def vision_file() -> dict[str, Tensor]:
    """Tensors as `eva_vit_g.pth` names them: positions of a smaller picture, two biases, parts that are not used."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.3

    tensors = {
        "cls_token": random(1, 1, WIDTH),
        "pos_embed": random(1, GRID**2 + 1, WIDTH),
        "patch_embed.proj.weight": random(WIDTH, 3, PATCH, PATCH) * 0.02,
        "patch_embed.proj.bias": random(WIDTH),
    }
    for block in range(BLOCKS):
        inside = {
            "norm1.weight": random(WIDTH) + 1, "norm1.bias": random(WIDTH),
            "attn.q_bias": random(WIDTH), "attn.v_bias": random(WIDTH),
            "attn.qkv.weight": random(3 * WIDTH, WIDTH), "attn.proj.weight": random(WIDTH, WIDTH),
            "attn.proj.bias": random(WIDTH), "norm2.weight": random(WIDTH) + 1, "norm2.bias": random(WIDTH),
            "mlp.fc1.weight": random(INNER, WIDTH), "mlp.fc1.bias": random(INNER),
            "mlp.fc2.weight": random(WIDTH, INNER), "mlp.fc2.bias": random(WIDTH),
        }  # fmt: skip
        tensors |= {f"blocks.{block}.{name}": tensor for name, tensor in inside.items()}
    return tensors | {"fc_norm.weight": random(WIDTH), "head.weight": random(10, WIDTH)}


def checkpoint_file(hidden: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    tensors = {
        "llama_proj.weight": torch.randn(hidden, JOINED, generator=generator) * 0.1,
        "llama_proj.bias": torch.randn(hidden, generator=generator),
    }
    for layer in range(3):
        for target, out in zip(TARGETS, (32, 16), strict=True):
            where = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{target}"
            tensors[f"{where}.lora_A.weight"] = torch.randn(RANK, hidden, generator=generator)
            tensors[f"{where}.lora_B.weight"] = torch.randn(out, RANK, generator=generator) * 0.1
    return tensors


def save_tiny_minigpt(folder: Path) -> str:
    """Writes the files and returns the reference to them."""
    save_tiny(folder / "llama")
    torch.save(vision_file(), folder / "eva_vit_g.pth")
    torch.save({"model": checkpoint_file(32), "epoch": 3, "config": {"run": {}}}, folder / "minigptv2_checkpoint.pth")
    return f"minigpt-v2={folder / 'llama'},{folder / 'eva_vit_g.pth'},{folder / 'minigptv2_checkpoint.pth'}"
