"""Runs: the plan, the loop, the store, resuming, `evaluate`, `compare`."""

from rankscope.runs.comparison import Comparison, Difference, compare
from rankscope.runs.evaluation import evaluate
from rankscope.runs.progress import Bar, Lines, Progress, Silent, bar_on_stderr
from rankscope.runs.run import Run
from rankscope.runs.twin_cache import TwinCache, default_twin_cache

__all__ = [
    "Bar",
    "Comparison",
    "Difference",
    "Lines",
    "Progress",
    "Run",
    "Silent",
    "TwinCache",
    "bar_on_stderr",
    "compare",
    "default_twin_cache",
    "evaluate",
]
