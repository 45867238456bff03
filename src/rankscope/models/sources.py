"""Resolves what transformers cannot: GGUF models in several parts, and the base of an adapter on the hub."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.errors import ModelError, first_line
from rankscope.models.adapters import ADAPTER_SETTINGS, base_of, read_adapter_settings
from rankscope.models.gguf import GgufHeader, gguf_files, join_parts, name_without_part, part_names, read_header
from rankscope.models.reference import ModelReference, parse_model_reference

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_gguf_file(reference: ModelReference, *, with_data: bool = True) -> Iterator[ModelReference]:
    """The reference itself; for a GGUF model in several parts, a reference to a temporary joined file.

    Args:
        reference: any.
        with_data: if False, the joined file is suitable only for reading the configuration and the tokenizer.

    Raises:
        ModelError: a part is missing or damaged, or there is not enough space for the joined file.
    """
    if reference.gguf_file is None or len(part_names(reference.gguf_file)) == 1:
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
    try:
        return tuple(Path(cached_file(reference.location, part, revision=reference.revision)) for part in parts)
    except OSError as error:
        raise ModelError(f"could not download {reference.text}: {first_line(error)}") from error


def with_hub_base(reference: ModelReference) -> ModelReference:
    """Replaces an adapter's hub id with its base and the adapter; other references are unchanged.

    Raises:
        ModelError: the adapter's settings are damaged, or name no base.
    """
    if reference.kind != "hub" or reference.gguf_file or reference.adapter is not None:
        return reference
    from transformers.utils import cached_file

    file = cached_file(
        reference.location,
        ADAPTER_SETTINGS,
        revision=reference.revision,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:
        return reference
    base = parse_model_reference(base_of(read_adapter_settings(Path(file)), reference.text))
    return replace(base, text=reference.text, adapter=reference)
