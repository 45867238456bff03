"""The session record of a process that works on a run: versions, device and times."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch

_LIBRARIES = ("rankscope", "torch", "transformers", "tokenizers", "datasets", "polars")


def session_of(device: str, sources: list[str]) -> dict[str, Any]:
    """The session record of this process, with its device, versions and data sources."""
    return {
        "started": now(),
        "finished": None,
        "versions": versions(),
        "sources": sources,
        "device": torch.cuda.get_device_name(device)
        if device.startswith("cuda") and torch.cuda.is_available()
        else f"{device} ({platform.machine()})",
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, rankscope, and the libraries it computes with."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}}


def now() -> str:
    """The current time in UTC, in ISO format to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def sessions_that_measured(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Sessions of a run that measured something; all sessions of earlier versions, which did not record this."""
    return [session for session in manifest.get("sessions") or [] if session.get("measured", True)]


def first_session(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first session of a run that measured something; empty if there is none, as in a run of shards alone."""
    return next(iter(sessions_that_measured(manifest)), {})
