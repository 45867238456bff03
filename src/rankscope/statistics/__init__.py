"""Statistics: tables in, tables out."""

from rankscope.statistics.aggregation import (
    Summary,
    complete_texts,
    over_noise,
    summarize,
    summary_metrics,
    with_initializers,
)
from rankscope.statistics.alignment import BASE, summarize_alignment
from rankscope.statistics.associations import LOGARITHMIC, associations, fewest_models
from rankscope.statistics.bootstrap import bootstrap_interval
from rankscope.statistics.correlation import FEWEST_FOR_INTERVAL, METHODS, Correlation, Method, correlation
from rankscope.statistics.grouped import Share, share_explained, within_groups
from rankscope.statistics.layers import layer_depth
from rankscope.statistics.length import HeldRanking, adjusted_means, from_length, rankings_at_length
from rankscope.statistics.multiplicity import holm
from rankscope.statistics.notes import Facts, Note, ReadingFacts, merged_notes, notes_on
from rankscope.statistics.paired import PairedDifference, common_texts, complete_column, paired_difference, paired_on
from rankscope.statistics.phases import FEWEST_CHECKPOINTS, Phase, Phases, find_phases
from rankscope.statistics.pooled import POOLED, pooled_metrics
from rankscope.statistics.prediction import (
    BASELINES,
    FEWEST_FOR_PREDICTION,
    Prediction,
    predictions,
)

__all__ = [
    "BASE",
    "BASELINES",
    "FEWEST_CHECKPOINTS",
    "FEWEST_FOR_INTERVAL",
    "FEWEST_FOR_PREDICTION",
    "LOGARITHMIC",
    "METHODS",
    "POOLED",
    "Correlation",
    "Facts",
    "HeldRanking",
    "Method",
    "Note",
    "PairedDifference",
    "Phase",
    "Phases",
    "Prediction",
    "ReadingFacts",
    "Share",
    "Summary",
    "adjusted_means",
    "associations",
    "bootstrap_interval",
    "common_texts",
    "complete_column",
    "complete_texts",
    "correlation",
    "fewest_models",
    "find_phases",
    "from_length",
    "holm",
    "layer_depth",
    "merged_notes",
    "notes_on",
    "over_noise",
    "paired_difference",
    "paired_on",
    "pooled_metrics",
    "predictions",
    "rankings_at_length",
    "share_explained",
    "summarize",
    "summarize_alignment",
    "summary_metrics",
    "with_initializers",
    "within_groups",
]
