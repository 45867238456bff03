from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pytest

from rankscope.errors import DataError
from rankscope.texts import load_texts, parse_data_reference
from rankscope.texts.stdlib_docs import passages

WORDS = "plain words of prose that go on and on until the paragraph has some length to it and then stop there\n" * 3


def test_paragraphs_of_prose_are_joined_and_code_divides() -> None:
    paragraph = WORDS.strip()
    docstring = "\n\n".join([paragraph, paragraph, ">>> f(x)\n3", paragraph, "x = {1: 2, 3: [4]}", "Too short."])
    assert list(passages(docstring)) == [f"{paragraph}\n\n{paragraph}"]
    assert [len(passage) for passage in passages("\n\n".join([paragraph] * 7))] == [3 * len(paragraph) + 4] * 2


def test_a_hundred_passages_of_many_modules_the_same_each_time() -> None:
    texts = load_texts(parse_data_reference("stdlib-docs"), limit=100)
    assert len({text.text for text in texts.texts}) == len({text.id for text in texts.texts}) == 100
    assert len({text.id.partition(":")[0] for text in texts.texts}) >= 20
    assert all(400 <= len(text.text) <= 1200 for text in texts.texts)
    assert texts.fingerprint == load_texts(parse_data_reference("stdlib-docs"), limit=100).fingerprint
    assert texts.source.startswith("docstrings of the standard library of Python 3.")


def test_passages_stand_in_the_docstrings_that_they_name() -> None:
    for text in load_texts(parse_data_reference("stdlib-docs"), limit=10).texts:
        file = Path(sysconfig.get_path("stdlib")) / text.id.partition(":")[0]
        assert text.text.splitlines()[0].strip() in file.read_text(encoding="utf-8")


def test_it_is_not_read_from_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is generated, not read from files"):
        parse_data_reference(f"stdlib-docs={tmp_path}")


def test_a_python_without_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "module.py").write_text(json.dumps("x" * 500))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(DataError, match="was installed without them"):
        load_texts(parse_data_reference("stdlib-docs"))
    (tmp_path / "broken.py").write_text("def :")
    with pytest.raises(DataError, match="no usable text"):
        load_texts(parse_data_reference("stdlib-docs"))
