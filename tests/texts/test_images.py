from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rankscope.settings import CONTROL_NAMES
from rankscope.texts import UnusableImageError, changed_image, open_image
from rankscope.texts.images import LaterImage

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)


def test_a_file_a_content_and_a_drawing_give_the_same_picture(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    sources = (
        tmp_path / "a.png",
        content,
        LaterImage("x", lambda: content),
        LaterImage("x", lambda: Image.fromarray(PIXELS)),
    )
    for source in sources:
        assert (np.asarray(open_image(source)) == PIXELS).all()


def test_other_modes_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).convert("LA").save(tmp_path / "grey.png")
    assert open_image(tmp_path / "grey.png").mode == "RGB"


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height)).save(stream, "PNG")
    return stream.getvalue()


def damaged() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.tile(PIXELS, (20, 20, 1))).save(stream, "JPEG")
    return stream.getvalue()[:-400]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "no image"),
        (Path("/no/such/picture.png"), "no such image file"),
        (Path("https://example.org/picture.png"), "no such image file"),
        (Path("x" * 5000), "no such image file"),
        (Path("a\0b"), "no such image file"),
        (b"<html>not a picture</html>", "not an image"),
        (damaged(), "damaged image"),
        (png(201, 1), "image too narrow"),
        (png(1, 5000), "image too narrow"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_what_cannot_be_had_is_named(source: Path | bytes | None, reason: str) -> None:
    with pytest.raises(UnusableImageError, match=f"^{reason}$"):
        open_image(source)


@pytest.mark.parametrize("limit", [5, 10])
def test_a_picture_with_too_many_pixels_is_refused_from_its_header(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns above its limit and raises above twice that: both are a named skip here."""
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnusableImageError, match="^image too large$"):
        open_image(stream.getvalue())


def test_controls_move_each_pixel_to_its_place() -> None:
    image = Image.fromarray(PIXELS)
    expected = {
        "base": PIXELS,
        "rotated-90": np.rot90(PIXELS, -1),
        "rotated-180": PIXELS[::-1, ::-1],
        "rotated-270": np.rot90(PIXELS, 1),
        "mirrored": PIXELS[:, ::-1],
        "blank": np.full_like(PIXELS, 127),
    }
    for control, pixels in expected.items():
        assert (np.asarray(changed_image(image, control, 0)) == pixels).all(), control
    # Clockwise: what was at the top left is at the top right.
    assert (np.asarray(changed_image(image, "rotated-90", 0))[0, -1] == PIXELS[0, 0]).all()
    assert set(expected) == {"base", *CONTROL_NAMES} - {"noise", "shuffled"}


def test_noise_is_seeded_and_of_the_same_size() -> None:
    image = Image.fromarray(PIXELS)
    one, again, other = (np.asarray(changed_image(image, "noise", seed)) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()
    assert one.shape == PIXELS.shape
