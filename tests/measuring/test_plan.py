from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from rankscope.errors import DataError, SettingsError
from rankscope.measuring.plan import Layout, plan_batches
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


def with_special_tokens(single: str) -> PreTrainedTokenizerFast:
    """The tiny tokenizer with special tokens around each text, such as `<s> $A </s>`."""
    tokenizer = tiny_tokenizer()
    special = [("<s>", 0), ("</s>", 1), ("<pad>", 2)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=special)
    return tokenizer


def windows(tokenizer: PreTrainedTokenizerFast, text: str, length: int, **layout: object) -> list[list[int]]:
    plan = plan_batches(text_set([text]), tokenizer, Layout(2048, window=length, **layout))
    pieces = sorted((text for batch in plan.batches for text in batch), key=lambda text: text.index)
    return [list(piece.tokens) for piece in pieces]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(["$A", "<s> $A", "<s> <pad> $A </s>", "$A </s>"]),
    st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3),
    st.integers(4, 40),
)
def test_each_window_begins_and_ends_as_a_text_does(single: str, sentences: list[str], length: int) -> None:
    tokenizer, text = with_special_tokens(single), " ".join(sentences)
    names = single.split()
    before = tokenizer.convert_tokens_to_ids(names[: names.index("$A")])
    after = tokenizer.convert_tokens_to_ids(names[names.index("$A") + 1 :])
    own, step = TOKENIZER(text).input_ids, length - len(before) - len(after)
    expected = [[*before, *own[start : start + step], *after] for start in range(0, len(own) - step + 1, step)]
    assert windows(tokenizer, text, length) == expected
    assert windows(tokenizer, text, length, special_tokens=False) == windows(TOKENIZER, text, length)


def test_a_window_has_room_for_a_text_beside_special_tokens() -> None:
    tokenizer = with_special_tokens("<s> $A </s>")
    assert len(windows(tokenizer, SENTENCES[0], 3)) == len(TOKENIZER(SENTENCES[0]).input_ids)
    with pytest.raises(SettingsError, match="a window of 2 tokens has no room for text next to 2 special tokens"):
        windows(tokenizer, SENTENCES[0], 2)


def test_a_text_that_is_cut_is_its_first_ids_and_loses_what_the_tokenizer_puts_at_its_end() -> None:
    tokenizer = with_special_tokens("<s> $A </s>")
    whole = tokenizer(SENTENCES[0]).input_ids
    assert (whole[0], whole[-1]) == (0, 1)
    for longest in (len(whole) - 1, 10):
        ((text,),) = plan_batches(text_set([SENTENCES[0]]), tokenizer, Layout(longest)).batches
        assert (list(text.tokens), text.is_cut) == (whole[:longest], True)
    ((text,),) = plan_batches(text_set([SENTENCES[0]]), tokenizer, Layout(len(whole))).batches
    assert (list(text.tokens), text.is_cut) == (whole, False)
    ((text,),) = plan_batches(text_set([SENTENCES[0]]), tokenizer, Layout(2048, special_tokens=False)).batches
    assert list(text.tokens) == whole[1:-1]


def test_texts_that_are_too_long_can_be_left_out() -> None:
    texts = text_set([*SENTENCES, "many words " * 10_000])
    plan = plan_batches(texts, TOKENIZER, Layout(30, batch=100, skip_overlong=True))
    lengths = {f"id{n}": len(TOKENIZER(sentence).input_ids) for n, sentence in enumerate(SENTENCES)}
    assert plan.cut == 0
    assert {text.id for batch in plan.batches for text in batch} == {one for one, n in lengths.items() if n <= 30}
    assert {text.reason for text in plan.unusable} == {"longer than 30 tokens"}
    assert {text.id: text.n_tokens for text in plan.unusable} == {
        **{one: n for one, n in lengths.items() if n > 30},
        "id8": None,  # so long that the rest was not encoded
    }


def conversation(*contents: str) -> Text:
    roles = ("user", "assistant") * len(contents)
    messages = tuple({"role": role, "content": said} for role, said in zip(roles, contents, strict=False))
    return Text("c", "\n\n".join(contents), messages)


def chat_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = with_special_tokens("<s> $A")
    tokenizer.chat_template = (
        "{% if messages[0].role != 'user' %}{{ raise_exception('the user begins') }}{% endif %}"
        "<s>{% for message in messages %}{{ message.role }}: {{ message.content }}</s>{% endfor %}"
    )
    return tokenizer


def test_a_conversation_is_written_by_the_chat_template_with_its_special_tokens_alone() -> None:
    tokenizer = chat_tokenizer()
    texts = TextSet("set", "here", (conversation("Why?", "Because it is so."), Text("t", "plain")))
    planned = {
        text.id: list(text.tokens) for batch in plan_batches(texts, tokenizer, Layout(99)).batches for text in batch
    }
    template = tokenizer.apply_chat_template(list(texts.texts[0].messages), return_dict=False)
    assert planned["c"] == template
    assert template.count(0) == 1
    assert planned["t"] == tokenizer("plain").input_ids
    plan = plan_batches(texts, tokenizer, Layout(99, window=8))
    assert {text.tokens[0] for batch in plan.batches for text in batch} == {0}


def test_messages_that_the_template_does_not_take() -> None:
    wrong = replace(conversation("Why?"), messages=({"role": "system", "content": "Why?"},))
    texts = TextSet("set", "here", (wrong, Text("t", "plain text")))
    with pytest.raises(
        DataError, match="set, text c: the chat template does not accept these messages: the user begins"
    ):
        plan_batches(texts, chat_tokenizer(), Layout(99))
    plan = plan_batches(texts, chat_tokenizer(), Layout(99, on_bad_row="skip"))
    assert [(text.id, text.reason) for text in plan.unusable] == [
        ("c", "the chat template does not accept these messages: the user begins")
    ]


def test_the_fingerprint_follows_tokens_and_batches() -> None:
    one, other = (plan_batches(text_set(list(SENTENCES)), TOKENIZER, Layout(2048, batch=n)) for n in (60, 200))
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == plan_batches(text_set(list(SENTENCES)), TOKENIZER, Layout(2048, batch=60)).fingerprint


def test_a_part_of_a_plan_keeps_the_numbers_of_its_batches() -> None:
    texts = TextSet(
        "d", "here", tuple(Text(str(n), "a b c d " * (n + 1)) for n in range(4)), (SkippedText("x", "bad"),)
    )
    plan = plan_batches(texts, tiny_tokenizer(), Layout(50, batch=20))
    count = len(plan.batches)
    part = plan.only({1})
    assert [len(batch) for batch in part.batches] == [len(plan.batches[1]) if n == 1 else 0 for n in range(count)]
    assert part.batches[1] == plan.batches[1]
    assert part.unusable == ()
    assert plan.only({count}).unusable == plan.unusable
    assert plan.only(range(count + 1)) == plan
