"""Texts are tokenized once for models whose tokenizers read them alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rankscope.runs import prepare
from rankscope.runs.job import Job
from rankscope.runs.plans import Plans
from rankscope.settings import Settings


@pytest.fixture(scope="module")
def job() -> Job:
    return prepare(["pico-0.1m", "pico-0.4m"], ["stdlib-docs"], Settings(limit=3))


def test_models_of_one_tokenizer_share_a_plan_that_is_forgotten_after_the_last(job: Job) -> None:
    plans = Plans(job)
    one, other = (plans.of(subject.model) for subject in job.subjects)
    assert one[0] is other[0]
    assert one == [job.plan(job.subjects[1].model, job.text_sets[0])]
    assert not plans._kept


def test_another_tokenizer_chat_template_code_or_layout_has_a_plan_of_its_own(job: Job, tiny_folder: Path) -> None:
    pico, _ = (subject.model for subject in job.subjects)
    (tiny,) = (subject.model for subject in prepare([str(tiny_folder)], ["stdlib-docs"], Settings(limit=3)).subjects)
    key = Plans(job)._key
    keys = [key(pico), key(tiny), Plans(replace(job, settings=Settings(max_length=7)))._key(pico)]
    coded = replace(pico)
    coded.__dict__["parts"] = replace(pico.parts, code={"modeling.py": "0" * 64})
    keys.append(key(coded))
    before = pico.tokenizer.chat_template
    try:
        pico.tokenizer.chat_template = "{{ messages }}"
        keys.append(key(pico))
    finally:
        pico.tokenizer.chat_template = before
    assert len(set(keys)) == 5
    assert key(replace(pico)) == key(pico)
