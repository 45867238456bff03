"""Where weights come from: a hub id, a folder or a GGUF file, each with an optional revision."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rankscope.errors import ModelError
from rankscope.models.checkpoints import tokenizer_above
from rankscope.models.pico import TOKENIZER, pico_folder
from rankscope.models.pico_vlm import pico_vlm_folder
from rankscope.names import valid_text

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
# Models whose page names another one's tokenizer, by the beginning of their ids.
_TOKENIZERS = {"apple/OpenELM-": "meta-llama/Llama-2-7b-hf"}
_HUB_GGUF = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)/(?P<file>[\w./-]+\.gguf)", re.ASCII)


@dataclass(frozen=True)
class ModelReference:
    """A model reference, parsed.

    Attributes:
        text: as it was given; the model's name in results.
        kind: `hub` or `folder`.
        location: the hub id, or the folder's path.
        revision: branch, tag or commit of a hub model.
        gguf_file: the file inside the location, where the weights are in GGUF.
        tokenizer_location: where the tokenizer is, if not beside the weights.
    """

    text: str
    kind: Literal["hub", "folder"]
    location: str
    revision: str | None = None
    gguf_file: str | None = None
    tokenizer_location: str | None = None

    @property
    def label(self) -> str:
        """A short name for tables: the last part of a path, all of a hub id."""
        if self.kind == "hub" or (self.tokenizer_location and not self.has_tokenizer_above):
            return self.text
        return valid_text(
            self.gguf_file.removesuffix(".gguf") if self.gguf_file else Path(self.location).resolve().name
        )

    @property
    def has_tokenizer_above(self) -> bool:
        """Whether this is a checkpoint whose tokenizer is in the folder above, once for all checkpoints."""
        above = str(Path(self.location).resolve().parent)
        return self.kind == "folder" and self.tokenizer_location == above


def parse_model_reference(text: str) -> ModelReference:
    """Reads `owner/name`, `folder`, `file.gguf` or `owner/name/file.gguf`, each with `@revision`; or `pico`.

    A path that exists wins over a hub id of the same spelling. The revision of a folder is a
    checkpoint inside it: `run@checkpoint-500` is `run/checkpoint-500`.

    Raises:
        ModelError: no such folder or file, or neither a path nor a hub id.
        UnknownNameError: no such member of the pico family.
    """
    found = _parsed(text)
    return replace(found, text=valid_text(text))


def _parsed(text: str) -> ModelReference:
    if Path(text).exists():
        return _local(text, Path(text))
    if folder := pico_vlm_folder(text) or pico_folder(text):
        return ModelReference(text, "folder", str(folder), tokenizer_location=str(TOKENIZER))
    location, _, revision = text.rpartition("@") if "@" in text else (text, "", "")
    if revision and Path(location).exists():
        return _checkpoint(text, Path(location), revision)
    if text.startswith(("/", "./", "../", "~")) or (text.count("/") > 1 and ".gguf" not in text):
        raise ModelError(f"no such model folder or file: {text}")
    if match := _HUB_GGUF.fullmatch(location):
        return ModelReference(text, "hub", match["repository"], revision or None, match["file"])
    if location.endswith(".gguf"):
        raise ModelError(f"no such GGUF file: {location}")
    if _HUB_ID.fullmatch(location):
        tokenizer = next((there for start, there in _TOKENIZERS.items() if location.startswith(start)), None)
        return ModelReference(text, "hub", location, revision or None, tokenizer_location=tokenizer)
    raise ModelError(f"a model is a hub id (owner/name), a folder or a .gguf file, got {text!r}: no such file")


def _local(text: str, path: Path) -> ModelReference:
    if valid_text(str(path)) != str(path):
        raise ModelError(f"the path {valid_text(str(path))} is not UTF-8, and tokenizers cannot open it: rename it")
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{path} is not a model folder: it holds no config.json")
        above = tokenizer_above(path)
        return ModelReference(text, "folder", str(path), tokenizer_location=None if above is None else str(above))
    if path.suffix != ".gguf":
        raise ModelError(f"{path} is a file of another kind: a model is a folder with config.json, or a .gguf file")
    return ModelReference(text, "folder", str(path.parent), gguf_file=path.name)


def _checkpoint(text: str, folder: Path, revision: str) -> ModelReference:
    if not (folder / revision).is_dir():
        inside = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        raise ModelError(f"{folder} holds no checkpoint {revision!r}; folders there: {', '.join(inside) or 'none'}")
    return _local(text, folder / revision)
