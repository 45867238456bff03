"""Resolves what transformers cannot: GGUF models in several parts, and the base of an adapter on the hub."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.errors import ModelError, first_line
from rankscope.hub import reach_hub
from rankscope.models.adapters import ADAPTER_SETTINGS, base_of, read_adapter_settings
from rankscope.models.gguf import (
    GgufHeader,
    gguf_files,
    join_parts,
    name_without_part,
    part_names,
    read_header,
    read_once,
)
from rankscope.models.reference import ModelReference, parse_model_reference

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_gguf_file(reference: ModelReference, *, with_data: bool = True) -> Iterator[ModelReference]:
    """The reference itself; for a GGUF model in several parts, a reference to a temporary joined file.

    In this context, transformers parses the file once.

    Args:
        reference: any.
        with_data: if False, the joined file is suitable only for reading the configuration and the tokenizer.

    Raises:
        ModelError: a part is missing or damaged, or there is not enough space for the joined file.
    """
    if reference.gguf_file is None:
        yield reference
        return
    with read_once():
        if len(part_names(reference.gguf_file)) == 1:
            yield reference
            return
        name = name_without_part(Path(reference.gguf_file).name)
        with tempfile.TemporaryDirectory(prefix="rankscope-gguf-") as folder:
            join_parts(local_gguf_files(reference), Path(folder) / name, with_data=with_data)
            yield replace(reference, kind="folder", location=folder, gguf_file=name, revision=None)


def gguf_header(reference: ModelReference) -> GgufHeader:
    """The header of a reference's GGUF file.

    Raises:
        ModelError: the file is damaged, or only one part of a model.
    """
    (file,) = local_gguf_files(reference)
    header = read_header(file)
    if (parts := header.metadata.get("split.count", 1)) > 1:
        raise ModelError(
            f"{file} is one of {parts} parts of a model: put all parts in the same folder, "
            f"named NAME-00001-of-{parts:05}.gguf and so on"
        )
    return header


def local_gguf_files(reference: ModelReference) -> tuple[Path, ...]:
    """All parts of a reference's GGUF file on this machine; those of a hub model are downloaded."""
    name = reference.gguf_file or ""
    if reference.kind == "folder":
        return gguf_files(Path(reference.location), name)
    from transformers.utils import cached_file

    folder = name.rpartition("/")[0]
    parts = [f"{folder}/{part}" if folder else part for part in part_names(Path(name).name)]
    options = {"revision": reference.revision, "local_files_only": reference.from_cache}
    try:
        return tuple(Path(cached_file(reference.location, part, **options)) for part in parts)
    except OSError as error:
        raise ModelError(f"could not download {reference.text}: {first_line(error)}") from error


def found_on_the_hub(reference: ModelReference) -> ModelReference:
    """The reference, if everything it needs is readable; an adapter's hub id is replaced with its base and the adapter.

    Raises:
        ModelError: no such repository or revision, a gated one, no connection and nothing in the cache; or an
            adapter whose settings are damaged or name no base.
    """
    if (tokenizer := reference.tokenizer_location) and not Path(tokenizer).exists():
        _reached(ModelReference(tokenizer, "hub", tokenizer), "tokenizer_config.json")
    if reference.adapter is not None:
        adapter = _reached(reference.adapter, ADAPTER_SETTINGS)
        base = _reached(reference, "config.json")
        return replace(base, adapter=adapter, from_cache=base.from_cache or adapter.from_cache)
    reference = _reached(reference, reference.gguf_file or "config.json")
    if reference.kind != "hub" or reference.gguf_file:
        return reference
    from transformers.utils import cached_file

    file = cached_file(
        reference.location,
        ADAPTER_SETTINGS,
        revision=reference.revision,
        local_files_only=reference.from_cache,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:
        return reference
    base = parse_model_reference(base_of(read_adapter_settings(Path(file)), reference.text))
    return found_on_the_hub(replace(base, text=reference.text, adapter=reference))


def _reached(reference: ModelReference, file: str) -> ModelReference:
    """A hub model's reference, with `from_cache` set if the hub does not answer; others are unchanged."""
    if reference.kind != "hub":
        return reference
    answers = reach_hub(reference.location, "model", file, reference.revision, error=ModelError)
    return reference if answers else replace(reference, from_cache=True)
