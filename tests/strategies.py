"""Hidden states of many shapes, for laws."""

from __future__ import annotations

import torch
from hypothesis import strategies as st


@st.composite
def representations(draw: st.DrawFn) -> torch.Tensor:
    """Wide, tall, low-rank, with an outlier feature and a common offset; float32."""
    tokens, hidden, rank = draw(st.integers(3, 40)), draw(st.integers(2, 40)), draw(st.integers(2, 40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    states = torch.randn(tokens, rank, generator=generator) @ torch.randn(rank, hidden, generator=generator)
    states[:, 0] *= draw(st.sampled_from([1.0, 30.0, 1000.0]))
    return states + draw(st.sampled_from([0.0, 1.0, 50.0]))


def rotation(size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))[0]


def equal_eigenvalues(k: int, hidden: int = 16) -> torch.Tensor:
    """Rows +e_1, -e_1, ..., +e_k, -e_k: mean zero, k equal eigenvalues 1/k."""
    rows = torch.eye(hidden, dtype=torch.float64)[:k]
    return torch.cat([rows, -rows])
