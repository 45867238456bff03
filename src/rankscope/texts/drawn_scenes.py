"""Drawn scenes: pictures of two coloured shapes with captions, generated on demand.

A scene is, for example, a red circle above a blue square: two colours, two shapes, two sizes and a relation. Pictures
are drawn at a jittered place on a tinted background with some noise, all from the scene's seed, so nothing is stored.
One in ten combinations of colours, shapes and relation is held out: `drawn-scenes` consists of these, and
`recipes/pico_vlm` trains on the others.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = {
    "red": (200, 30, 30),
    "blue": (40, 60, 210),
    "green": (30, 150, 50),
    "yellow": (235, 205, 40),
    "black": (25, 25, 25),
    "white": (250, 250, 250),
}
SHAPES = ("circle", "square", "triangle", "star", "cross")
SIZES = {"small": 0.75, "large": 1.25}
RELATIONS = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
INSTRUCTION = "Describe the picture."
HELD_OUT_IN = 10
SIDE = 56
"""Side length of a picture in pixels."""

_SUPERSAMPLING = 4
_RADIUS = 8.0  # pixels of a shape of size 1
_APART = 12.0  # pixels from the middle to a shape's centre
_JITTER = 2.5


@dataclass(frozen=True)
class Thing:
    """One shape."""

    size: str
    colour: str
    shape: str

    def __str__(self) -> str:
        return f"{self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """Two shapes and the position of the first relative to the second."""

    first: Thing
    relation: str
    second: Thing

    @property
    def caption(self) -> str:
        """A sentence that describes the scene."""
        return f"A {self.first} is {self.relation} a {self.second}."

    @property
    def held_out(self) -> bool:
        """Whether the combination, regardless of sizes, is held out of training."""
        words = (self.first.colour, self.first.shape, self.relation, self.second.colour, self.second.shape)
        return int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:4], "big") % HELD_OUT_IN == 0


def scenes(*, held_out: bool, seed: int = 0) -> Iterator[tuple[int, Scene]]:
    """An endless sequence of scenes, each with its seed."""
    number = seed
    while True:
        scene = _scene(random.Random(number))  # noqa: S311 (a drawing, not a secret)
        if scene.held_out == held_out:
            yield number, scene
        number += 1


def distractors(scene: Scene, seed: int, count: int = 7) -> list[Scene]:
    """Random scenes that differ from this one in a single word: a size, a colour, a shape or the relation."""
    generator = random.Random(seed)  # noqa: S311
    choices = {"size": tuple(SIZES), "colour": tuple(COLOURS), "shape": SHAPES}
    every = [replace(scene, relation=relation) for relation in RELATIONS]
    for place in ("first", "second"):
        thing = getattr(scene, place)
        every += [
            replace(scene, **{place: replace(thing, **{slot: word})}) for slot in choices for word in choices[slot]
        ]
    return generator.sample([other for other in every if other != scene], count)


def draw(scene: Scene, seed: int) -> Image:
    """The picture of a scene."""
    from PIL import Image, ImageDraw

    generator = random.Random(seed)  # noqa: S311
    ground = tuple(generator.randint(120, 190) for _ in range(3))
    large = SIDE * _SUPERSAMPLING
    image = Image.new("RGB", (large, large), ground)
    pen = ImageDraw.Draw(image)
    across, down = RELATIONS[scene.relation]
    for thing, sign in ((scene.first, 1), (scene.second, -1)):
        jitter = (generator.uniform(-_JITTER, _JITTER), generator.uniform(-_JITTER, _JITTER))
        centre = tuple(
            (SIDE / 2 + sign * way * _APART + shift) * _SUPERSAMPLING
            for way, shift in zip((across, down), jitter, strict=True)
        )
        radius = _RADIUS * SIZES[thing.size] * generator.uniform(0.92, 1.08) * _SUPERSAMPLING
        _draw_shape(pen, thing, (centre[0], centre[1]), radius)
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    noise = Image.frombytes("RGB", (SIDE, SIDE), generator.randbytes(3 * SIDE * SIDE))
    return Image.blend(small, noise, 0.08)


def _scene(generator: random.Random) -> Scene:
    def thing() -> Thing:
        words = (tuple(SIZES), tuple(COLOURS), SHAPES)
        return Thing(*(generator.choice(of_kind) for of_kind in words))

    first, second = thing(), thing()
    while (second.colour, second.shape) == (first.colour, first.shape):
        second = thing()
    return Scene(first, generator.choice(tuple(RELATIONS)), second)


def _draw_shape(pen: object, thing: Thing, centre: tuple[float, float], radius: float) -> None:
    x, y = centre
    fill = COLOURS[thing.colour]
    if thing.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)  # type: ignore[attr-defined]
    else:
        pen.polygon([(x + radius * dx, y + radius * dy) for dx, dy in _outline(thing.shape)], fill=fill)  # type: ignore[attr-defined]


def _outline(shape: str) -> list[tuple[float, float]]:
    """Corners around the origin, roughly within a unit circle."""
    if shape == "square":
        return [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]
    if shape == "triangle":
        return [(0, -1.1), (1.05, 0.85), (-1.05, 0.85)]
    if shape == "star":
        turns = [(math.pi * step / 5 - math.pi / 2, 1.2 if step % 2 == 0 else 0.5) for step in range(10)]
        return [(reach * math.cos(angle), reach * math.sin(angle)) for angle, reach in turns]
    arm = 0.35
    quarter = [(arm, -1.1), (arm, -arm), (1.1, -arm)]
    return [turned for turn in range(4) for turned in (_turned(corner, turn) for corner in quarter)]


def _turned(corner: tuple[float, float], quarters: int) -> tuple[float, float]:
    for _ in range(quarters):
        corner = (-corner[1], corner[0])
    return corner
