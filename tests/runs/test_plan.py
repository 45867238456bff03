from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.runs.plan import Layout, plan_batches
from rankscope.texts import SkippedText, Text, TextSet
from tiny import SENTENCES, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def text_set(texts: list[str]) -> TextSet:
    return TextSet("set", "here", tuple(Text(f"id{n}", text) for n, text in enumerate(texts)))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([s[:n] for s in SENTENCES for n in (5, 20, 60)]), min_size=1, max_size=20),
    st.integers(1, 200),
)
def test_every_text_once_within_the_budget_longest_first(texts: list[str], budget: int) -> None:
    plan = plan_batches(text_set(texts), TOKENIZER, Layout(2048, batch=budget))
    planned = [text for batch in plan.batches for text in batch]
    assert sorted(text.index for text in planned) == list(range(len(texts)))
    lengths = [len(text.tokens) for text in planned]
    assert lengths == sorted(lengths, reverse=True)
    assert plan.tokens == sum(lengths)
    for batch in plan.batches:
        assert len(batch) == 1 or len(batch) * len(batch[0].tokens) <= budget
    for text in planned:
        assert list(text.tokens) == TOKENIZER(texts[text.index]).input_ids


def test_one_text_at_a_time() -> None:
    plan = plan_batches(text_set(list(SENTENCES)), TOKENIZER, Layout(2048))
    assert [len(batch) for batch in plan.batches] == [1] * len(SENTENCES)


def test_long_texts_are_cut_and_counted() -> None:
    plan = plan_batches(text_set(list(SENTENCES)), TOKENIZER, Layout(30, batch=100))
    full = [len(TOKENIZER(sentence).input_ids) for sentence in SENTENCES]
    assert plan.cut == sum(length > 30 for length in full) > 0
    assert max(len(text.tokens) for batch in plan.batches for text in batch) == 30


def test_texts_without_two_tokens_and_empty_ones_are_named() -> None:
    texts = TextSet("set", "here", (Text("a", "x"), Text("b", "long enough")), (SkippedText("c", "empty"),))
    plan = plan_batches(texts, TOKENIZER, Layout(2048, batch=100))
    assert [(text.id, text.n_tokens, text.reason) for text in plan.unusable] == [
        ("a", 1, "fewer than 2 tokens"),
        ("c", 0, "empty"),
    ]
    assert [text.id for batch in plan.batches for text in batch] == ["b"]


def test_only_unusable_texts() -> None:
    plan = plan_batches(text_set(["x"]), TOKENIZER, Layout(2048, batch=100))
    assert plan.batches == ()
    assert plan.tokens == pytest.approx(0)


def test_windows_are_all_of_one_length() -> None:
    plan = plan_batches(text_set(list(SENTENCES)), TOKENIZER, Layout(2048, window=16, batch=100))
    pieces = sorted((text for batch in plan.batches for text in batch), key=lambda text: text.index)
    assert {len(text.tokens) for text in pieces} == {16}
    first = TOKENIZER(SENTENCES[0]).input_ids
    assert [list(text.tokens) for text in pieces if text.id.startswith("id0#")] == [
        first[start : start + 16] for start in range(0, len(first) - 15, 16)
    ]
    assert [(text.id, text.reason) for text in plan.unusable] == [("id7", "shorter than a window of 16")]
    assert sorted(text.index for text in [*pieces, *plan.unusable]) == list(range(len(pieces) + 1))


def test_the_fingerprint_follows_tokens_and_batches() -> None:
    one, other = (plan_batches(text_set(list(SENTENCES)), TOKENIZER, Layout(2048, batch=n)) for n in (60, 200))
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == plan_batches(text_set(list(SENTENCES)), TOKENIZER, Layout(2048, batch=60)).fingerprint
