"""Fixtures for code that runs on accelerators."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def device() -> torch.device:
    """Where Triton kernels run: on a CUDA device, and without one interpreted on the CPU, in NumPy."""
    pytest.importorskip("triton")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
