"""The plans of a run: texts are tokenized once for all models whose tokenizers read them in the same way.

The checkpoints of a training have one tokenizer, and tokenizing a million texts takes minutes.
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
    """Makes the plans of a job's models, and keeps those that a later model shares.

    Args:
        job: what is planned; its models are asked for in any order, each once.
        progress: told where there are many texts.
    """

    def __init__(self, job: Job, progress: Progress | None = None) -> None:
        self._job, self._progress = job, progress
        self._expected = Counter(self._key(subject.model) for subject in job.subjects)
        self._kept: dict[Hashable, list[Plan]] = {}

    def of(self, model: ModelDescription) -> list[Plan]:
        """A model's plan for each of the job's text sets.

        Raises:
            RankscopeError: as `Job.plan`.
        """
        key = self._key(model)
        if key not in self._kept:
            self._kept[key] = [self._job.plan(model, texts, self._progress) for texts in self._job.text_sets]
        self._expected[key] -= 1
        return self._kept[key] if self._expected[key] else self._kept.pop(key)

    def _key(self, model: ModelDescription) -> Hashable:
        """All that a plan depends on beside the texts."""
        template, code = chat_template_digest(model.tokenizer), tuple(model.parts.code.items())
        return model.parts.tokenizer, template, code, self._job.layout(model)
