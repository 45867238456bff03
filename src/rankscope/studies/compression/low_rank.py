"""How many directions the hidden states of a layer use, and what a low-rank reader would save."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from rankscope.measuring import measure_token_moments
from rankscope.metrics import directions_needed
from rankscope.models import TransformersNetwork, readers_of_layers, resolve_layers
from rankscope.studies.compression.workbench import AS_IT_IS, Workbench

SHARES = (0.9, 0.95, 0.99)
_ENOUGH = 10
"""Tokens per dimension below which the smaller eigenvalues of a covariance are strongly underestimated."""


def count_directions(bench: Workbench) -> pl.DataFrame:
    """One row per layer and share of the variance, over the tokens of all texts.

    The columns are `layer`, `depth`, `share` (as text: `held`), `directions`, `of_hidden_size`, `of_weights`,
    `hidden_size` and `tokens`. `of_weights` is about the linear layers that read a layer's states: the number of
    weights in their low-rank form, divided by that in their full form; null if no linear layer reads the states.
    `tokens` is the number of pooled tokens.
    """
    layers = resolve_layers("all", bench.blocks)
    label = f"{bench.model.reference.label} on {bench.texts.name}: directions"
    bench.progress.start(label, bench.whole.tokens)

    def found() -> None:
        bench.progress.advance(bench.whole.tokens, computed=False)

    identity = {"directions": SHARES, "layers": layers, "texts": bench.whole.fingerprint}
    return bench.kept("directions", identity, lambda: _count(bench, layers), found)


def _count(bench: Workbench, layers: tuple[str, ...]) -> pl.DataFrame:
    with bench.network(AS_IT_IS) as network:
        assert isinstance(network, TransformersNetwork)  # noqa: S101 (for the type checker)
        fitted = network.fitted_to(bench.name, bench.whole.token_ids)

        def told(tokens: int) -> None:
            bench.progress.advance(tokens, computed=True)

        moments = measure_token_moments(bench.whole, fitted, layers, told)
        readers = readers_of_layers(network.network, list(bench.whole.batches[-1][0].tokens))
    rows = []
    for place, layer in enumerate(layers):
        numbers = directions_needed(moments[layer], SHARES).tolist()
        size, reader = moments[layer].outer.shape[0], readers.get(layer)
        rows += [
            {
                "layer": layer,
                "depth": place / (len(layers) - 1),
                "share": share,
                "held": f"{share:.0%}",
                "directions": number,
                "of_hidden_size": number / size,
                "of_weights": None if reader is None else reader.share_of_weights(number),
                "hidden_size": size,
                "tokens": int(moments[layer].tokens),
            }
            for share, number in zip(SHARES, numbers, strict=True)
        ]
    return pl.DataFrame(rows, schema_overrides={"of_weights": pl.Float64})


def sentences_on_directions(table: pl.DataFrame, subject: str) -> Iterator[str]:
    """Sentences on layers with the fewest and most directions, on weights saved, and on too few tokens."""
    for share in SHARES:
        rows = table.filter(pl.col("share") == share).sort("directions", maintain_order=True)
        least, most = rows.row(0, named=True), rows.row(-1, named=True)
        readable = rows.drop_nulls("of_weights")
        pays = readable.filter(pl.col("of_weights") < 1).height
        yield (
            f"{subject}: {share:.0%} of the variance over tokens takes {least['of_hidden_size']:.0%} "
            f"({least['directions']} of {least['hidden_size']} directions, layer {least['layer']}) to "
            f"{most['of_hidden_size']:.0%} (layer {most['layer']}) of the hidden size; a low-rank form of the linear "
            f"layers that read a layer saves weights at {pays} of {readable.height} layers."
        )
    tokens, size = int(table["tokens"][0]), int(table["hidden_size"].max())  # type: ignore[arg-type]
    if tokens < _ENOUGH * size:
        yield (
            f"{subject}: {tokens:,} tokens are fewer than {_ENOUGH} per dimension ({size}), so these numbers of "
            "directions are too small: use more texts."
        )
