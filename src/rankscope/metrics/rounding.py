"""Whether rows differ by no more than the rounding of the forward pass that computed them.

Tokens that a model cannot distinguish (one repeated token, without positions or with rotary ones) have hidden states
that are equal in exact arithmetic. In floating point they differ, because each attends to a different number of equal
tokens, and sums of different lengths round differently. Centred and scaled to unit length, this rounding would become a
spectrum of noise.

Let r be the distance of a row from the mean of all rows, divided by the sum of their lengths. One block rounds its
output by a few eps of its size, at random, so L blocks that add to one residual stream move r by about 2 sqrt(L) eps:
at most 23 eps for 128 blocks. Trained blocks with massive activations amplify the rounding errors of their input, and
batching changes the order of summation.

Measured: in float32, rounding gives r of at most 35 eps (SmolLM2, 30 blocks; at most 13 in 27 other architectures and
untrained networks of up to 80 blocks), and the nearest genuine row of an ordinary text is at 280,000 eps. A threshold
of 1,024 eps separates the two.

Half precision has no such gap. Kernels accumulate in float32 and most rounding is lost when results are stored: r is
0 in most networks, at most 9 eps in float16 and 6 in bfloat16. In genuine texts the farthest row is never closer than
250 and 31 eps, the nearest one at 35 and 4.4. So a text is refused if all its rows are within 1/16 (64 and 8 eps), and
a single row only within eps / 2, where storing it has rounded its direction away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rankscope.errors import SettingsError

ROUNDINGS = 1024
"""In float32 and float64, rows closer to the mean than this many eps are due to rounding."""

ALL_ROWS_AT_MOST = 2**-4
"""In half precision, all rows of a text count as equal if they are within this relative distance."""


@dataclass(frozen=True)
class Tolerances:
    """Relative distances from the mean that rounding explains.

    Attributes:
        all_rows: rows are equal if all of them are within it.
        one_row: a row is at the mean if it is within it.
    """

    all_rows: float
    one_row: float


def tolerances(eps: float) -> Tolerances:
    """The tolerances for states of a forward pass in a dtype with this eps."""
    if ROUNDINGS * eps > ALL_ROWS_AT_MOST:
        return Tolerances(ALL_ROWS_AT_MOST, eps / 2)
    return Tolerances(ROUNDINGS * eps, ROUNDINGS * eps)


def rounding_of(*dtypes: torch.dtype | None) -> float:
    """The eps of the coarsest dtype that the values passed through.

    Raises:
        SettingsError: a dtype that is not floating point.
    """
    known = [dtype for dtype in dtypes if dtype is not None]
    for dtype in known:
        if not dtype.is_floating_point:
            raise SettingsError(f"hidden states must be computed in a floating-point dtype, got {dtype}")
    return max(torch.finfo(dtype).eps for dtype in known)
