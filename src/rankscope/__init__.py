"""rankscope: intrinsic evaluation of language models from the spectra of their hidden states.

The names below are imported on first use, so `import rankscope` is fast: it does not import torch,
transformers or datasets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankscope.errors import RankscopeError
    from rankscope.measuring import measure_texts
    from rankscope.metrics import (
        Spectrum,
        aggregate_effective_rank,
        diff_erank,
        drop_tokens,
        effective_rank,
        erank_ratio,
        image_reduction_ratio,
        image_text_alignment,
        linear_cka,
        matrix_entropy,
        matrix_entropy_change,
        matrix_nuclear_norm,
        mean_cosine_similarity,
        measure,
        modality_integration_rate,
        noise_value,
        normalized_matrix_entropy,
        nuclear_norm,
        participation_ratio,
        perplexity,
        rarefaction_curve,
        reduced_loss,
        renyi_entropy,
        rotated_matrix_nuclear_norm,
        spectrum,
        stable_rank,
        token_cross_entropy,
    )
    from rankscope.monitoring import Monitor
    from rankscope.runs import Comparison, Run, align, compare, evaluate, log_run, merge
    from rankscope.settings import AlignmentSettings, Settings

__version__ = "0.2.0"

_CONTENTS = {
    "rankscope.errors": ("RankscopeError",),
    "rankscope.settings": ("AlignmentSettings", "Settings"),
    "rankscope.measuring": ("measure_texts",),
    "rankscope.metrics": (
        "Spectrum",
        "aggregate_effective_rank",
        "diff_erank",
        "erank_ratio",
        "drop_tokens",
        "effective_rank",
        "image_reduction_ratio",
        "image_text_alignment",
        "linear_cka",
        "matrix_entropy",
        "matrix_entropy_change",
        "matrix_nuclear_norm",
        "mean_cosine_similarity",
        "measure",
        "modality_integration_rate",
        "noise_value",
        "normalized_matrix_entropy",
        "nuclear_norm",
        "participation_ratio",
        "perplexity",
        "rarefaction_curve",
        "reduced_loss",
        "renyi_entropy",
        "rotated_matrix_nuclear_norm",
        "spectrum",
        "stable_rank",
        "token_cross_entropy",
    ),
    "rankscope.monitoring": ("Monitor",),
    "rankscope.runs": ("Comparison", "Run", "align", "compare", "evaluate", "log_run", "merge"),
}
_HOME = {name: module for module, names in _CONTENTS.items() for name in names}

__all__ = [
    "AlignmentSettings",
    "Comparison",
    "Monitor",
    "RankscopeError",
    "Run",
    "Settings",
    "Spectrum",
    "aggregate_effective_rank",
    "align",
    "compare",
    "diff_erank",
    "drop_tokens",
    "effective_rank",
    "erank_ratio",
    "evaluate",
    "image_reduction_ratio",
    "image_text_alignment",
    "linear_cka",
    "log_run",
    "matrix_entropy",
    "matrix_entropy_change",
    "matrix_nuclear_norm",
    "mean_cosine_similarity",
    "measure",
    "measure_texts",
    "merge",
    "modality_integration_rate",
    "noise_value",
    "normalized_matrix_entropy",
    "nuclear_norm",
    "participation_ratio",
    "perplexity",
    "rarefaction_curve",
    "reduced_loss",
    "renyi_entropy",
    "rotated_matrix_nuclear_norm",
    "spectrum",
    "stable_rank",
    "token_cross_entropy",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'rankscope' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
