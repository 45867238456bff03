"""The pico family: small trained models bundled with the package, for a quick start and for tests.

Made by `recipes/pico/train.py`; weights in float16, one tokenizer for all. There are four sizes of GPT-NeoX, and four
other architectures with about as many parameters as `pico-0.4m`. `pico` is short for `pico-0.4m`, which has the most
checkpoints: `pico@step-0` is the untrained network, `pico@overfit` was trained beyond the best step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rankscope.errors import UnknownNameError

FAMILY = Path(__file__).parent / "pico_family"
TOKENIZER = FAMILY / "tokenizer"
WITH_CHECKPOINTS = "pico-0.4m"
"""The model that `pico` refers to."""
_OF_SIZES = "gpt_neox"


@dataclass(frozen=True)
class PicoModel:
    """A member of the family, or a checkpoint of one.

    Attributes:
        name: as a model reference.
        architecture: transformers' model type.
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
    architecture: str
    parameters: int
    hidden_size: int
    layers: int
    step: int
    tokens: int
    train_loss: float | None
    validation_loss: float
    seconds: float


def pico_family() -> tuple[PicoModel, ...]:
    """All members and checkpoints: by size, then by architecture, each by step."""
    return tuple(PicoModel(**entry) for entry in json.loads((FAMILY / "family.json").read_text()))


def pico_sizes() -> tuple[str, ...]:
    """The references of the fully trained members of one architecture, smallest first."""
    return tuple(model.name for model in _members() if model.architecture == _OF_SIZES)


def pico_architectures() -> tuple[str, ...]:
    """The references of the fully trained members of one size, fewest parameters first."""
    found = [one for one in _members() if one.name == WITH_CHECKPOINTS or one.architecture != _OF_SIZES]
    return tuple(model.name for model in sorted(found, key=lambda model: model.parameters))


def _members() -> Iterator[PicoModel]:
    return (model for model in pico_family() if "@" not in model.name)


def pico_checkpoints(member: str = "pico") -> tuple[PicoModel, ...]:
    """The checkpoints of a member's training, by step; empty if there is no such member.

    Args:
        member: a reference without a checkpoint. For `pico`, the checkpoints are named `pico`, begin with step 0 and
            end with the overfitted one.
    """
    stored = WITH_CHECKPOINTS if member == "pico" else member
    return tuple(
        replace(model, name=model.name.replace(stored, member))
        for model in pico_family()
        if model.name.partition("@")[0] == stored
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
        raise UnknownNameError("pico model", text, [*(model.name for model in pico_checkpoints()), *sorted(known)])
    return FAMILY / name
