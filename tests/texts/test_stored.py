"""Texts that are read from a spool are those that a list would hold, with the same ids and fingerprint."""

from __future__ import annotations

import gc
import hashlib
import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from rankscope import spool
from rankscope.texts import SkippedText, Text, TextSet, changed_texts, load_texts, parse_data_reference, stored
from rankscope.texts.stored import Collector, StoredTexts

TURNS = ({"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So.", "at": 3.5})
CONTENT = st.text(max_size=4) | st.sampled_from(["", " \n", TURNS, ()])
IDS = st.none() | st.sampled_from(["x", "ü", "1", "z"]) | st.text(min_size=1)
ROWS = st.lists(st.tuples(IDS, CONTENT), max_size=12)


def collected(rows: list[tuple[str | None, object]]) -> TextSet:
    """Each third row is bad."""
    found = Collector()
    for number, (own, content) in enumerate(rows):
        if number % 3 == 2:
            found.skip(SkippedText(f"line {number}", "broken"))
        else:
            found.add(own, number, content)
    texts, skipped = found.finish()
    return TextSet("set", "here", texts, skipped)


def listed(rows: list[tuple[str | None, object]]) -> tuple[list[Text], list[SkippedText]]:
    """The same, with everything in lists."""
    bad = [SkippedText(f"line {number}", "broken") for number in range(2, len(rows), 3)]
    good = [(number, own, content) for number, (own, content) in enumerate(rows) if number % 3 != 2]
    ids = [own for _, own, _ in good]
    if None in ids or len(set(ids)) < len(ids):
        ids = [str(number) for number, _, _ in good]
    texts, empty = [], []
    for own, (_, _, content) in zip(ids, good, strict=True):
        text = content if isinstance(content, str) else "\n\n".join(turn["content"] for turn in content)
        if text.strip():
            texts.append(Text(own, text, () if isinstance(content, str) else content))
        else:
            empty.append(SkippedText(own, "empty"))
    return texts, [*bad, *empty]


def fingerprint(texts: list[Text], skipped: list[SkippedText]) -> str:
    """By which existing runs know their texts."""
    digest = hashlib.sha256()
    for text in texts:
        parts = [text.id, text.text, *([json.dumps(text.messages, sort_keys=True)] if text.messages else [])]
        for part in parts:
            digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    for one in skipped:
        for part in ("skipped", one.id, one.reason):
            digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    return digest.hexdigest()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ROWS, st.sampled_from([0, 64 << 20]))
def test_stored_texts_are_those_of_a_list(rows: list[tuple[str | None, object]], in_memory: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "IN_MEMORY", in_memory)
        found, (texts, skipped) = collected(rows), listed(rows)
        assert list(found.texts) == texts
        assert [found.texts[place] for place in range(len(texts))] == texts
        assert found.texts[1:] == tuple(texts[1:])
        assert found.texts == tuple(texts)
        assert list(found.skipped) == skipped
        assert found.fingerprint == fingerprint(texts, skipped)
        assert found.fingerprint == TextSet("a", "tuple", tuple(texts), tuple(skipped)).fingerprint
        again = pickle.loads(pickle.dumps(found.texts))
        assert again == found.texts
        assert TextSet("set", "here", again, found.skipped).fingerprint == found.fingerprint
        assert StoredTexts.of(texts) == found.texts


def test_ids_that_only_hash_alike_still_tell_rows_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "hash", len, raising=False)
    assert [text.id for text in collected([("ab", "a"), ("cd", "b")]).texts] == ["ab", "cd"]
    assert [text.id for text in collected([("ab", "a"), ("ab", "b")]).texts] == ["0", "1"]
    assert [text.id for text in collected([("ab", "a"), ("ab", " ")]).texts] == ["0"]


def living_texts() -> int:
    return sum(type(one) is Text for one in gc.get_objects())


def test_a_large_folder_is_read_without_holding_its_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 1 << 16)
    for part in range(4):
        numbers = range(5000 * part, 5000 * (part + 1))
        table = pa.table({"id": [f"n{n}" for n in numbers], "text": [f"text {n}" for n in numbers]})
        parquet.write_table(table, tmp_path / f"{part}.parquet")
    before = living_texts()
    texts = load_texts(parse_data_reference(str(tmp_path), field="text"))
    reversed_ = changed_texts(texts, "So:", "words-reversed")
    assert living_texts() == before
    assert (len(texts.texts), texts.texts[-1]) == (20_000, Text("n19999", "text 19999"))
    most = 0
    for place, (text, other) in enumerate(zip(texts.texts, reversed_.texts, strict=True)):
        assert (text.text, other.text) == (f"text {place}", f"So: {place} text")
        if place % 5000 == 4999:
            most = max(most, living_texts() - before)
    assert 2 <= most <= 10
