from __future__ import annotations

import pytest

from rankscope.errors import DataError
from rankscope.texts.rows import own_id, render_field, render_template, text_at, value_at

ROW = {
    "text": "plain",
    "a.b": "a dotted name",
    "question": {"stem": "Why?", "choices": [{"text": "yes"}, {"text": "no"}]},
    "choices": {"text": ["x", "y"]},
    "number": 3,
    "share": 0.5,
    "missing": None,
    "flag": True,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("text", "plain"),
        ("a.b", "a dotted name"),
        ("question.stem", "Why?"),
        ("question.choices.1.text", "no"),
        ("choices.text.0", "x"),
        ("missing", ""),
    ],
)
def test_paths(path: str, value: str) -> None:
    assert text_at(ROW, path) == value
    assert render_field(path)(ROW) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("txt", "no field 'txt': did you mean text"),
        ("question.stam", "did you mean stem"),
        ("choices.text.2", "is not a field of list"),
        ("text.upper", "is not a field of str"),
        ("number", "holds int, not text"),
        ("question", "holds dict, not text: use the path of the text inside it"),
    ],
)
def test_what_is_not_there_or_no_text(path: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        text_at(ROW, path)


def test_half_of_a_character_is_no_text() -> None:
    for render in (render_field("text"), render_template("{text}!")):
        assert render({"text": "\U0001f600"}).startswith("\U0001f600")
        with pytest.raises(DataError, match="a lone surrogate"):
            render({"text": "half \ud83d"})


def test_templates() -> None:
    render = render_template("{question.stem} {choices.text.0}{{{number}}} {share}{missing}")
    assert render(ROW) == "Why? x{3} 0.5"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{question", "malformed"),
        ("no field at all", "names no field"),
        ("{number:>10000000000}", "cannot have a format"),
        ("{text!r}", "cannot have a format"),
    ],
)
def test_malformed_templates(template: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        render_template(template)


@pytest.mark.parametrize("template", ["{text.__class__}", "{__builtins__}", "{question[stem]}", "{flag}", "{}{text}"])
def test_a_template_reaches_nothing_but_fields(template: str) -> None:
    with pytest.raises(DataError):
        render_template(template)(ROW)


def test_a_value_may_be_none_at_the_end_only() -> None:
    with pytest.raises(DataError, match="is not a field of NoneType"):
        value_at(ROW, "missing.deeper")


@pytest.mark.parametrize(
    ("row", "own"),
    [
        ({"id": "a", "uid": "b"}, "a"),
        ({"uid": 7, "text": "x"}, "7"),
        ({"id": "", "qID": "q"}, "q"),
        ({"id": True}, None),
        ({"id": 0}, "0"),
        ({"id": 1.5, "text": "x"}, None),
        ({"id": "\udc80"}, "?"),
    ],
)
def test_a_rows_own_id(row: dict, own: str | None) -> None:
    assert own_id(row) == own


def test_own_ids_are_looked_for_in_the_fields_that_are_named() -> None:
    assert own_id({"id": 1, "image_id": 2}, ("image_id", "id")) == "2"
