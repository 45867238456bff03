"""The pico family: small trained models bundled with the package, for a quick start and for tests.

Made by `recipes/pico/train.py`; weights in float16, one tokenizer for all. `pico` is the member whose
checkpoints are included: `pico@step-0` is its untrained start, `pico@overfit` was trained past its best.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from rankscope.errors import UnknownNameError

FAMILY = Path(__file__).parent / "pico_family"
TOKENIZER = FAMILY / "tokenizer"
WITH_CHECKPOINTS = "pico-0.4m"
"""The model that `pico` refers to."""


@dataclass(frozen=True)
class PicoModel:
    """A member of the family, or a checkpoint of one.

    Attributes:
        name: as a model reference.
        parameters: their number, including the embeddings.
        hidden_size: d.
        layers: number of blocks.
        step: of training.
        tokens: seen in training.
        train_loss: of the last batch; None at step 0.
        validation_loss: on held-out text similar to the training data, nats per token.
        seconds: of training on two CPU cores.
    """

    name: str
    parameters: int
    hidden_size: int
    layers: int
    step: int
    tokens: int
    train_loss: float | None
    validation_loss: float
    seconds: float


def pico_family() -> tuple[PicoModel, ...]:
    """All members and checkpoints, by size and step."""
    return tuple(PicoModel(**entry) for entry in json.loads((FAMILY / "family.json").read_text()))


def pico_sizes() -> tuple[str, ...]:
    """The references of the fully trained members, smallest first."""
    return tuple(model.name for model in pico_family() if "@" not in model.name)


def pico_checkpoints() -> tuple[PicoModel, ...]:
    """One member over its training, from step 0 to its end, then the overfitted one; named `pico`."""
    return tuple(
        replace(model, name=model.name.replace(WITH_CHECKPOINTS, "pico"))
        for model in pico_family()
        if model.name.partition("@")[0] == WITH_CHECKPOINTS
    )


def pico_folder(text: str) -> Path | None:
    """The folder of a pico reference; None for any other reference.

    Raises:
        UnknownNameError: a name that begins with `pico`, but is not a member or checkpoint.
    """
    member, at, stage = text.partition("@")
    if member != "pico" and not member.startswith("pico-"):
        return None
    name = f"{WITH_CHECKPOINTS if member == 'pico' else member}{at}{stage}"
    known = {model.name for model in pico_family()}
    if name not in known:
        raise UnknownNameError("pico model", text, [*(model.name for model in pico_checkpoints()), *pico_sizes()])
    return FAMILY / name
