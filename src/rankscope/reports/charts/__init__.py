"""Charts: functions that turn tidy frames into figures."""

from rankscope.reports.charts.alignment import alignment_ranks
from rankscope.reports.charts.figure import Figure
from rankscope.reports.charts.layers import rank_by_layer, rank_by_model
from rankscope.reports.charts.models import has_shares, rank_against, relative_differences
from rankscope.reports.charts.spectra import spectra
from rankscope.reports.charts.texts import distribution, rank_against_length
from rankscope.reports.charts.training import loss_through_training, rank_through_training

__all__ = [
    "Figure",
    "alignment_ranks",
    "distribution",
    "has_shares",
    "loss_through_training",
    "rank_against",
    "rank_against_length",
    "rank_by_layer",
    "rank_by_model",
    "rank_through_training",
    "relative_differences",
    "spectra",
]
