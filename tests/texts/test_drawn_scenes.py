from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from rankscope.texts import PairFields, load_pairs, open_image
from rankscope.texts.drawn_scenes import (
    COLOURS,
    RELATIONS,
    SIDE,
    SIZES,
    Scene,
    Thing,
    distractors,
    draw,
    scenes,
)


def test_scenes_are_the_same_each_time_and_held_out_ones_are_apart() -> None:
    held_out = list(islice(scenes(held_out=True), 200))
    assert held_out == list(islice(scenes(held_out=True), 200))
    trained = list(islice(scenes(held_out=False, seed=10**6), 1000))
    combinations = [
        {scene.caption.replace("large ", "").replace("small ", "") for _, scene in part} for part in (held_out, trained)
    ]
    assert not combinations[0] & combinations[1]
    assert len(combinations[0]) > 120
    assert 1500 < held_out[-1][0] < 2500  # about one combination in ten


@pytest.mark.parametrize("relation", RELATIONS)
def test_shapes_are_where_the_caption_says(relation: str) -> None:
    scene = Scene(Thing("large", "red", "circle"), relation, Thing("large", "blue", "square"))
    for seed in range(5):
        pixels = np.asarray(draw(scene, seed)).astype(float)
        assert pixels.shape == (SIDE, SIDE, 3)
        centres = {}
        for colour in ("red", "blue"):
            near = np.linalg.norm(pixels - np.array(COLOURS[colour]), axis=2) < 60
            assert near.sum() > 100
            centres[colour] = np.argwhere(near).mean(axis=0)
        down, across = centres["red"] - centres["blue"]
        wanted = RELATIONS[relation]
        assert across * wanted[0] + down * wanted[1] > 15


def test_a_large_shape_covers_more_than_a_small_one() -> None:
    def covered(size: str) -> int:
        pixels = np.asarray(draw(Scene(Thing(size, "black", "square"), "above", Thing("small", "white", "star")), 0))
        return int((pixels.max(axis=2) < 70).sum())

    assert covered("large") > 1.8 * covered("small")


def test_distractors_differ_in_one_word() -> None:
    for seed, scene in islice(scenes(held_out=True), 30):
        others = distractors(scene, seed)
        assert len({other.caption for other in others} | {scene.caption}) == 8
        for other in others:
            before, after = (one.caption.replace(" of", "").split() for one in (scene, other))
            assert sum(one != two for one, two in zip(before, after, strict=True)) == 1


def test_as_a_data_set() -> None:
    pairs = load_pairs("drawn-scenes", PairFields(), limit=3)
    seed, scene = next(scenes(held_out=True))
    assert len(pairs.pairs) == 3
    assert len(load_pairs("drawn-scenes", PairFields()).pairs) == 200
    assert (pairs.pairs[0].instruction, pairs.pairs[0].response) == ("Describe the picture.", scene.caption)
    assert (np.asarray(open_image(pairs.pairs[0].image)) == np.asarray(draw(scene, seed))).all()
    assert set(SIZES) == {"small", "large"}
