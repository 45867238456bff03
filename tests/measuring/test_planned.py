"""A plan that reads its batches when they are asked for is the plan that holds them all."""

from __future__ import annotations

import gc
import hashlib
import json
import pickle
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig

from measuring.toy_network import ToyNetwork
from rankscope import spool
from rankscope.measuring import Layout, Plan, TextTask, measure_batches, plan_batches
from rankscope.measuring.planned import PlannedText, PlanWriter, UnusableText
from rankscope.models import decisive_texts
from rankscope.texts import Text, TextSet
from tiny import SENTENCES, tiny_tokenizer

TOKENS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=12)
TEXTS = st.lists(st.tuples(st.text(max_size=3), st.booleans(), TOKENS), max_size=30)


def written(texts: list[tuple[str, bool, list[int]]], budget: int | None) -> Plan:
    """One text in four is refused."""
    writer = PlanWriter()
    for number, (name, is_cut, tokens) in enumerate(texts):
        if number % 4 == 3:
            writer.refuse(name, None, "naïve")
        else:
            writer.add(name, tokens, is_cut=is_cut)
    return writer.plan(budget)


def held(texts: list[tuple[str, bool, list[int]]], budget: int | None) -> list[list[PlannedText]]:
    """The same batches, filled one text at a time and all in memory."""
    planned = [
        PlannedText(number, name, tuple(tokens), is_cut)
        for number, (name, is_cut, tokens) in enumerate(texts)
        if number % 4 != 3
    ]
    batches: list[list[PlannedText]] = []
    for text in sorted(planned, key=lambda text: (-len(text.tokens), text.index)):
        if budget is not None and batches and len(batches[-1][0].tokens) * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(text)
        else:
            batches.append([text])
    return batches


def digest(batches: list[list[PlannedText]], unusable: tuple[UnusableText, ...]) -> str:
    """As a document of its own, by which existing runs know their texts."""
    content = (
        [[[text.index, text.id, text.tokens] for text in batch] for batch in batches],
        [[text.index, text.id, text.reason] for text in unusable],
    )
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TEXTS, st.none() | st.integers(1, 60), st.sampled_from([0, 64 << 20]))
def test_batches_that_are_read_are_those_that_were_held(
    texts: list[tuple[str, bool, list[int]]], budget: int | None, in_memory: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "IN_MEMORY", in_memory)
        plan, batches = written(texts, budget), held(texts, budget)
        assert list(plan.batches) == [tuple(batch) for batch in batches]
        assert len(plan.batches) == len(batches)
        assert plan.batches[::-1] == tuple(tuple(batch) for batch in batches[::-1])
        assert list(plan.token_ids) == [[text.tokens for text in batch] for batch in batches]
        assert plan.sizes[: len(batches)] == tuple(sum(len(text.tokens) for text in batch) for batch in batches)
        assert plan.sizes[len(batches) :] == (0,) * bool(plan.unusable)
        assert plan.tokens == sum(plan.sizes)
        assert plan.cut == sum(text.is_cut for batch in batches for text in batch)
        assert plan.fingerprint == digest(batches, plan.unusable)
        again = pickle.loads(pickle.dumps(plan))
        assert again == plan == Plan.of(batches, plan.unusable)
        assert again.fingerprint == plan.fingerprint


def test_a_batch_that_is_not_there() -> None:
    plan = written([("a", False, [1, 2])], None)
    assert plan.batches[-1] == plan.batches[0]
    with pytest.raises(IndexError):
        plan.batches[1]
    assert plan != written([("a", False, [1, 3])], None)


def test_a_part_of_a_plan_keeps_the_numbers_and_measures_the_same() -> None:
    plan = written([(str(number), False, [number, 1, 2 + number % 3]) for number in range(20)], 9)
    task = TextTask("toy", "made-up")
    whole = dict(measure_batches(task, plan, ToyNetwork()))
    behind = len(plan.batches)
    parts = [plan.only({0, 3}), plan.only(set(range(behind)) - {0, 3}), plan.only({behind})]
    assert [len(part.batches) for part in parts] == [behind] * 3
    assert [part.sizes[3] for part in parts] == [plan.sizes[3], 0, 0]
    found = [dict(measure_batches(task, part, ToyNetwork().fitted_to("toy", part.token_ids))) for part in parts]
    assert sorted(found[0]) == [0, 3]
    assert sorted(found[2]) == [behind]
    assert found[0] | found[1] | found[2] == whole
    assert len(pickle.dumps(parts[0])) < len(pickle.dumps(plan))


def test_decisive_texts_are_looked_for_once_for_networks_of_the_same_regimes() -> None:
    plan = written([(str(number), False, [number] * (1 + number)) for number in range(9)], 30)
    found = plan.decisive(LlamaConfig())
    assert found == decisive_texts(LlamaConfig(), plan.token_ids)
    assert plan.decisive(LlamaConfig(hidden_size=64)) is found
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    scaled = LlamaConfig(max_position_embeddings=3, rope_parameters=rope)
    assert plan.decisive(scaled) == decisive_texts(scaled, plan.token_ids) != found


def living(kind: type) -> int:
    return sum(type(one) is kind for one in gc.get_objects())


def test_few_texts_are_objects_at_a_time() -> None:
    """While 20,000 texts are tokenized, planned, hashed and read."""
    before = {kind: living(kind) for kind in (Text, PlannedText)}
    most = {Text: 0, PlannedText: 0}

    class Watched(list):
        def __iter__(self) -> Iterator[Text]:
            for number in range(20_000):
                if number % 3500 == 0:
                    most[Text] = max(most[Text], living(Text) - before[Text])
                yield Text(str(number), SENTENCES[number % 8][:40])

        def __len__(self) -> int:
            return 20_000

    told: list[int] = []
    plan = plan_batches(TextSet("set", "here", Watched()), tiny_tokenizer(), Layout(99, batch=200), told.append)
    assert sum(told) == 20_000
    assert max(told) <= 1000
    assert living(PlannedText) == before[PlannedText]
    assert plan.fingerprint
    for number, batch in enumerate(plan.batches):
        if number % 2500 == 0:
            most[PlannedText] = max(most[PlannedText], living(PlannedText) - before[PlannedText])
        assert batch
    assert 0 < most[Text] <= 3000
    assert 0 < most[PlannedText] <= 400
