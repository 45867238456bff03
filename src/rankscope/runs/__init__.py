"""Runs: the plan, the loop, the store, resuming, `evaluate`."""

from rankscope.runs.evaluation import evaluate
from rankscope.runs.progress import Bar, Lines, Progress, Silent, bar_on_stderr
from rankscope.runs.run import Run

__all__ = ["Bar", "Lines", "Progress", "Run", "Silent", "bar_on_stderr", "evaluate"]
