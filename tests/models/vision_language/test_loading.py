from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.errors import ModelError, UnknownNameError
from rankscope.models.vision_language import describe_vision_language_model
from tiny import save_tiny
from tiny_vision import image_processor, save_tiny_vision


def test_images_are_prepared_by_pillow(tmp_path: Path) -> None:
    described = describe_vision_language_model(str(save_tiny_vision(tmp_path / "model")))
    assert type(described.parts.image_processor).__name__ == type(image_processor("llava")).__name__
    assert described.label == "model"


def test_a_model_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="kind of vision-language model 'llama'"):
        describe_vision_language_model(str(save_tiny(tmp_path / "llama")))


def test_without_an_image_processor(tmp_path: Path) -> None:
    folder = save_tiny_vision(tmp_path / "model")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="cannot load the image processor"):
        describe_vision_language_model(str(folder))
