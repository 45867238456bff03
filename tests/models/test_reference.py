from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.errors import ModelError
from rankscope.models import parse_model_reference


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run" / "checkpoint-5").mkdir(parents=True)
    for place in (tmp_path / "run", tmp_path / "run" / "checkpoint-5"):
        (place / "config.json").write_text("{}")
    (tmp_path / "weights.gguf").write_bytes(b"GGUF")
    (tmp_path / "notes.txt").write_text("hello")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "location", "revision", "gguf_file"),
    [
        ("facebook/opt-125m", "facebook/opt-125m", None, None),
        ("gpt2", "gpt2", None, None),
        ("EleutherAI/pythia-70m@step1000", "EleutherAI/pythia-70m", "step1000", None),
        ("owner/name/file-Q4.gguf", "owner/name", None, "file-Q4.gguf"),
        ("owner/name/file-Q4.gguf@v2", "owner/name", "v2", "file-Q4.gguf"),
    ],
)
def test_hub_references(text: str, location: str, revision: str | None, gguf_file: str | None) -> None:
    reference = parse_model_reference(text)
    assert reference.kind == "hub"
    assert (reference.location, reference.revision, reference.gguf_file) == (location, revision, gguf_file)
    assert reference.label == text


def test_folders_checkpoints_and_files(folder: Path) -> None:
    run = parse_model_reference(str(folder / "run"))
    assert (run.kind, run.location, run.label) == ("folder", str(folder / "run"), "run")
    checkpoint = parse_model_reference(f"{folder / 'run'}@checkpoint-5")
    assert checkpoint.location == str(folder / "run" / "checkpoint-5")
    gguf = parse_model_reference(str(folder / "weights.gguf"))
    assert (gguf.location, gguf.gguf_file, gguf.label) == (str(folder), "weights.gguf", "weights")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}/absent", "model folder or file not found"),
        ("./absent", "model folder or file not found"),
        ("absent.gguf", "GGUF file not found"),
        ("{}/notes.txt", "is not a model: expected a folder"),
        ("{}", "it has no config.json"),
        ("{}/run@checkpoint-6", "has no checkpoint 'checkpoint-6'; available folders: checkpoint-5"),
        ("not a model", "a hub id .* got 'not a model'"),
    ],
)
def test_what_is_no_model(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_model_reference(text.format(folder))
