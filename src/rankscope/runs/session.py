"""What a manifest says of a process that worked on a run."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch

_LIBRARIES = ("rankscope", "torch", "transformers", "tokenizers", "datasets", "polars")


def session_of(device: str, sources: list[str]) -> dict[str, Any]:
    """Where and on what this process computes its share of a run."""
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
    """Of Python, of rankscope, and of the libraries that it computes with."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}}


def now() -> str:
    """The time, for a manifest."""
    return datetime.now(UTC).isoformat(timespec="seconds")
