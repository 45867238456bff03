from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from rankscope.errors import DataError, SettingsError
from rankscope.texts import TextSet, load_texts, parse_data_reference


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(path: Path, field: str = "text", **options) -> TextSet:
    return load_texts(parse_data_reference(str(path), field=field), **options)


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """Fifty rows; every tenth is empty."""
    return write(tmp_path / "a.jsonl", [{"text": "" if n % 10 == 0 else f"text {n}"} for n in range(50)])


def test_all_texts_in_order_and_empty_ones_counted(numbered: Path) -> None:
    texts = load(numbered)
    assert [text.text for text in texts.texts] == [f"text {n}" for n in range(50) if n % 10]
    assert [text.id for text in texts.texts[:2]] == ["1", "2"]
    assert [(skipped.id, skipped.reason) for skipped in texts.skipped] == [
        (f"{n}0".lstrip("0") or "0", "empty") for n in range(5)
    ]
    assert texts.source.endswith("; all")


def test_an_id_with_half_of_a_character_can_be_written(tmp_path: Path) -> None:
    (text,) = load(write(tmp_path / "a.jsonl", [{"id": "a\ud800", "text": "fine"}])).texts
    assert text.id == "a?"


def test_limit_is_the_first_usable_ones(numbered: Path) -> None:
    texts = load(numbered, limit=12)
    assert [text.text for text in texts.texts] == [f"text {n}" for n in range(1, 14) if n != 10]
    assert [skipped.id for skipped in texts.skipped] == ["0", "10"]


def test_limit_stops_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": "fine"}] * 3)
    path.write_text(path.read_text() + "broken")
    assert len(load(path, limit=3).texts) == 3
    with pytest.raises(DataError, match="a.jsonl:4: not JSON"):
        load(path, limit=4)


def test_a_random_sample_is_pythons_own_and_filled_up(numbered: Path) -> None:
    texts = load(numbered, limit=30, sample_seed=7)
    drawn = random.Random(7).sample(range(50), 30)
    usable = [n for n in drawn if n % 10]
    assert [text.id for text in texts.texts][: len(usable)] == [str(n) for n in usable]
    assert len(texts.texts) == len({text.id for text in texts.texts}) == 30
    assert texts == load(numbered, limit=30, sample_seed=7)
    assert texts.texts != load(numbered, limit=30, sample_seed=8).texts
    with pytest.raises(SettingsError, match="--limit N"):
        load(numbered, sample_seed=7)


def test_the_papers_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "wiki.jsonl", [{"text": f"article {n}"} for n in range(10_500)])
    texts = load_texts(parse_data_reference(f"wikipedia={path}"))
    random.seed(123)
    assert [text.id for text in texts.texts] == [str(n) for n in random.sample(range(10_500), 10_000)]
    assert [text.id for text in load_texts(parse_data_reference(f"wikipedia={path}"), limit=3).texts] == ["0", "1", "2"]
    few = write(tmp_path / "few.jsonl", [{"text": f"article {n}"} for n in range(5)])
    assert [text.id for text in load_texts(parse_data_reference(f"wikipedia={few}")).texts] == ["0", "1", "2", "3", "4"]


def test_rows_outside_a_catalogue_definition_are_not_skips(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"context": ""}, {"context": "a"}, {"context": " "}, {"context": "b"}])
    texts = load_texts(parse_data_reference(f"dolly-15k={path}"), limit=2)
    assert [text.text for text in texts.texts] == ["a", "b"]
    assert [skipped.id for skipped in texts.skipped] == ["2"]  # not empty by the definition, but nothing to read


@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        ([{"id": "x", "text": "a"}, {"id": "y", "text": "b"}], ["x", "y"]),
        ([{"qID": "x", "text": "a"}, {"qID": "y", "text": "b"}], ["x", "y"]),
        ([{"uid": 5, "text": "a"}, {"uid": 6, "text": "b"}], ["5", "6"]),
        ([{"id": "x", "text": "a"}, {"id": "x", "text": "b"}], ["0", "1"]),
        ([{"id": "x", "text": "a"}, {"text": "b"}], ["0", "1"]),
        ([{"id": "", "text": "a"}, {"id": "z", "text": "b"}], ["0", "1"]),
    ],
)
def test_ids_are_the_data_sets_own_where_they_tell_rows_apart(tmp_path: Path, rows: list[dict], ids: list[str]) -> None:
    assert [text.id for text in load(write(tmp_path / "a.jsonl", rows)).texts] == ids


def test_a_missing_field_names_the_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": "a"}, {"txt": "b"}])
    with pytest.raises(DataError, match=r"a.jsonl:2: no field 'text': did you mean txt\? available fields: txt"):
        load(path)


def test_bad_rows_can_be_skipped_and_are_counted_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x", "text": "a"}\nbroken\n{"id": "y", "txt": "b"}\n{"id": "z", "text": ""}\n')
    texts = load(path, on_bad_row="skip")
    assert [text.id for text in texts.texts] == ["x"]
    assert [skipped.id for skipped in texts.skipped] == [f"{path}:2", f"{path}:3", "z"]
    assert [skipped.reason.split(":")[0] for skipped in texts.skipped] == ["not JSON", "no field 'text'", "empty"]
    assert texts.remarks[0].startswith(f"a.jsonl: 2 bad rows skipped, the first at {path}:2: not JSON")
    with pytest.raises(DataError, match="a.jsonl:2: not JSON"):
        load(path)


def test_a_sample_draws_rows_by_number_whether_they_are_bad_or_not(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"text {number}"}) for number in range(50)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(rows))
    drawn = [text.id for text in load(path, limit=10, sample_seed=3).texts]
    rows[int(drawn[4])] = "broken"
    path.write_text("\n".join(rows))
    again = [text.id for text in load(path, limit=10, sample_seed=3, on_bad_row="skip").texts]
    assert again[:9] == [one for one in drawn if one != drawn[4]]
    assert len(again) == 10


def test_damage_to_the_whole_file_is_never_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\nfine\n"never closed\n')
    with pytest.raises(DataError, match="never closed"):
        load(tmp_path / "a.csv", on_bad_row="skip")


def test_only_bad_rows_name_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"txt": "a"}, {"text": ""}])
    with pytest.raises(DataError, match=r"no usable text in .* \(1 empty, 1 bad, first .*a.jsonl:1: no field 'text'"):
        load(path, on_bad_row="skip")


def test_no_usable_text_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no usable text in .* \(2 empty\)"):
        load(write(tmp_path / "a.jsonl", [{"text": ""}, {"text": "\n"}]))
    with pytest.raises(DataError, match="an empty data set"):
        load(write(tmp_path / "b.jsonl", []))


def test_the_fingerprint_follows_ids_and_texts(tmp_path: Path) -> None:
    one = load(write(tmp_path / "a.jsonl", [{"text": "ab"}, {"text": "c"}]))
    same = load(write(tmp_path / "b.jsonl", [{"text": "ab"}, {"text": "c"}]))
    other = load(write(tmp_path / "c.jsonl", [{"text": "a"}, {"text": "bc"}]))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    with_empty = load(write(tmp_path / "d.jsonl", [{"text": "ab"}, {"text": "c"}, {"text": " "}]))
    assert with_empty.texts == one.texts
    assert with_empty.fingerprint != one.fingerprint
