from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import pytest
import torch

from rankscope.errors import UnknownNameError
from rankscope.models import Placement, parse_model_reference, pico_vlm_family
from rankscope.models.pico import pico_folder
from rankscope.models.pico_vlm import LANGUAGE_MODEL, VLM_FAMILY
from rankscope.models.vision_language import (
    VisionLanguageModel,
    describe_vision_language_model,
    encode_text,
    image_input,
    watch_forward,
    with_text,
)
from rankscope.texts.drawn_scenes import INSTRUCTION, Scene, distractors, draw, scenes

pytestmark = pytest.mark.slow


def loaded(name: str) -> tuple[VisionLanguageModel, Any]:
    described = describe_vision_language_model(name)
    return described, described.load(Placement())


def loss(described: VisionLanguageModel, model: Any, picture: tuple[int, Scene], caption: str) -> float:
    text = encode_text(described.parts.tokenizer, INSTRUCTION, caption, 100)
    image = image_input(described.family, described.parts, draw(picture[1], picture[0]), text.leading)
    found = watch_forward(model, described.family, with_text(image, text, described.parts.config.image_token_id)).loss
    assert found is not None
    return found


def test_it_describes_held_out_scenes() -> None:
    described, model = loaded("pico-vlm")
    drawn = list(islice(scenes(held_out=True), 40))
    right, own, others = 0, 0.0, 0.0
    for place, picture in enumerate(drawn):
        scene = picture[1]
        losses = [loss(described, model, picture, one.caption) for one in (scene, *distractors(scene, picture[0]))]
        right += losses[0] < min(losses[1:])
        own += losses[0]
        others += loss(described, model, drawn[place - 1], scene.caption)
    assert right >= 16  # 40 %, where chance has 12.5 %
    assert own < 0.2 * others  # with another scene's picture the same sentence is far less likely


def test_the_loss_falls_along_the_checkpoints_and_is_as_recorded() -> None:
    family = pico_vlm_family()
    assert [model.name for model in family][:2] == ["pico-vlm@step-0", "pico-vlm@step-8"]
    assert [model.step for model in family] == sorted(model.step for model in family)
    assert all(one.loss > other.loss for one, other in pairwise(family))
    drawn = list(islice(scenes(held_out=True), 20))
    for recorded in (family[0], family[-1]):
        described, model = loaded(recorded.name)
        mean = sum(loss(described, model, picture, picture[1].caption) for picture in drawn) / len(drawn)
        assert mean == pytest.approx(recorded.loss, rel=0.25)  # fewer scenes, and no end token


def test_only_what_a_stage_trains_differs() -> None:
    first, connected, tuned = (loaded(f"pico-vlm{stage}")[1].state_dict() for stage in ("@step-0", "@step-512", ""))

    def changed(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
        return {".".join(name.split(".")[:3]) for name in one if not torch.equal(one[name], other[name])}

    connector = {"model.multi_modal_projector.linear_1", "model.multi_modal_projector.linear_2"}
    assert changed(first, connected) == connector
    language_model = {"model.language_model.layers", "model.language_model.final_layer_norm"}
    assert changed(connected, tuned) == connector | language_model


def test_the_language_model_is_the_pico_family_s() -> None:
    from transformers import AutoModelForCausalLM

    _, model = loaded("pico-vlm@step-512")
    text_only = AutoModelForCausalLM.from_pretrained(pico_folder(LANGUAGE_MODEL), dtype=torch.float32)
    ids = torch.tensor([[5, 300, 42, 7]])
    with torch.inference_mode():
        torch.testing.assert_close(model(input_ids=ids).logits, text_only(input_ids=ids).logits)


def test_names() -> None:
    reference = parse_model_reference("pico-vlm@step-8")
    assert (reference.label, reference.location) == ("pico-vlm@step-8", str(VLM_FAMILY / "pico-vlm@step-8"))
    with pytest.raises(UnknownNameError, match="did you mean pico-vlm@step-8"):
        parse_model_reference("pico-vlm@step-9")


def test_the_family_is_small() -> None:
    assert sum(file.stat().st_size for file in VLM_FAMILY.rglob("*")) < 2_500_000
