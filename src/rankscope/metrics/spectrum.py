"""The spectrum of one representation or of a padded batch, for calls with arrays.

Source: Wei et al., Diff-eRank (NeurIPS 2024, arXiv 2401.17139), section 3.
"""

from __future__ import annotations

import torch

from rankscope.metrics.arrays import ArrayLike, hidden_states
from rankscope.metrics.decomposition import Spectrum
from rankscope.metrics.representations import representations_of


def spectrum(
    hidden: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    dtype: torch.dtype | None = None,
    computed_in: torch.dtype | None = None,
) -> Spectrum:
    """Eigenvalues of Sigma = U^T U / N, where U are the centred unit rows of the hidden states.

    These are the eigenvalues of the smaller of U U^T / N (N x N) and U^T U / N (d x d), computed exactly by one
    eigenvalue-only decomposition. Differentiable.

    Args:
        hidden: one text (tokens, d), or a padded batch (batch, tokens, d); a tensor, an array or nested lists.
        mask: True (or 1) for real tokens, (tokens,) or (batch, tokens).
        dtype: the precision, float32 or float64. None: float64, but float32 for large representations on a CPU whose
            own eigenvalues show that it gives the effective rank within 1e-6; see `metrics/arithmetic.py`.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: as for `unit_rows`, or a mask of the wrong shape or with values other than 0 and 1; in a
            batch the message names the text.
        SettingsError: a precision other than float32 and float64.

    Example:
        >>> spectrum([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]).eigenvalues
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    states = hidden_states(hidden)
    found = representations_of(states, mask, dtype=dtype, computed_in=computed_in)
    return found.spectrum if states.dim() == 3 else found.spectrum_of_one_text
