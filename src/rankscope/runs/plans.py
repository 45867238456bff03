"""The plans of a run: texts are tokenized once for all models with the same tokenizer and layout.

The checkpoints of a training run share a tokenizer, and tokenizing a million texts takes minutes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rankscope.models import chat_template_digest

if TYPE_CHECKING:
    from collections.abc import Hashable

    from rankscope.measuring import Plan
    from rankscope.models import ModelDescription
    from rankscope.runs.job import Job
    from rankscope.runs.progress import Progress


class Plans:
    """Creates the plans of a job's models, and keeps a plan while a later model can share it.

    Args:
        job: The job; request the plans of each of its models exactly once, in any order.
        progress: Receives progress if there are many texts.
    """

    def __init__(self, job: Job, progress: Progress | None = None) -> None:
        self._job, self._progress = job, progress
        self._expected = Counter(self._key(subject.model) for subject in job.subjects)
        self._kept: dict[Hashable, list[Plan]] = {}

    def of(self, model: ModelDescription) -> list[Plan]:
        """A model's plans, one for each of the job's text sets.

        Raises:
            RankscopeError: as for `Job.plan`.
        """
        key = self._key(model)
        if key not in self._kept:
            self._kept[key] = [self._job.plan(model, texts, self._progress) for texts in self._job.text_sets]
        self._expected[key] -= 1
        return self._kept[key] if self._expected[key] else self._kept.pop(key)

    def _key(self, model: ModelDescription) -> Hashable:
        """Everything except the texts that determines a plan."""
        template, code = chat_template_digest(model.tokenizer), tuple(model.parts.code.items())
        return model.parts.tokenizer, template, code, self._job.layout(model)
