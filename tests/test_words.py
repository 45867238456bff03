from __future__ import annotations

import pytest

from rankscope.words import in_a_list, ordinal


@pytest.mark.parametrize(
    ("items", "words"), [(["a"], "a"), (["a", 2], "a and 2"), (iter("abc"), "a, b and c"), ("abcd", "a, b, c and d")]
)
def test_lists(items: object, words: str) -> None:
    assert in_a_list(items) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"),
     (22, "22nd"), (100, "100th"), (111, "111th"), (123, "123rd")],
)  # fmt: skip
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words
