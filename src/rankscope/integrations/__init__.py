"""Integrations with other libraries for models loaded by rankscope: thin wrappers without formulas."""

from rankscope.integrations.harness import (
    Accuracy,
    TaskReference,
    accuracies,
    harness_version,
    parse_task_reference,
)
from rankscope.integrations.trackers import TrackedRun, Tracker, check_tracker, send_to_tracker

__all__ = [
    "Accuracy",
    "TaskReference",
    "TrackedRun",
    "Tracker",
    "accuracies",
    "check_tracker",
    "harness_version",
    "parse_task_reference",
    "send_to_tracker",
]
