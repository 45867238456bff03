"""Integrations with other libraries for models loaded by rankscope: thin wrappers without formulas."""

from rankscope.integrations.harness import (
    Accuracy,
    TaskReference,
    accuracies,
    harness_version,
    parse_task_reference,
)

__all__ = ["Accuracy", "TaskReference", "accuracies", "harness_version", "parse_task_reference"]
