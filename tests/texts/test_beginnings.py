from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from rankscope.texts.beginnings import Beginnings
from tiny import SENTENCES, tiny_tokenizer


def _trained(tokenizer: Tokenizer, trainer: trainers.Trainer) -> PreTrainedTokenizerFast:
    tokenizer.train_from_iterator([*SENTENCES, "  two  spaces\n\n and lines\t1234567 12,345 你好，世界 naïve"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


def sentencepiece_bpe() -> PreTrainedTokenizerFast:
    """As Llama 2: no pre-tokenizer, so that merges see the whole text."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    pieces = Tokenizer(models.BPE(unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    _trained(pieces, trainers.BpeTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False))
    tokenizer.model = pieces.model
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


def unigram() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    special = {"special_tokens": ["[UNK]"], "unk_token": "[UNK]"}
    return _trained(tokenizer, trainers.UnigramTrainer(vocab_size=150, show_progress=False, **special))


def word_piece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[CLS]", "[SEP]"]
    trained = _trained(
        tokenizer, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    trained.backend_tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return trained


def digits_in_threes() -> PreTrainedTokenizerFast:
    """As Llama 3: digits by threes, white space by a look-ahead."""
    tokenizer = Tokenizer(models.BPE())
    pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))


TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "byte-level": tiny_tokenizer,
    "digits in threes": digits_in_threes,
    "sentencepiece BPE": sentencepiece_bpe,
    "unigram": unigram,
    "word piece": word_piece,
}
WORDS = st.sampled_from(
    [*SENTENCES, "1234567", "  ", "\n\n", " \n\t ", "你好，世界。", "naïve", "x" * 150, "<s>", "!?\n", "\u0301", "Σ"]
)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_first_ids_are_those_of_the_whole_text(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    beginnings = Beginnings(tokenizer, shortest=64)
    shortened = 0

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(WORDS, min_size=30, max_size=120), st.sampled_from([" ", "", "  ", "\n"]), st.integers(1, 40))
    def check(words: list[str], between: str, enough: int) -> None:
        nonlocal shortened
        text = between.join(words) * 3
        for special_tokens in (True, False):
            ids = beginnings.of(text, enough, special_tokens=special_tokens)
            if ids is not None:
                shortened += 1
                assert ids == tokenizer(text, add_special_tokens=special_tokens).input_ids[:enough]

    check()
    assert shortened > 20


def test_tokens_that_reach_over_spaces_are_not_cut_at_them() -> None:
    """As in SuperBPE: the end of a text can change all ids before it."""
    vocabulary = {token: number for number, token in enumerate(["[UNK]", "▁", "a", "a▁", "▁a", "a▁a"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("a", "▁"), ("▁", "a"), ("a▁", "a")], unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    assert Beginnings(fast, shortest=64).of("a a " * 5000, 10, special_tokens=True) is None


def test_what_cannot_be_shown_is_left_to_the_tokenizer() -> None:
    beginnings = Beginnings(tiny_tokenizer(), shortest=64)
    assert beginnings.of("abc" * 5000, 10, special_tokens=True) is None  # nowhere to cut
    assert beginnings.of("short text " * 20, 10, special_tokens=True) is None  # not long
    assert beginnings.of(" " * 50_000 + "a", 10, special_tokens=True) is None

    class Slow:
        is_fast = False

    assert Beginnings(Slow(), shortest=64).of("short text " * 2000, 10, special_tokens=True) is None


def test_a_text_that_is_hardly_longer_than_enough_is_encoded_whole() -> None:
    tokenizer = tiny_tokenizer()
    text = "word " * 2000
    count = len(tokenizer(text).input_ids)
    assert Beginnings(tokenizer, shortest=64).of(text, count - 1, special_tokens=True) is None
