from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from rankscope.texts import open_image

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)


def shown(image: Image.Image, kind: str = "PNG", **options) -> np.ndarray:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return np.asarray(open_image(stream.getvalue()))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_greyscale_of_16_bits_is_scaled(kind: str) -> None:
    values = np.array([[0, 257, 1000], [32896, 65535, 300]], dtype=np.uint16)
    grey = shown(Image.fromarray(values), kind)
    assert (grey == np.array([[0, 1, 4], [128, 255, 1]])[..., None]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_greyscale_of_32_bits_goes_from_its_lowest_to_its_highest_value(dtype: type) -> None:
    values = np.array([[-10, 0, 10], [70, 90, 41]], dtype=dtype)
    grey = shown(Image.fromarray(values), "TIFF")
    assert (grey == np.rint((values + 10.0) / 100 * 255)[..., None]).all()
    assert not shown(Image.fromarray(np.full((2, 2), 7, dtype=dtype)), "TIFF").any()


def test_values_that_are_not_finite_are_black() -> None:
    values = np.array([[np.nan, 0.0, 1.0], [np.inf, 0.5, -np.inf]], dtype=np.float32)
    assert (shown(Image.fromarray(values), "TIFF")[..., 0] == [[0, 0, 255], [0, 128, 0]]).all()
    assert not shown(Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32)), "TIFF").any()


def test_transparent_pixels_lie_over_white() -> None:
    alpha = np.array([[255, 0, 128, 255]] * 3, dtype=np.uint8)
    pixels = shown(Image.fromarray(np.dstack([PIXELS, alpha])))
    assert (pixels[alpha == 255] == PIXELS[alpha == 255]).all()
    assert (pixels[alpha == 0] == 255).all()
    half = np.rint(PIXELS[:, 2] * (128 / 255) + 255 * (127 / 255))
    assert (np.abs(pixels[:, 2] - half) <= 1).all()


def test_a_transparent_colour_is_white() -> None:
    palette = Image.fromarray(PIXELS).quantize(4)
    chosen = np.asarray(palette) == 1
    pixels = shown(palette, transparency=1)
    assert (pixels[chosen] == 255).all()
    assert (pixels[~chosen] == np.asarray(palette.convert("RGB"))[~chosen]).all()
    pixels = shown(Image.fromarray(PIXELS), transparency=tuple(map(int, PIXELS[0, 0])))
    assert (pixels[0, 0] == 255).all()
    assert (pixels[1:] == PIXELS[1:]).all()
    deep = shown(Image.fromarray(np.array([[0, 257, 514]], dtype=np.uint16)), transparency=257)
    assert (deep[0, :, 0] == [0, 255, 2]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_the_orientation_is_followed(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = orientation
    assert (shown(Image.fromarray(PIXELS), kind, exif=exif) == np.asarray(ImageOps.exif_transpose(image))).all()


def test_exif_data_that_cannot_be_read_are_passed_over() -> None:
    damaged = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12"
    assert shown(Image.fromarray(PIXELS), "JPEG", exif=damaged).shape == PIXELS.shape


def test_other_modes_and_animations() -> None:
    image = Image.fromarray(PIXELS)
    assert (np.abs(shown(image.convert("CMYK"), "TIFF").astype(int) - PIXELS) <= 1).all()
    stream = io.BytesIO()
    image.save(stream, "PNG", save_all=True, append_images=[Image.new("RGB", image.size, "red")])
    assert (np.asarray(open_image(stream.getvalue())) == PIXELS).all()
    assert (shown(image.convert("1"))[..., 0] == np.asarray(image.convert("1")) * 255).all()
