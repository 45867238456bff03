"""Images: opened within size limits, with a short reason on failure, and modified for controls."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.errors import RankscopeError
from rankscope.texts.pixels import as_shown

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class LaterImage:
    """An image that is fetched or drawn on demand.

    Attributes:
        identity: distinguishes the image from others.
        read: returns the image, or a file's content.
    """

    identity: str
    read: Callable[[], Image | bytes]


ImageSource = Path | bytes | LaterImage | None
"""A file, a file's content, or a source that provides one; None if a row names no image."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")

_NARROWEST = 200  # limit of the aspect ratio: scaled by its shorter side, a narrower image would become too large
_GREY = (127, 127, 127)
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError)


class UnusableImageError(RankscopeError):
    """An image that cannot be used; the message is the short reason recorded for skipped pairs."""


def open_image(source: ImageSource) -> Image:
    """Opens an image in RGB, as an image viewer shows it (`as_shown`).

    If the image has more pixels than Pillow's `MAX_IMAGE_PIXELS`, only its header is read.

    Raises:
        UnusableImageError: the file is missing or not an image, or the image is damaged, too large or too narrow.
    """
    from PIL import Image, UnidentifiedImageError

    if source is None:
        raise UnusableImageError("no image")
    if isinstance(source, LaterImage):
        given = source.read()
        return open_image(given) if isinstance(given, bytes) else given
    if isinstance(source, Path) and not is_file(source):
        raise UnusableImageError("no such image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow warns of damaged EXIF data
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                if max(image.size) > _NARROWEST * min(image.size):
                    raise UnusableImageError("image too narrow")
                return as_shown(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnusableImageError("image too large") from error
    except UnidentifiedImageError as error:
        raise UnusableImageError("not an image") from error
    except _DAMAGED as error:
        raise UnusableImageError("damaged image") from error


def is_file(path: Path) -> bool:
    """Whether a file exists; False for an invalid file name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def changed_image(image: Image, control: str, seed: int) -> Image:
    """The image under a control: unchanged for `base`, otherwise rotated, mirrored, blank or noise."""
    if control == "base":
        return image
    if control.startswith("rotated-"):
        return rotated(image, int(control.removeprefix("rotated-")))
    return noise(image, seed) if control == "noise" else {"mirrored": mirrored, "blank": blank}[control](image)


def rotated(image: Image, degrees: int) -> Image:
    """The image turned clockwise by 90, 180 or 270 degrees; no pixel is resampled."""
    from PIL import Image

    turns = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    return image.transpose(turns[degrees])  # Pillow counts anticlockwise


def mirrored(image: Image) -> Image:
    """The image mirrored left to right."""
    from PIL import Image

    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def blank(image: Image) -> Image:
    """A grey image of the same size."""
    from PIL import Image

    return Image.new("RGB", image.size, _GREY)


def noise(image: Image, seed: int) -> Image:
    """An image of uniform noise of the same size, reproducible by seed."""
    from PIL import Image

    width, height = image.size
    return Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(3 * width * height))  # noqa: S311
