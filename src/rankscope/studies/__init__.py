"""Studies: one file per question, and shared code."""

from rankscope.studies.conduct import STUDIES, Conducted, conduct, measure_shard
from rankscope.studies.prediction import prediction_table
from rankscope.studies.published import printed, printed_tables
from rankscope.studies.study import Figure, Findings, Request, Study

__all__ = [
    "STUDIES",
    "Conducted",
    "Figure",
    "Findings",
    "Request",
    "Study",
    "conduct",
    "measure_shard",
    "prediction_table",
    "printed",
    "printed_tables",
]
