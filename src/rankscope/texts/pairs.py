"""Loads pairs of an image and a text: images, instructions and responses of a data reference.

Rows come from JSON lines, JSON, CSV or Parquet files, a folder of images, a hub data set, or the generated
`drawn-scenes`. Two published shapes are recognised by their fields: LLaVA's `conversations` (the first exchange is
used) and MiniGPT-4's `image_id` with a `caption`. No image is opened here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from rankscope.errors import DataError, UnknownNameError
from rankscope.file_digests import default_digest_cache
from rankscope.names import valid_text
from rankscope.texts.drawn_scenes import INSTRUCTION, draw, scenes
from rankscope.texts.files import read_path, read_text
from rankscope.texts.hub import HubRows, HubSource, read_hub
from rankscope.texts.images import SUFFIXES, ImageSource, LaterImage, is_file
from rankscope.texts.reference import HUB_ID, is_path
from rankscope.texts.rows import LocatedRow, Row, own_id, text_at, value_at

DRAWN_SCENES = "drawn-scenes"
_DRAWN = 200
_READERS = 8
_PLACEHOLDER = "<image>"
_ID_FIELDS = ("id", "image_id", "question_id", "uid")


@dataclass(frozen=True)
class PairFields:
    """Where the parts of a pair are.

    Attributes:
        images: the folder that image paths are relative to; None for the data file's folder.
        image: the field with the image: a file name, or the image itself in a hub data set.
        instruction: the field with the instruction, in rows that have one.
        response: the field with the response.
        prompt: the instruction of all pairs, for data without instructions.
        split: the split of a hub data set.
    """

    images: Path | None = None
    image: str = "image"
    instruction: str = "instruction"
    response: str = "response"
    prompt: str = ""
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One item: the data set's own id or the row number, an image that is not opened yet, and a text in two parts."""

    id: str
    image: ImageSource
    instruction: str
    response: str


@dataclass(frozen=True)
class PairSet:
    """The pairs of one data set.

    Attributes:
        name: the data set's name in results.
        source: description of where the pairs came from.
        pairs: the pairs in order.
    """

    name: str
    source: str
    pairs: tuple[Pair, ...]

    @property
    def fingerprint(self) -> str:
        """sha256 over ids, texts and image files, without decoding them."""
        digest = hashlib.sha256()
        images = _contents([pair.image for pair in self.pairs])
        for pair, image in zip(self.pairs, images, strict=True):
            for part in (pair.id, pair.instruction, pair.response, image):
                encoded = part.encode("utf-8", "surrogatepass")
                digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()


def load_pairs(text: str, fields: PairFields, *, limit: int | None = None) -> PairSet:
    """Reads a data set's pairs in order.

    Args:
        text: a data file, a folder of images, a hub id, or `drawn-scenes`.
        fields: where the parts of a pair are.
        limit: read only the first `limit` rows.

    Raises:
        DataError: the data do not exist or have no rows, or a row lacks the fields.
        UnknownNameError: the reference is neither a path nor a known name.
    """
    if text == DRAWN_SCENES and not Path(text).exists():
        pairs = _drawn(limit or _DRAWN)
        return PairSet(text, f"{len(pairs)} scenes drawn on this machine", pairs)
    if fields.images is not None and not fields.images.is_dir():
        raise DataError(f"folder of images not found: {fields.images}")
    rows, images = _rows(text, fields)
    read = _reader(fields, images)
    ids: list[str] = []
    found: list[tuple[ImageSource, str, str]] = []
    for place, (where, row) in enumerate(islice(rows, limit)):
        try:
            image, instruction, response = read(row)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if isinstance(image, bytes) and isinstance(rows, HubRows):
            image = _fetched_again(rows, place, fields.image, image)
        ids.append(own_id(row, _ID_FIELDS) or str(place))
        found.append((image, instruction, response))
    if not found:
        raise DataError(f"{text} has no rows: is the data set empty?")
    if len(set(ids)) < len(ids):
        ids = [str(place) for place in range(len(ids))]
    pairs = tuple(Pair(own, *parts) for own, parts in zip(ids, found, strict=True))
    return PairSet(valid_text(Path(text).name if Path(text).exists() else text), text, pairs)


def _rows(text: str, fields: PairFields) -> tuple[Iterable[LocatedRow], Path]:
    path = Path(text)
    if path.is_dir() and not any((path / name).is_file() for name in ("dataset_info.json", "metadata.jsonl")):
        return _image_folder(path), fields.images or path
    if path.is_dir() and (path / "metadata.jsonl").is_file():
        return read_path(path / "metadata.jsonl"), fields.images or path
    if path.exists():
        return read_path(path), fields.images or path.parent
    if not is_path(text) and (match := HUB_ID.fullmatch(text)):
        source = HubSource(match["repository"], match["config"], fields.split, match["revision"])
        return read_hub(source), fields.images or Path()
    if "/" in text or path.suffix:
        raise DataError(f"data file not found: {text}")
    raise UnknownNameError("data set of images and texts", text, [DRAWN_SCENES])


def _image_folder(folder: Path) -> Iterator[LocatedRow]:
    """Images of a folder, each with the text file of the same name."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"no images in {folder}: expected {', '.join(SUFFIXES)} files")
    for file in files:
        text = file.with_suffix(".txt")
        if not text.is_file():
            raise DataError(f"no text for {file}: expected {text.name} next to it, or a metadata.jsonl in the folder")
        row = {"id": file.name, "image": file.name, "response": read_text(text).strip()}
        yield LocatedRow(str(file), row)


def _reader(fields: PairFields, images: Path) -> Callable[[Row], tuple[ImageSource, str, str]]:
    def read(row: Row) -> tuple[ImageSource, str, str]:
        if "conversations" in row:
            instruction, response = _first_exchange(row)
            return _image(row, fields.image, images), instruction, response
        if "caption" in row and "image_id" in row and fields.image not in row:
            return images / f"{row['image_id']}.jpg", fields.prompt, text_at(row, "caption")
        where = "file_name" if fields.image not in row and "file_name" in row else fields.image
        instruction = text_at(row, fields.instruction) if _has(row, fields.instruction) else fields.prompt
        return _image(row, where, images), instruction, text_at(row, fields.response)

    return read


def _first_exchange(row: Row) -> tuple[str, str]:
    turns = value_at(row, "conversations")
    if not isinstance(turns, list):
        raise DataError(f"conversations must be a list of {{from, value}}, got {type(turns).__name__}")
    said = [(turn.get("from"), turn.get("value")) for turn in turns if isinstance(turn, dict)]
    human = next((value for who, value in said if who == "human"), "")
    model = next((value for who, value in said if who == "gpt"), "")
    if not isinstance(human, str) or not isinstance(model, str):
        raise DataError("conversations must be a list of {from, value} with strings, got other values")
    return human.replace(_PLACEHOLDER, "").strip(), model


def _image(row: Row, field: str, images: Path) -> ImageSource:
    value = value_at(row, field)
    if isinstance(value, dict):  # an undecoded image of the datasets library
        content, name = value.get("bytes"), value.get("path")
        if isinstance(content, bytes) and content:
            return content
        value = name if name or not content else value
    if value is None or value == "":
        return None
    if isinstance(value, (str, int)):
        return images / str(value)
    raise DataError(f"field {field!r} holds {type(value).__name__}, not an image or a file name")


def _fetched_again(rows: HubRows, place: int, field: str, content: bytes) -> LaterImage:
    """An image of a hub data set that is fetched on demand instead of being kept in memory."""
    return LaterImage(hashlib.sha256(content).hexdigest(), lambda: rows[place].row[field]["bytes"])


def _has(row: Row, field: str) -> bool:
    return field.partition(".")[0] in row or field in row


def _drawn(count: int) -> tuple[Pair, ...]:
    return tuple(
        Pair(str(seed), LaterImage("drawn", partial(draw, scene, seed)), INSTRUCTION, scene.caption)
        for seed, scene in islice(scenes(held_out=True), count)
    )


def _contents(images: Sequence[ImageSource]) -> list[str]:
    """Strings that identify the images; for a file, the digest of its content, regardless of its name."""
    files = sorted({image for image in images if isinstance(image, Path) and is_file(image)})
    with ThreadPoolExecutor(_READERS) as pool:
        digests = dict(zip(files, pool.map(_digest, files), strict=True))
    return [_content(image, digests) for image in images]


def _content(image: ImageSource, digests: Mapping[Path, str]) -> str:
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    if isinstance(image, Path):
        return digests.get(image, "missing")
    return image.identity if image is not None else "none"


def _digest(file: Path) -> str:
    try:
        return default_digest_cache().digest(file)
    except OSError:
        return "unreadable"  # the pair is skipped; the fingerprint changes once the file can be read
