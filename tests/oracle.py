"""The oracle: spectra from the definition alone, in float64, on the d x d covariance."""

from __future__ import annotations

import numpy as np
import torch


def oracle_spectrum(hidden: torch.Tensor) -> np.ndarray:
    """All d eigenvalues, descending."""
    z = hidden.double().numpy()
    z = z - z.mean(axis=0)
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    return np.sort(np.linalg.eigvalsh(u.T @ u / len(u)))[::-1]


def oracle_entropy(hidden: torch.Tensor) -> float:
    values = oracle_spectrum(hidden)
    values = values[values > 1e-15]
    return float(-(values * np.log(values)).sum())
