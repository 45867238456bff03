from __future__ import annotations

import math

import polars as pl
import pytest

from rankscope.studies.characters import bits_per_character

CHARACTERS = {("d", "0"): 10, ("d", "1"): 30, ("d", "2"): 1000}


def row(model: str, text: str, n_tokens: int, nats: float, **more: object) -> dict[str, object]:
    """A measurement whose tokens cost so many nats in all."""
    given = {"dataset": "d", "layer": "last", "role": "trained", "seed": None, "cut": False}
    return given | {"model": model, "text_id": text, "n_tokens": n_tokens, "loss": nats / (n_tokens - 1)} | more


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema_overrides={"seed": pl.Int64})


def test_all_bits_over_all_characters_however_the_text_is_cut_into_tokens() -> None:
    found = bits_per_character(
        frame(row("m", "0", 3, 4.0), row("m", "1", 9, 12.0), row("n", "0", 6, 4.0), row("n", "1", 21, 12.0)), CHARACTERS
    )
    expected = 16 / math.log(2) / 40
    assert found == {
        ("d", "m", "trained"): pytest.approx(expected),
        ("d", "n", "trained"): pytest.approx(expected),
    }


def test_a_uniform_guess_over_bytes_costs_eight_bits() -> None:
    rows = frame(row("m", "0", 11, 10 * math.log(256)), row("n", "0", 2, 1.0))
    assert bits_per_character(rows, CHARACTERS)["d", "m", "trained"] == pytest.approx(8)


def test_only_texts_count_that_all_read_to_their_end() -> None:
    cut = row("n", "2", 9, 99.0, cut=True)
    failed = row("n", "1", 2, 1.0) | {"loss": None}
    rows = frame(
        row("m", "0", 3, 4.0), row("m", "1", 9, 8.0), row("m", "2", 9, 8.0), row("n", "0", 3, 2.0), failed, cut
    )
    found = bits_per_character(rows, CHARACTERS)
    assert found["d", "m", "trained"] == pytest.approx(0.4 / math.log(2))
    assert found["d", "n", "trained"] == pytest.approx(0.2 / math.log(2))
    assert bits_per_character(frame(row("m", "0", 3, 1.0), row("n", "0", 3, 1.0, cut=True)), CHARACTERS) == {}
    assert bits_per_character(frame(row("m", "window of 0", 3, 1.0)), CHARACTERS) == {}


def test_twins_are_averaged_and_other_layers_are_not_counted_again() -> None:
    twins = [row("m", "0", 3, nats, role="untrained", seed=seed) for seed, nats in enumerate((2.0, 4.0))]
    again = row("m", "0", 3, 1.0, layer="0")
    found = bits_per_character(frame(row("m", "0", 3, 1.0), *twins, again), CHARACTERS)
    assert found == {
        ("d", "m", "trained"): pytest.approx(0.1 / math.log(2)),
        ("d", "m", "untrained"): pytest.approx(0.3 / math.log(2)),
    }
