"""Where weights come from: a hub id, a folder or a GGUF file, optionally with a revision or an adapter."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rankscope.errors import ModelError
from rankscope.models.adapters import ADAPTER_SETTINGS, base_of, read_adapter_settings
from rankscope.models.checkpoints import tokenizer_above
from rankscope.models.gguf import name_without_part
from rankscope.models.pico import TOKENIZER, pico_folder
from rankscope.models.pico_vlm import pico_vlm_folder
from rankscope.names import valid_text

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
# Models whose hub page refers to another model's tokenizer, by the beginning of their ids.
_TOKENIZERS = {"apple/OpenELM-": "meta-llama/Llama-2-7b-hf"}
_FULL_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin")
_HUB_GGUF = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)/(?P<file>[\w./-]+\.gguf)", re.ASCII)


@dataclass(frozen=True)
class ModelReference:
    """A parsed model reference.

    Attributes:
        text: as given; the model's name in results.
        kind: `hub` or `folder`.
        location: the hub id, or the folder's path.
        revision: branch, tag or commit of a hub model.
        gguf_file: the file at the location, if the weights are in GGUF.
        tokenizer_location: where the tokenizer is, if not next to the weights.
        adapter: a PEFT adapter to merge into the weights.
        from_cache: the hub does not answer, so only files that were downloaded earlier are used.
    """

    text: str
    kind: Literal["hub", "folder"]
    location: str
    revision: str | None = None
    gguf_file: str | None = None
    tokenizer_location: str | None = None
    adapter: ModelReference | None = None
    from_cache: bool = False

    @property
    def label(self) -> str:
        """A short name for tables: the last part of a path, a whole hub id, or `base+adapter` for both."""
        if self.adapter is not None:
            base, _ = _halves(self.text)
            return f"{parse_model_reference(base).label}+{self.adapter.label}" if base else self.adapter.label
        if self.kind == "hub" or (self.tokenizer_location and not self.has_tokenizer_above):
            return self.text
        if self.gguf_file:
            return valid_text(name_without_part(self.gguf_file).removesuffix(".gguf"))
        return valid_text(Path(self.location).resolve().name)

    @property
    def has_tokenizer_above(self) -> bool:
        """Whether this is a checkpoint whose tokenizer is in the parent folder, shared by all checkpoints."""
        above = str(Path(self.location).resolve().parent)
        return self.kind == "folder" and self.tokenizer_location == above


def parse_model_reference(text: str) -> ModelReference:
    """Parses `owner/name`, `folder`, `file.gguf` or `owner/name/file.gguf`, each with `@revision`; or `pico`.

    An existing path takes precedence over a hub id of the same spelling. The revision of a folder is a
    checkpoint inside it: `run@checkpoint-500` is `run/checkpoint-500`. `BASE+ADAPTER` is a model with a PEFT
    adapter; a folder that holds only an adapter is combined with the base named in its settings.

    Raises:
        ModelError: no such folder or file, or neither a path nor a hub id.
        UnknownNameError: no such member of the pico family.
    """
    found = _parsed(text)
    return replace(found, text=valid_text(text))


def _parsed(text: str) -> ModelReference:
    if Path(text).exists():
        return _local(text, Path(text))
    base, adapter = _halves(text)
    if base:
        found = parse_model_reference(base)
        if found.adapter is not None:
            raise ModelError(f"{text}: {base} already has an adapter; only one can be applied, so merge that one first")
        return replace(found, text=text, adapter=_adapter(adapter))
    if folder := pico_vlm_folder(text) or pico_folder(text):
        return ModelReference(text, "folder", str(folder), tokenizer_location=str(TOKENIZER))
    location, _, revision = text.rpartition("@") if "@" in text else (text, "", "")
    if revision and Path(location).exists():
        return _checkpoint(text, Path(location), revision)
    if text.startswith(("/", "./", "../", "~")) or (text.count("/") > 1 and ".gguf" not in text):
        raise ModelError(f"model folder or file not found: {text}")
    if match := _HUB_GGUF.fullmatch(location):
        return ModelReference(text, "hub", match["repository"], revision or None, match["file"])
    if location.endswith(".gguf"):
        raise ModelError(f"GGUF file not found: {location}")
    if _HUB_ID.fullmatch(location):
        tokenizer = next((there for start, there in _TOKENIZERS.items() if location.startswith(start)), None)
        return ModelReference(text, "hub", location, revision or None, tokenizer_location=tokenizer)
    raise ModelError(f"a model must be a hub id (owner/name), a folder or a .gguf file, got {text!r}: no such file")


def _local(text: str, path: Path) -> ModelReference:
    if valid_text(str(path)) != str(path):
        raise ModelError(f"the path {valid_text(str(path))} is not UTF-8, so tokenizers cannot open it: rename it")
    if path.is_dir():
        if (path / ADAPTER_SETTINGS).is_file():
            return _with_its_base(text, path)
        if not (path / "config.json").is_file():
            raise ModelError(f"{path} is not a model folder: it has no config.json")
        above = tokenizer_above(path)
        return ModelReference(text, "folder", str(path), tokenizer_location=None if above is None else str(above))
    if path.suffix != ".gguf":
        raise ModelError(f"{path} is not a model: expected a folder with config.json, or a .gguf file")
    return ModelReference(text, "folder", str(path.parent), gguf_file=path.name)


def _with_its_base(text: str, folder: Path) -> ModelReference:
    """An adapter's folder with its base: a path relative to the working directory or the folder, else a hub id."""
    if whole := sorted(path.name for pattern in _FULL_WEIGHTS for path in folder.glob(pattern)):
        raise ModelError(
            f"{folder} has both full weights ({whole[0]}) and an adapter ({ADAPTER_SETTINGS}), so it is ambiguous: "
            "move the adapter to its own folder, and use BASE+ADAPTER to combine them"
        )
    settings = read_adapter_settings(folder / ADAPTER_SETTINGS)
    named = base_of(settings, str(folder))
    base = str(folder / named) if not Path(named).exists() and (folder / named).exists() else named
    if not Path(base).exists() and not _may_be_a_hub_id(base):
        raise ModelError(f"the base {named!r} of the adapter {folder} was not found: give its path, as BASE+{folder}")
    found = parse_model_reference(base)
    if found.adapter is not None:
        raise ModelError(f"{folder} is an adapter of {named!r}, which is itself an adapter: merge that one first")
    revision = settings.get("revision") if found.kind == "hub" and isinstance(settings.get("revision"), str) else None
    return replace(found, text=text, revision=found.revision or revision, adapter=_adapter(str(folder)))


def _adapter(text: str) -> ModelReference:
    """A reference to an adapter: a folder, a checkpoint in one, or a hub id."""
    location, _, revision = text.rpartition("@") if "@" in text and not Path(text).exists() else (text, "", "")
    if Path(location).is_dir():
        folder = Path(location) / revision if revision else Path(location)
        if not (folder / ADAPTER_SETTINGS).is_file():
            raise ModelError(f"{folder} is not a PEFT adapter: it has no {ADAPTER_SETTINGS}")
        read_adapter_settings(folder / ADAPTER_SETTINGS)
        return ModelReference(text, "folder", str(folder))
    if Path(location).exists() or not _may_be_a_hub_id(location):
        raise ModelError(f"an adapter must be a folder with {ADAPTER_SETTINGS} or a hub id, got {text!r}")
    return ModelReference(text, "hub", location, revision or None)


def _may_be_a_hub_id(text: str) -> bool:
    return _HUB_ID.fullmatch(text) is not None and not text.startswith(("./", "../"))


def _halves(text: str) -> tuple[str, str]:
    """`BASE+ADAPTER` split at the first + with an existing path on both sides, else at the last; or nothing."""
    whole = Path(text).exists() or Path(text.rpartition("@")[0] or text).exists()
    places = [] if whole else [place for place, letter in enumerate(text) if letter == "+"]
    pairs = [(text[:place], text[place + 1 :]) for place in places if 0 < place < len(text) - 1]
    both = [pair for pair in pairs if Path(pair[0]).exists() and Path(pair[1].rpartition("@")[0] or pair[1]).exists()]
    return (both or pairs[-1:] or [("", "")])[0]


def _checkpoint(text: str, folder: Path, revision: str) -> ModelReference:
    if not (folder / revision).is_dir():
        inside = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        raise ModelError(f"{folder} has no checkpoint {revision!r}; available folders: {', '.join(inside) or 'none'}")
    return _local(text, folder / revision)
