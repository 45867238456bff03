"""pico-vlm: a small trained vision-language model bundled with the package, with its checkpoints.

LLaVA's class with its own small vision tower and the language model of `pico-0.4m`, whose weights are not stored
again. Made by `recipes/pico_vlm/train.py`: the tower is the same in all checkpoints, the connector is trained from
`pico-vlm@step-0` on, alone at first; from `pico-vlm@step-512` on the language model's blocks are trained too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import UnknownNameError
from rankscope.models.pico import FAMILY, pico_folder

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration

VLM_FAMILY = Path(__file__).parent / "pico_vlm_family"
LANGUAGE_MODEL = "pico-0.4m"
IMAGE_TOKEN = "ÿ"  # noqa: S105 (the tokenizer's name of the byte 0xFF, which never occurs in UTF-8)
_NAME = "pico-vlm"
_TOWER = "tower.safetensors"


@dataclass(frozen=True)
class PicoVlm:
    """A checkpoint.

    Attributes:
        name: as a model reference.
        stage: of training, `connector` or `tuning`.
        step: since `pico-vlm@step-0`.
        loss: on held-out scenes, nats per token of the description.
        candidates_right: share of held-out scenes whose own caption has the lowest loss of eight captions; the other
            seven differ from it in one word.
        slots_right: share of correct words in the model's own caption, among the seven words that define a scene
            (two sizes, colours and shapes, the relation).
        scenes_right: share of held-out scenes that it describes without any error.
    """

    name: str
    stage: str
    step: int
    loss: float
    candidates_right: float
    slots_right: float
    scenes_right: float


def pico_vlm_family() -> tuple[PicoVlm, ...]:
    """All checkpoints, by step."""
    return tuple(PicoVlm(**entry) for entry in json.loads((VLM_FAMILY / "family.json").read_text()))


def pico_vlm_folder(text: str) -> Path | None:
    """The folder of a pico-vlm reference; None for any other reference.

    Raises:
        UnknownNameError: a name that begins with `pico-vlm`, but is not a checkpoint.
    """
    if text != _NAME and not text.startswith(f"{_NAME}@"):
        return None
    known = [model.name for model in pico_vlm_family()]
    if text not in known:
        raise UnknownNameError("pico-vlm checkpoint", text, known)
    return VLM_FAMILY / text


def pico_vlm_files() -> list[Path]:
    """Weight files shared by all checkpoints."""
    return [VLM_FAMILY / _TOWER, FAMILY / LANGUAGE_MODEL / "model.safetensors"]


def load_pico_vlm(folder: Path) -> LlavaForConditionalGeneration:
    """A checkpoint in float32: weights trained in its stages from its own files, the rest from the pico family."""
    from safetensors.torch import load_file
    from transformers import LlavaConfig

    model = assemble(LlavaConfig.from_pretrained(folder))
    model.load_state_dict(load_file(folder.parent / _TOWER), strict=False)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    return model.eval()


def assemble(config: Any) -> LlavaForConditionalGeneration:
    """LLaVA with the language model's weights in place, and the rest random."""
    from transformers import AutoModelForCausalLM, LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration(config)
    language_model = AutoModelForCausalLM.from_pretrained(pico_folder(LANGUAGE_MODEL), dtype=model.dtype)
    model.model.language_model.load_state_dict(language_model.base_model.state_dict())
    # LLaVA's class ties a head only to `embed_tokens`, and GPT-NeoX's embeddings have another name.
    model.lm_head.load_state_dict(language_model.get_output_embeddings().state_dict())
    return model
