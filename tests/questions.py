"""Hand-written questions in the shapes of three benchmarks, for tests that need files of them."""

from __future__ import annotations

import json
from pathlib import Path

_PIQA = (
    ("To keep soup warm at a picnic,", "pour it into a vacuum flask.", "pour it into a paper bag.", 0),
    ("To sharpen a pencil,", "rub it with a wet sponge.", "turn it in a pencil sharpener.", 1),
    ("To dry wet boots overnight,", "stuff them with newspaper.", "stuff them with ice cubes.", 0),
    ("To reach a high shelf safely,", "stand on a rolling chair.", "stand on a step ladder.", 1),
    ("To stop a door from squeaking,", "oil its hinges.", "paint its handle.", 0),
    ("To find a name in an index,", "read it from the last page to the first.", "look under its first letter.", 1),
)
_WINOGRANDE = (
    ("The trophy did not fit in the bag because the _ was too big.", "trophy", "bag", "1"),
    ("Anna thanked Mary for the help that _ had given.", "Anna", "Mary", "2"),
    ("The rope held the boat although the _ was old.", "rope", "boat", "1"),
    ("Water ran from the bucket to the bowl until the _ was empty.", "bowl", "bucket", "2"),
)


def write_piqa(folder: Path) -> str:
    """`piqa=PATH` with rows of the hub's shape."""
    rows = [{"goal": goal, "sol1": one, "sol2": two, "label": label} for goal, one, two, label in _PIQA]
    return _written("piqa", rows, folder)


def write_winogrande(folder: Path) -> str:
    """`winogrande=PATH` with rows of the hub's shape."""
    rows = [{"sentence": s, "option1": one, "option2": two, "answer": answer} for s, one, two, answer in _WINOGRANDE]
    return _written("winogrande", rows, folder)


def _written(name: str, rows: list[dict], folder: Path) -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"{name}={path}"
