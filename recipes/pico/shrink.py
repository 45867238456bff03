"""Rounds the stored weights of models to a coarse grid, so that they compress better.

    python recipes/pico/shrink.py OUT/pico-llama --levels 16

The grid of a tensor has about the given number of levels per standard deviation. Its spacing is a power of two, so the
weights remain float16 and any library can read them. Vectors, such as norms and biases, are not changed, and neither
are tensors that are not float16, such as buffers, which are computed rather than learned.
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def rounded(weight: Tensor, levels: int) -> Tensor:
    """A float16 matrix rounded to its grid; other tensors unchanged."""
    if weight.dim() < 2 or weight.dtype is not torch.float16:
        return weight
    spacing = 2.0 ** torch.round(torch.log2(weight.float().std() / levels))
    return (torch.round(weight.float() / spacing) * spacing).half()


def main() -> None:
    """Rounds each folder's weights in place, and prints their compressed size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--levels", type=int, required=True, help="levels per standard deviation of a tensor")
    options = parser.parse_args()
    for folder in options.folders:
        file = folder / "model.safetensors"
        weights = {name: rounded(weight, options.levels) for name, weight in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})
        print(f"{folder.name}: {len(zlib.compress(file.read_bytes())):,} bytes compressed")


if __name__ == "__main__":
    main()
