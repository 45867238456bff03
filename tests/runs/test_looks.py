"""A checkpoint is ready when all of it is there and nothing has changed between two looks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rankscope.runs.looks import Look, Lookout, files_of
from tiny import save_tiny, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint in several files with an index."""
    folder = tmp_path_factory.mktemp("whole") / "whole"
    tiny_model("llama").save_pretrained(folder, max_shard_size="60KB")
    tiny_tokenizer().save_pretrained(folder)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


def in_order_of_writing(folder: Path) -> list[Path]:
    """As transformers writes: configuration, weights, their index, the tokenizer."""
    places = ("config.json", "generation_config.json", "model-", "model.safetensors.index.json")
    files = sorted(folder.iterdir())
    return sorted(
        files, key=lambda file: next((i for i, name in enumerate(places) if file.name.startswith(name)), len(places))
    )


@pytest.mark.parametrize("looks", [1, 3])
def test_a_checkpoint_that_is_written_file_by_file_is_ready_when_all_of_it_is_there(
    sharded: Path, tmp_path: Path, looks: int
) -> None:
    lookout, place = Lookout(tmp_path), tmp_path / "checkpoint-5"
    place.mkdir()
    needed = [file for file in in_order_of_writing(sharded) if file.name != "generation_config.json"]
    for file in needed:
        content = file.read_bytes()
        for share in (0, len(content) // 2, len(content) - 2, len(content)):
            if file == needed[-1] and share == len(content):
                continue  # the last byte of all, below
            (place / file.name).write_bytes(content[:share])
            for _ in range(looks):  # with one, the files are moving; with three, the writer pauses
                look = lookout.look()
                is_readable_without = file.name.startswith("tokenizer") and share == len(content)
                assert not look.ready or is_readable_without, (file.name, share)
    (place / needed[-1].name).write_bytes(needed[-1].read_bytes())
    assert lookout.look() == Look(moving=("checkpoint-5",))
    assert lookout.look() == Look(ready=("checkpoint-5",))
    assert lookout.look() == Look(ready=("checkpoint-5",))


def test_whole_files_that_still_grow_are_not_ready(tmp_path: Path) -> None:
    lookout, place = Lookout(tmp_path), save_tiny(tmp_path / "checkpoint-5")
    for count in range(3):  # the optimizer's state comes after the weights
        with (place / "optimizer.pt").open("ab") as file:
            file.write(bytes(10))
        assert lookout.look() == Look(moving=("checkpoint-5",)), count
    assert lookout.look().ready == ("checkpoint-5",)


def test_an_unreadable_checkpoint_is_told_once_for_each_change_of_its_files(tmp_path: Path) -> None:
    lookout, place = Lookout(tmp_path), save_tiny(tmp_path / "checkpoint-5")
    weights = (place / "model.safetensors").read_bytes()
    for end, reason in ((-1, "model.safetensors is truncated"), (len(weights) // 2, "model.safetensors is truncated")):
        (place / "model.safetensors").write_bytes(weights[:end])
        assert lookout.look().moving == ("checkpoint-5",)
        assert lookout.look() == Look(unreadable={"checkpoint-5": reason})
        assert lookout.look() == Look()
    (place / "model.safetensors").write_bytes(weights)
    lookout.look()
    assert lookout.look().ready == ("checkpoint-5",)


def test_one_that_was_refused_waits_for_another_change(tmp_path: Path) -> None:
    lookout, place = Lookout(tmp_path), save_tiny(tmp_path / "checkpoint-5")
    lookout.look()
    assert lookout.look().ready == ("checkpoint-5",)
    lookout.refuse("checkpoint-5")
    assert lookout.look() == Look()
    (place / "config.json").write_bytes((place / "config.json").read_bytes())
    assert lookout.look().moving == ("checkpoint-5",)
    assert lookout.look().ready == ("checkpoint-5",)


def test_what_has_gone_is_told_once_in_the_order_of_steps(tmp_path: Path) -> None:
    lookout = Lookout(tmp_path)
    lookout.expect(["checkpoint-7"])
    for step in (100, 20):
        save_tiny(tmp_path / f"checkpoint-{step}")
    assert lookout.look() == Look(moving=("checkpoint-20", "checkpoint-100"), gone=("checkpoint-7",))
    assert lookout.look().ready == ("checkpoint-20", "checkpoint-100")
    shutil.rmtree(tmp_path)
    assert lookout.look() == Look(gone=("checkpoint-20", "checkpoint-100"))
    assert lookout.look() == Look()


def test_whether_a_checkpoint_is_as_at_the_last_look(tmp_path: Path) -> None:
    lookout, place = Lookout(tmp_path), save_tiny(tmp_path / "checkpoint-5")
    assert not lookout.is_unchanged("checkpoint-5")
    lookout.look()
    assert lookout.is_unchanged("checkpoint-5")
    (place / "below").mkdir()
    (place / "below" / "new").touch()
    assert not lookout.is_unchanged("checkpoint-5")
    assert files_of(tmp_path / "absent") == frozenset()
