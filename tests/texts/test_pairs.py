from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from rankscope.errors import DataError, UnknownNameError
from rankscope.texts import Pair, PairFields, load_pairs, open_image
from rankscope.texts.hub import HubRows

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)


def write(path: Path, rows: Any) -> str:
    lines = path.suffix == ".jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows))
    return str(path)


def test_json_lines_with_fields_of_any_name(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "file": "a/1.jpg", "captions": ["A dog.", "A cat."]},
        {"id": 9, "file": "2.jpg", "captions": ["Sea."]},
    ]
    fields = PairFields(image="file", response="captions.0", prompt="Describe it.")
    pairs = load_pairs(write(tmp_path / "pairs.jsonl", rows), fields)
    assert pairs.pairs == (
        Pair("7", tmp_path / "a/1.jpg", "Describe it.", "A dog."),
        Pair("9", tmp_path / "2.jpg", "Describe it.", "Sea."),
    )
    assert (pairs.name, len(load_pairs(str(tmp_path / "pairs.jsonl"), fields, limit=1).pairs)) == ("pairs.jsonl", 1)


def test_own_instructions_win_over_the_prompt_and_images_may_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    rows = [{"image": "1.jpg", "instruction": "What?", "response": "That."}] * 2
    pairs = load_pairs(write(tmp_path / "p.json", rows), PairFields(images=tmp_path / "pictures", prompt="Never seen."))
    assert pairs.pairs == tuple(Pair(str(n), tmp_path / "pictures/1.jpg", "What?", "That.") for n in range(2))


def test_llava_s_shape_is_its_first_exchange(tmp_path: Path) -> None:
    said = [("human", "What do you see?\n<image>"), ("gpt", "A bus."), ("human", "Its colour?"), ("gpt", "Red.")]
    rows = [{"id": "0001", "image": "bus.jpg", "conversations": [{"from": who, "value": what} for who, what in said]}]
    (tmp_path / "train2017").mkdir()
    pairs = load_pairs(write(tmp_path / "detail_23k.json", rows), PairFields(images=tmp_path / "train2017"))
    assert pairs.pairs == (Pair("0001", tmp_path / "train2017/bus.jpg", "What do you see?", "A bus."),)


def test_minigpt4_s_shape_names_images_by_id(tmp_path: Path) -> None:
    rows = {"annotations": [{"image_id": "2", "caption": "A road."}, {"image_id": "5", "caption": "A hill."}]}
    (tmp_path / "image").mkdir()
    pairs = load_pairs(write(tmp_path / "filter_cap.json", rows), PairFields(images=tmp_path / "image"))
    assert [(pair.id, pair.image, pair.instruction, pair.response) for pair in pairs.pairs] == [
        ("2", tmp_path / "image/2.jpg", "", "A road."),
        ("5", tmp_path / "image/5.jpg", "", "A hill."),
    ]


def test_image_folders(tmp_path: Path) -> None:
    for name in ("b", "a"):
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"Picture {name}.\n")
    pairs = load_pairs(str(tmp_path), PairFields())
    assert [(pair.id, pair.response) for pair in pairs.pairs] == [("a.png", "Picture a."), ("b.png", "Picture b.")]
    write(tmp_path / "metadata.jsonl", [{"file_name": "b.png", "response": "From the list."}])
    assert load_pairs(str(tmp_path), PairFields()).pairs == (Pair("0", tmp_path / "b.png", "", "From the list."),)
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"a\.txt: not UTF-8"):
        load_pairs(str(tmp_path), PairFields())
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DataError, match=r"expected a\.txt next to it"):
        load_pairs(str(tmp_path), PairFields())


def test_hub_images_are_fetched_when_they_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "1.png")
    columns = {"image": [str(tmp_path / "1.png")] * 2, "response": ["One.", "Two."]}
    table = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    stored = table.map(lambda row: row).cast_column("image", datasets.Image(decode=False))
    monkeypatch.setattr("rankscope.texts.pairs.read_hub", lambda _source: HubRows(stored, "image"))
    pairs = load_pairs("owner/name", PairFields()).pairs
    assert [pair.response for pair in pairs] == ["One.", "Two."]
    for pair in pairs:
        assert (np.asarray(open_image(pair.image)) == PIXELS).all()


def test_the_fingerprint_follows_texts_and_images(tmp_path: Path) -> None:
    rows = [{"image": "1.png", "response": "One."}]
    file = write(tmp_path / "p.jsonl", rows)
    missing = load_pairs(file, PairFields()).fingerprint
    Image.fromarray(PIXELS).save(tmp_path / "1.png")
    there = load_pairs(file, PairFields()).fingerprint
    prompted = load_pairs(file, PairFields(prompt="Now?")).fingerprint
    assert len({missing, there, prompted}) == 3
    assert there == load_pairs(file, PairFields()).fingerprint
    image = tmp_path / "1.png"
    before, content = image.stat(), bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(bytes(content))
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert image.stat().st_size == before.st_size
    assert load_pairs(file, PairFields()).fingerprint not in (missing, there, prompted)


def test_a_picture_that_cannot_be_read_is_not_the_same_as_one_that_can(tmp_path: Path) -> None:
    import rankscope.texts.pairs as module

    (tmp_path / "folder.png").mkdir()
    assert module._digest(tmp_path / "folder.png") == "unreadable"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"image": "1.jpg"}], r"p\.jsonl:1: no field 'response'"),
        ([{"response": "x"}], r"p\.jsonl:1: no field 'image'"),
        ([{"image": [1], "response": "x"}], "holds list, not an image"),
        ([{"image": "1.jpg", "conversations": [{"from": "human", "value": 3}]}], "with strings"),
        ([{"image": "1.jpg", "conversations": 3}], "conversations must be a list of .*, got int"),
        ([{"image": {"path": 3.5}, "response": "x"}], "holds float, not an image"),
        ([{"image": {"bytes": "/etc/hostname"}, "response": "x"}], "holds dict, not an image"),
        ([], "no rows"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_pairs(write(tmp_path / "p.jsonl", rows), PairFields())


def test_what_is_not_there(tmp_path: Path) -> None:
    for text in (str(tmp_path / "none.jsonl"), "folder/none.jsonl", "./none", "folder/none.csv.gz"):
        with pytest.raises(DataError, match="data file not found"):
            load_pairs(text, PairFields())
    file = write(tmp_path / "p.jsonl", [{"image": "1.jpg", "response": "x"}])
    with pytest.raises(DataError, match="folder of images not found"):
        load_pairs(file, PairFields(images=tmp_path / "none"))
    Path(file).unlink()
    with pytest.raises(UnknownNameError, match="did you mean drawn-scenes"):
        load_pairs("drawn-scene", PairFields())
    with pytest.raises(DataError, match="no images in"):
        load_pairs(str(tmp_path), PairFields())
