"""Metrics: from tensors to numbers. No files, no models, no state."""

from rankscope.metrics.alignment import image_reduction_ratio, image_text_alignment
from rankscope.metrics.arrays import ArrayLike
from rankscope.metrics.controls import drop_tokens, parse_drop_rule, rarefaction_curve, rotated_matrix_nuclear_norm
from rankscope.metrics.decomposition import Spectrum
from rankscope.metrics.diff_erank import aggregate_effective_rank, diff_erank, erank_ratio, reduced_loss
from rankscope.metrics.entropy import (
    effective_rank,
    matrix_entropy,
    normalized_matrix_entropy,
    participation_ratio,
    renyi_entropy,
    stable_rank,
)
from rankscope.metrics.likelihood import perplexity, token_cross_entropy, token_losses
from rankscope.metrics.measure import measure
from rankscope.metrics.modality_integration import (
    TokenMoments,
    frechet_distance,
    integration_of_moments,
    modality_integration_rate,
    outlier_range,
    without_outliers,
)
from rankscope.metrics.norms import matrix_nuclear_norm, nuclear_norm
from rankscope.metrics.nulls import noise_spectrum
from rankscope.metrics.pooled import alpha_req, directions_needed, rankme, uniformity
from rankscope.metrics.representations import Representations
from rankscope.metrics.rows import unit_rows
from rankscope.metrics.similarity import linear_cka, matrix_entropy_change, mean_cosine_similarity
from rankscope.metrics.spectrum import spectrum
from rankscope.metrics.table import Metric, metric_named, metric_names, noise_value

__all__ = [
    "ArrayLike",
    "Metric",
    "Representations",
    "Spectrum",
    "TokenMoments",
    "aggregate_effective_rank",
    "alpha_req",
    "diff_erank",
    "directions_needed",
    "drop_tokens",
    "effective_rank",
    "erank_ratio",
    "frechet_distance",
    "image_reduction_ratio",
    "image_text_alignment",
    "integration_of_moments",
    "linear_cka",
    "matrix_entropy",
    "matrix_entropy_change",
    "matrix_nuclear_norm",
    "mean_cosine_similarity",
    "measure",
    "metric_named",
    "metric_names",
    "modality_integration_rate",
    "noise_spectrum",
    "noise_value",
    "normalized_matrix_entropy",
    "nuclear_norm",
    "outlier_range",
    "parse_drop_rule",
    "participation_ratio",
    "perplexity",
    "rankme",
    "rarefaction_curve",
    "reduced_loss",
    "renyi_entropy",
    "rotated_matrix_nuclear_norm",
    "spectrum",
    "stable_rank",
    "token_cross_entropy",
    "token_losses",
    "uniformity",
    "unit_rows",
    "without_outliers",
]
