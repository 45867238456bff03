from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from rankscope.errors import DataError
from rankscope.texts import load_texts, parse_data_reference
from rankscope.texts.folders import data_files

LINES = "".join(f'{{"text": "text {number}"}}\n' for number in range(12)).encode()


def folder(place: Path, *others: str, **content: bytes) -> Path:
    """Files `a__jsonl=b"..."` as a.jsonl, and others that hold something else."""
    for name, inside in [*content.items(), *((other, b"something else") for other in others)]:
        file = place / name.replace("__", ".", 1) if name in content else place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(inside)
    return place


@pytest.mark.parametrize(
    "others",
    [
        ["LICENSE.txt", "requirements.txt"],
        ["dataset_infos.json"],
        ["._a.jsonl", "__MACOSX/._a.jsonl"],
        ["README.txt", "readme_de.txt", "NOTICE", "Licence-MIT.txt", "CITATION.json", "requirements-dev.txt"],
        ["config.json", "tokenizer_config.json", "dataset_info.json", "metadata.json", "package.json"],
        [".git/config.json", ".cache/x.jsonl", ".DS_Store", "load.py", "a.md5"],
    ],
)
def test_what_is_not_data_is_left_out_and_named(tmp_path: Path, others: list[str]) -> None:
    place = folder(tmp_path, *others, train__jsonl=LINES)
    texts = load_texts(parse_data_reference(str(place), field="text"))
    assert len(texts.texts) == 12
    shown = {f"{name.split('/')[0]}/" if "/" in name else name for name in others}
    assert set(texts.left_out) == shown
    assert all(name in texts.source for name in sorted(shown)[:6])
    assert any(sorted(shown)[0] in remark for remark in texts.remarks)


def test_subfolders_and_compressed_files_are_read_in_the_order_of_their_paths(tmp_path: Path) -> None:
    compressed = pa.compress(b'{"text": "b"}\n', codec="zstd", asbytes=True)
    place = folder(tmp_path, c__jsonl=b'{"text": "c"}\n', a__jsonl=b'{"text": "a"}\n')
    folder(tmp_path / "b", **{"x__jsonl.zst": compressed})
    texts = load_texts(parse_data_reference(str(place), field="text"))
    assert [text.text for text in texts.texts] == ["a", "b", "c"]
    assert texts.source == f"{place} (3 JSON lines files); all"
    assert texts.remarks == ()


def test_two_kinds_of_data_are_an_error_that_names_both(tmp_path: Path) -> None:
    place = folder(tmp_path, a__jsonl=LINES, b__csv=b"text\nx\n")
    with pytest.raises(DataError, match=r"several types of data: JSON lines \(a.jsonl\) and CSV \(b.csv\)"):
        data_files(place)


def test_a_folder_of_text_files_needs_no_field(tmp_path: Path) -> None:
    place = folder(tmp_path, a__txt=b"one\ntwo\n", b__txt=b"three\n")
    assert [text.text for text in load_texts(parse_data_reference(str(place))).texts] == ["one", "two", "three"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    place = folder(tmp_path / "here", a__jsonl=LINES)
    folder(tmp_path / "there", b__jsonl=LINES)
    (place / "elsewhere").symlink_to(tmp_path / "there")
    (place / "again").symlink_to(place)
    content = data_files(place)
    assert [path.name for path in content.files] == ["a.jsonl", "b.jsonl"]
    assert content.left_out == ("again/",)


def test_a_folder_without_data_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data in .* \(ignored: LICENSE.txt\)"):
        data_files(folder(tmp_path, "LICENSE.txt"))
