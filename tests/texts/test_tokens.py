from __future__ import annotations

import pytest
from tokenizers.processors import TemplateProcessing

from rankscope.errors import ModelError
from rankscope.texts import Encoder, SpecialTokens, Text, check_chat_template, special_tokens_of
from tiny import SENTENCES, tiny_tokenizer


@pytest.mark.parametrize(
    ("single", "before", "after"),
    [
        ("$A", (), ()),
        ("<s> $A", (0,), ()),
        ("$A </s>", (), (1,)),
        ("<s> <s> $A <pad> </s>", (0, 0), (2, 1)),
    ],
)
def test_special_tokens_are_found_by_encoding(single: str, before: tuple, after: tuple) -> None:
    tokenizer = tiny_tokenizer()
    special = [("<s>", 0), ("</s>", 1), ("<pad>", 2)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=special)
    found = special_tokens_of(tokenizer)
    assert found == SpecialTokens(before, after)
    ids = tokenizer(SENTENCES[0]).input_ids
    assert found.those_of(ids) == found
    assert found.around(found.off(ids)) == ids
    assert list(found.off(ids)) == tokenizer(SENTENCES[0], add_special_tokens=False).input_ids


def test_a_tokenizer_that_changes_more_is_not_guessed_at() -> None:
    class Reversing:
        def __call__(self, text: str, add_special_tokens: bool = True) -> dict:
            return {"input_ids": [*map(ord, text[::-1]), 3, *map(ord, text)] if add_special_tokens else [1, 2]}

    assert special_tokens_of(Reversing()) is None


def test_only_the_special_tokens_that_a_text_has_are_taken_off() -> None:
    around = SpecialTokens((0,), (1,))
    assert around.those_of([0, 5, 6]) == SpecialTokens((0,), ())
    assert around.those_of([5, 1]) == SpecialTokens((), (1,))
    assert SpecialTokens((0,), (0,)).those_of([0]) == SpecialTokens((0,), ())


def test_each_text_is_encoded_as_the_tokenizer_does_it_alone() -> None:
    texts = [Text(str(number), sentence) for number, sentence in enumerate(SENTENCES * 300)]
    read, encoded = zip(*Encoder(tiny_tokenizer()).encode(texts), strict=True)
    assert list(read) == texts
    assert [one.tokens for one in encoded[:8]] == [tiny_tokenizer()(sentence).input_ids for sentence in SENTENCES]
    assert [one.tokens for one in encoded] == [one.tokens for one in encoded[:8]] * 300


def test_a_very_long_text_is_not_encoded_whole() -> None:
    tokenizer = tiny_tokenizer()
    text = " ".join(SENTENCES * 20_000)  # nine million characters
    seen: list[int] = []

    class Watched:
        is_fast, get_vocab = True, tokenizer.get_vocab

        def __call__(self, strings, **options):
            seen.append(len(strings))
            return tokenizer(strings, **options)

    ((_, encoded),) = Encoder(Watched(), enough=100).encode([Text("long", text)])
    assert encoded.tokens == tokenizer(text[:2000]).input_ids[:100]
    assert not encoded.is_whole
    assert max(seen) < 20_000


def test_a_tokenizer_without_a_chat_template_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    with pytest.raises(ModelError, match="the tokenizer of base has no chat template: omit --chat"):
        check_chat_template(tokenizer, "base")
    tokenizer.chat_template = "{{ messages }}"
    check_chat_template(tokenizer, "instruct")


def test_a_call_of_the_tokenizer_takes_so_many_texts_and_so_many_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, calls = tiny_tokenizer(), []

    class Watched:
        def __call__(self, strings, **options):
            calls.append(len(strings))
            return tokenizer(strings, **options)

    monkeypatch.setattr("rankscope.texts.tokens._CHARACTERS_AT_ONCE", 2000)
    texts = [Text(str(number), "short" if number < 2500 else "long " * 150) for number in range(2506)]
    found = Encoder(Watched()).encode(iter(texts))
    assert next(found)[0] == texts[0]
    assert calls == [400]  # the others have not been read yet
    assert [text for text, _ in found] == texts[1:]
    assert calls == [400, 400, 400, 400, 400, 400, 102, 3, 1]
    monkeypatch.undo()
    calls.clear()
    assert len(list(Encoder(Watched()).encode(texts))) == 2506
    assert calls == [1000, 1000, 506]
