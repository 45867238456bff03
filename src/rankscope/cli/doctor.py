"""`rankscope doctor`: versions, devices, optional dependencies."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from importlib import metadata


def doctor() -> None:
    """Show versions, devices and optional dependencies. Include this output in bug reports.

    For example:

        rankscope doctor
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in [*_versions(), *_devices(), *_hub(), *_optional_parts()]:
        table.add_row(name, Text(value))
    Console(file=sys.stdout, highlight=False).print(table)


def _versions() -> list[tuple[str, str]]:
    names = ("rankscope", "torch", "transformers", "datasets", "accelerate", "polars", "pyarrow", "gguf")
    return [("python", f"{platform.python_version()} on {platform.platform()}")] + [
        (name, metadata.version(name)) for name in names
    ]


def _devices() -> list[tuple[str, str]]:
    import torch

    from rankscope.models import resolve_device

    devices = [("cpu", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads")]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append((f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"))
    devices.append(("mps", "available" if torch.backends.mps.is_available() else "not available"))
    devices.append(("device auto", resolve_device("auto")))
    return devices


def _hub() -> list[tuple[str, str]]:
    """The hub settings, read without contacting the hub."""
    from huggingface_hub import constants, get_token, is_offline_mode

    where = "offline (HF_HUB_OFFLINE)" if is_offline_mode() else constants.ENDPOINT
    return [
        ("hub", f"{where}, {'with a token' if get_token() else 'without a token'}"),
        ("hub's cache", constants.HF_HUB_CACHE),
    ]


def _optional_parts() -> list[tuple[str, str]]:
    parts = {
        "lm_eval": "harness",
        "lightning": "lightning",
        "mlflow": "mlflow",
        "peft": "peft",
        "ray": "ray",
        "s3fs": "s3",
        "gcsfs": "gcs",
        "sentencepiece": "tokenizers",
        "tiktoken": "tokenizers",
        "torchmetrics": "torchmetrics",
        "trackio": "trackio",
        "wandb": "wandb",
    }
    return [
        (module, "installed" if importlib.util.find_spec(module) else f"missing: pip install 'rankscope[{extra}]'")
        for module, extra in parts.items()
    ]
