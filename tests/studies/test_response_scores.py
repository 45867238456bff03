from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import rankscope as rs
from rankscope.statistics import adjusted_means, rankings_at_length
from rankscope.studies.response_scores import METRICS, ranked_at_length, response_scores, with_length_alone
from rankscope.texts import TextSet
from rankscope.texts.text import Text

RESPONDERS = [f"r{place}" for place in range(8)]
PLACES = {name: float(place) for place, name in enumerate(RESPONDERS)}


def scores(prompts: int = 6) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for place, responder in enumerate(RESPONDERS):
        for prompt in range(prompts):
            tokens = int(rng.integers(20, 200))
            rows.append(
                {
                    "judge": "j", "responder": responder, "prompt": str(prompt), "layer": "last", "status": "ok",
                    "reason": None, "tokens": tokens, "characters": 5 * tokens + int(rng.integers(0, 300)),
                    "matrix_nuclear_norm": np.log(tokens), "loss": place + 0.001 * float(rng.normal()),
                }
            )  # fmt: skip
    return pl.DataFrame(rows)


def test_what_length_alone_gives_stands_beside_each_score() -> None:
    table, (told,) = with_length_alone(scores())
    assert table.height == 48
    assert table["matrix_nuclear_norm_from_length"].to_list() == pytest.approx(table["matrix_nuclear_norm"].to_list())
    assert told.startswith(
        "Judged by j: length alone explains this share of the variance over single responses: MNN 100%, loss "
    )
    assert table["loss_from_length"].std() < 0.5 * table["loss"].std()  # type: ignore[operator]


def test_a_response_that_could_not_be_measured_keeps_its_row() -> None:
    one = scores().with_row_index()
    broken = one.with_columns(
        pl.when(pl.col("index") == 3).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("matrix_nuclear_norm", "loss")
    ).with_columns(status=pl.when(pl.col("index") == 3).then(pl.lit("skipped")).otherwise(pl.lit("ok")))
    table, _ = with_length_alone(broken)
    assert table["loss_from_length"].null_count() == 1
    found, _ = ranked_at_length(broken, PLACES)
    without, _ = ranked_at_length(one.filter(pl.col("prompt") != "3"), PLACES)  # prompts that all have
    assert found.equals(without)


def test_the_ranking_is_that_of_the_statistics() -> None:
    found, (told,) = ranked_at_length(scores(), PLACES)
    tables = {
        name: scores().pivot("responder", index="prompt", values=name).select(RESPONDERS).to_numpy()
        for name in ("matrix_nuclear_norm", "loss", "tokens", "characters")
    }
    direct = rankings_at_length(
        {name: tables[name].mean(axis=0) for name in ("matrix_nuclear_norm", "loss")},
        {name: adjusted_means(tables[name], tables["tokens"]) for name in ("matrix_nuclear_norm", "loss")},
        tables["characters"].mean(axis=0),
        np.arange(8.0),
    )
    assert found["spearman"].to_list() == [one.spearman for one in direct]
    assert found["still_ranks"].to_list() == [one.still_ranks for one in direct]
    assert told.startswith("Judged by j: with length held fixed, Spearman's correlation with the leaderboard over 8 ")
    assert told.endswith("Metrics that still rank the responders: loss.")


def test_a_metric_that_is_length_alone_ranks_nobody() -> None:
    found, (told,) = ranked_at_length(scores().drop("loss"), PLACES)
    assert found["spearman"].to_list() == [None]
    assert "MNN undefined (length alone explains it);" in told
    assert told.endswith("Metrics that still rank the responders: none.")


def test_few_responders_on_the_leaderboard_rank_nothing() -> None:
    few = dict(list(PLACES.items())[:5])
    _, (told,) = ranked_at_length(scores(), few)
    assert told.endswith("needs at least 6 responders on the leaderboard.")


@pytest.mark.slow
def test_each_response_has_a_row_with_its_numbers(tmp_path: Path) -> None:
    texts = TextSet("a", "a", (Text("7", "It was a bright cold day in April."), Text("9", "Yes.")))
    file = tmp_path / "a.jsonl"
    file.write_text("".join(f'{{"id": "{one.id}", "response": "{one.text}"}}\n' for one in texts.texts))
    run = rs.evaluate(
        "pico-0.1m", str(file), field="response", untrained_seeds=0, output=tmp_path / "run", device="cpu"
    )
    found = response_scores(run, "pico-0.1m", {"a.jsonl": "writer"}, {"writer": texts})
    assert found.select("judge", "responder", "prompt").rows() == [("pico-0.1m", "writer", one) for one in ("7", "9")]
    assert found["characters"].to_list() == [len(one.text) for one in texts.texts]
    measured = run.measurements()
    for metric in METRICS:
        assert found[metric].to_list() == measured[metric].to_list()
    assert found["tokens"].to_list() == measured["n_tokens"].to_list()
