"""Exact matrix entropy compared with the papers' method and the Matrix Nuclear-Norm, as ratios within one process.

The papers' method is a singular value decomposition, with vectors, of the d x d covariance (both published scripts
call `torch.svd`). Ours computes the eigenvalues of the smaller Gram matrix in float64.

    python benchmarks/kernel.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

import rankscope as rs


def published_entropy(hidden: torch.Tensor) -> torch.Tensor:
    """Matrix entropy as the published scripts compute it: covariance, full SVD, nansum."""
    rows = torch.nn.functional.normalize(hidden - hidden.mean(dim=0), dim=1)
    covariance = rows.T @ rows / len(rows)
    _, values, _ = torch.linalg.svd(covariance / covariance.trace())
    return -(values * values.log()).nansum()


def seconds(function: Callable[[torch.Tensor], object], hidden: torch.Tensor, repeats: int) -> float:
    """Median over repeats, after one warm-up call."""
    function(hidden)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(hidden)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["128x2048", "512x2048", "300x576", "1024x576"])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'N x d':>10} {'SVD d x d':>12} {'ours':>10} {'MNN':>10} {'SVD / ours':>11} {'ours / MNN':>11} {'|dH|':>9}")
    for shape in options.shapes:
        tokens, hidden_size = map(int, shape.split("x"))
        torch.manual_seed(0)
        hidden = torch.randn(tokens, hidden_size)
        slow = seconds(published_entropy, hidden, 3)
        ours = seconds(rs.matrix_entropy, hidden, options.repeats)
        norm = seconds(rs.matrix_nuclear_norm, hidden, options.repeats)
        apart = abs(float(published_entropy(hidden)) - float(rs.matrix_entropy(hidden)))
        print(
            f"{shape:>10} {slow * 1e3:9.1f} ms {ours * 1e3:7.2f} ms {norm * 1e3:7.2f} ms "
            f"{slow / ours:11.0f} {ours / norm:11.1f} {apart:9.1e}"
        )


if __name__ == "__main__":
    main()
