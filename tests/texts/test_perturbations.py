from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.errors import SettingsError
from rankscope.settings import Perturbation
from rankscope.texts import Text, TextSet, changed_texts, reorder_tokens
from rankscope.texts.perturbations import reorder_words

OF_WORDS = [name for name in get_args(Perturbation) if name.startswith("words-")]
OF_TOKENS = [name for name in get_args(Perturbation) if name.startswith("tokens-")]


@given(st.text(alphabet="ab \n\t"), st.sampled_from(OF_WORDS))
def test_words_are_the_same_and_white_space_stays(text: str, perturbation: Perturbation) -> None:
    changed = reorder_words(text, perturbation, "name")
    assert sorted(changed.split()) == sorted(text.split())
    assert "".join(c if c.isspace() else "" for c in changed) == "".join(c if c.isspace() else "" for c in text)


@given(st.lists(st.integers(0, 9)), st.sampled_from(OF_TOKENS))
def test_tokens_are_the_same_and_special_ones_stay(ids: list[int], perturbation: Perturbation) -> None:
    changed = reorder_tokens(ids, perturbation, "name", {0, 1})
    assert sorted(changed) == sorted(ids)
    assert [(place, token) for place, token in enumerate(changed) if token < 2] == [
        (place, token) for place, token in enumerate(ids) if token < 2
    ]


def test_reversed_is_reversed_and_a_shuffle_is_the_texts_own() -> None:
    assert reorder_words("one two  three", "words-reversed", "x") == "three two  one"
    assert reorder_tokens([0, 5, 6, 7, 1], "tokens-reversed", "x", {0, 1}) == [0, 7, 6, 5, 1]
    ids = list(range(50))
    shuffled = reorder_tokens(ids, "tokens-shuffled", "x", ())
    assert shuffled == reorder_tokens(ids, "tokens-shuffled", "x", ())
    assert shuffled != reorder_tokens(ids, "tokens-shuffled", "y", ())
    assert reorder_tokens(ids, "tokens-shuffled-reversed", "x", ()) == shuffled[::-1]


@pytest.mark.parametrize(
    ("prefix", "perturbation", "expected"),
    [
        (None, None, "a b"),
        ("Say:", None, "Say: a b"),
        ("Say:", "words-reversed", "Say: b a"),
        (None, "tokens-reversed", "a b"),
    ],
)
def test_a_prefix_stays_in_front(prefix: str | None, perturbation: Perturbation | None, expected: str) -> None:
    texts = TextSet("data", "source", (Text("0", "a b"),))
    assert changed_texts(texts, prefix, perturbation).texts == (Text("0", expected),)


CHINESE = "有效秩衡量表示的维数。矩阵熵是谱的熵。"


@pytest.mark.parametrize("perturbation", OF_WORDS)
def test_an_order_of_words_is_refused_where_nothing_sets_them_apart(perturbation: Perturbation) -> None:
    texts = TextSet("news", "source", (Text("a", "one two"), Text("b", CHINESE), Text("c", CHINESE)))
    instead = perturbation.replace("words", "tokens")
    with pytest.raises(
        SettingsError, match=rf"2 of 3 texts of news .*the first: b\): .*tokens instead, with {instead}$"
    ):
        changed_texts(texts, None, perturbation)
    for other in (None, *OF_TOKENS):
        assert changed_texts(texts, "Read:", other).texts[1].text == f"Read: {CHINESE}"
        assert changed_texts(texts, "Read:", other).remarks == ()


def test_one_text_in_a_hundred_is_said_and_two_are_refused() -> None:
    hundred = [Text(str(number), f"one two {number}") for number in range(100)]
    one = changed_texts(TextSet("web", "source", (*hundred[1:], Text("zh", CHINESE))), None, "words-reversed")
    assert one.texts[-1].text == CHINESE
    assert one.texts[0].text == "1 two one"
    (remark,) = one.remarks
    assert remark.startswith("web: words could not be reordered")
    assert remark.endswith("in 1 of 100 texts: zh")
    two = TextSet("web", "source", (*hundred[2:], Text("zh", CHINESE), Text("ja", CHINESE)))
    with pytest.raises(SettingsError, match="2 of 100 texts"):
        changed_texts(two, None, "words-reversed")
