"""What is said of rounding, from planted entropies and losses."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankscope.studies.compression.rounding import Moved, moved, sentences_on_rounding

LAYERS = ("0", "1", "last")
TEXTS = 30


def measured(loss: float = 0.0, entropy: dict[str, float] | None = None, noise: float = 0.01) -> pl.DataFrame:
    """Texts whose loss and entropies at some layers lie so much higher on average, give or take noise."""
    half = np.random.default_rng(7).standard_normal(TEXTS // 2)
    scatter = noise * np.concatenate([half, -half])
    tables = []
    for layer in LAYERS:
        more = (entropy or {}).get(layer, 0.0)
        tables.append(
            pl.DataFrame(
                {
                    "text_id": [str(n) for n in range(TEXTS)],
                    "layer": layer,
                    "matrix_entropy": 2.0 + more + scatter,
                    "loss": 3.0 + loss + scatter,
                }
            )
        )
    return pl.concat(tables)


def found(by_bits: dict[int, pl.DataFrame]) -> Moved:
    before = measured(noise=0.0)
    rows = [{"scheme": "by channel", "bits": bits} | moved(before, after, LAYERS)[0] for bits, after in by_bits.items()]
    return Moved(pl.DataFrame(rows), pl.DataFrame())


def said(by_bits: dict[int, pl.DataFrame]) -> str:
    return next(iter(sentences_on_rounding(found(by_bits), "m on d")))


def test_a_row_holds_the_changes_of_loss_and_of_the_clearest_layer() -> None:
    row, layers = moved(measured(noise=0.0), measured(0.5, {"1": -0.25, "last": 0.125}, noise=0.001), LAYERS)
    assert row["loss_change"] == pytest.approx(0.5, abs=0.01)
    assert row["entropy_shift"] == pytest.approx(0.125, abs=0.01)  # at the head's input
    assert (row["clearest_layer"], row["clearest_shift"]) == ("1", pytest.approx(-0.25, abs=0.01))
    assert row["effective_rank"] == pytest.approx(np.exp(2.125), rel=0.01)
    assert [layer["layer"] for layer in layers] == list(LAYERS)
    assert [layer["depth"] for layer in layers] == [0, 0.5, 1]
    assert layers[1]["entropy_shift_high"] < 0 < layers[2]["entropy_shift_low"]
    assert layers[0]["p_holm"] > 0.05 > layers[1]["p_holm"]


def test_the_spectrum_may_move_first() -> None:
    sentence = said({8: measured(0.0, {"1": 0.1}), 4: measured(0.2, {"1": 0.2})})
    assert (
        "matrix entropy moves beyond noise from 8 bits down, the loss rises beyond noise from 4 bits down" in sentence
    )
    assert "the spectrum moves first. At 8 bits, the loss changes by" in sentence
    assert "at layer 1, by +0.1" in sentence or "at layer 1, by +0.09" in sentence


def test_the_loss_may_rise_first() -> None:
    sentence = said({8: measured(0.1), 4: measured(0.2, {"1": 0.2})})
    assert "the loss rises first" in sentence


def test_both_may_move_together_or_not_at_all() -> None:
    assert "the spectrum gives no earlier warning" in said({8: measured(0.0), 4: measured(0.2, {"0": 0.2})})
    assert said({8: measured(0.0), 3: measured(0.0)}).endswith("moves beyond noise down to 3 bits.")


def test_a_loss_that_falls_is_no_damage() -> None:
    sentence = said({8: measured(-0.1), 4: measured(-0.1, {"0": 0.1})})
    assert "the loss rises beyond noise at no number of bits" in sentence


def test_what_was_not_rounded_is_said() -> None:
    partly = Moved(found({8: measured()}).table, pl.DataFrame(), share=0.4)
    assert "40.0%" in " ".join(sentences_on_rounding(partly, "m on d"))
    wholly = Moved(partly.table, pl.DataFrame(), share=0.999)
    assert "only the weights of linear layers" not in " ".join(sentences_on_rounding(wholly, "m on d"))
