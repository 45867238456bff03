"""Decoded images in RGB, as an image viewer shows them.

EXIF orientation is applied, transparency is blended over white, and more than 8 bits are scaled down, not clipped.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_ORIENTATION = 0x0112
_UNREADABLE_EXIF = (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, struct.error)
_DEEP_MODES = ("I", "F")


def as_shown(image: Image) -> Image:
    """The first frame of an image, in RGB.

    - 16-bit greyscale is divided by 257. 32-bit greyscale, integer or floating-point, is scaled linearly from its
      lowest finite value (black) to its highest (white); non-finite values are black.
    - Transparent pixels are blended over white.
    - EXIF orientation is applied; unreadable EXIF data are ignored, as viewers do.
    """
    image.load()
    return _upright(_in_rgb(image), _orientation(image))


def _in_rgb(image: Image) -> Image:
    from PIL import Image

    if image.mode in _DEEP_MODES or image.mode.startswith("I;16"):
        return _deep_grey(image)
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    return image.convert("RGB")


def _deep_grey(image: Image) -> Image:
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    # Some 16-bit PNGs are opened in mode I.
    is_16_bit = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    grey = np.rint(values / 257) if is_16_bit else _stretched(values.astype(np.float64))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, 255, grey)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values scaled to the range 0 to 255; 0 if all are equal."""
    import numpy as np

    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    low, high = values[finite].min(), values[finite].max()
    shares = np.zeros_like(values)
    if high > low:
        # Halved, so that the range of the widest floats does not overflow.
        shares[finite] = (values[finite] / 2 - low / 2) / (high / 2 - low / 2)
    return np.rint(255 * shares)


def _orientation(image: Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _UNREADABLE_EXIF:
        return 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL import Image

    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)
