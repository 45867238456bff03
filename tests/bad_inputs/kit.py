"""What bad inputs are built on: good things to spoil, a random source, and values that trip readers up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tiny import SENTENCES

WRONG_CALL = frozenset({2})


REFUSED = frozenset({1, 2})


ANY = frozenset({0, 1, 2})


@dataclass(frozen=True)
class Kit:
    """What a kind builds on: a random source, an empty folder, and good things to spoil."""

    random: Random
    folder: Path
    model: Path
    data: Path
    run: Path

    def file(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def copy_of_model(self) -> Path:
        return Path(shutil.copytree(self.model, self.folder / "model"))

    def copy_of_run(self) -> Path:
        return Path(shutil.copytree(self.run, self.folder / "run"))

    def evaluate(self, *more: object, model: object = None, data: object = None) -> tuple[str, ...]:
        """A call that is right but for what is given."""
        data = self.data if data is None else data
        usual = {"--output": self.folder / "out", "--untrained-seeds": 0, "--limit": 2}
        if not str(data).endswith(".txt"):
            usual["--field"] = "text"
        given = {str(word).partition("=")[0] for word in more}
        if "--template" in given:
            given.add("--field")
        flags = [word for flag, value in usual.items() if flag not in given for word in (flag, value)]
        return tuple(map(str, ["evaluate", self.model if model is None else model, "--data", data, *flags, *more]))


Made = tuple[tuple[str, ...], frozenset[int]]


Kind = Callable[[Kit], Made]


# Texts, numbers and values that trip readers up.
NOT_WHOLE = ("-1", "1.5", "nan", "inf", "-inf", "1e3", "ten", "", " ", "[]", "--", "1;2", "٣.5", "\x00")


STRANGE = (
    "",
    " ",
    ",",
    ",,",
    "\n",
    "\t",
    "\x00",
    "é",
    "🦜",
    "٣",
    "-",
    "--",
    "..",
    "/",
    "*",
    "a" * 5000,
    "%s",
    "{}",
    "{0}",
)


VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 7, 1.5, -0.5, float("nan"), float("inf"), "", "x", "32", [], [1], ["a"], {},
    {"a": 1}, 10**9, 2**63, 10**30,
)  # fmt: skip


def lines() -> list[bytes]:
    return [json.dumps({"text": text}).encode() for text in SENTENCES]


def spoil(kit: Kit, path: Path) -> None:
    """Cuts a file, or overwrites some of its bytes."""
    content = bytearray(path.read_bytes())
    if kit.random.random() < 0.4:
        del content[kit.random.randrange(len(content) or 1) :]
    else:
        for _ in range(kit.random.choice([1, 3, 20]) if content else 0):
            content[kit.random.randrange(len(content))] = kit.random.randrange(256)
    path.write_bytes(bytes(content))
