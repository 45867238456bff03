"""Integrations: other libraries' instruments on the models that were loaded here; thin, no formulas."""

from rankscope.integrations.harness import (
    Accuracy,
    TaskReference,
    accuracies,
    harness_version,
    parse_task_reference,
)

__all__ = ["Accuracy", "TaskReference", "accuracies", "harness_version", "parse_task_reference"]
