"""Tests, with the values printed in its paper, whether Diff-eRank predicts accuracy beyond model size.

OpenELM and Cerebras-GPT on dolly-15k; accuracy is the mean of winogrande and piqa (arXiv 2401.17139, tables 7 and 8).

    python benchmarks/published_prediction.py
"""

from __future__ import annotations

from dataclasses import asdict

import polars as pl

from rankscope.models import family_members
from rankscope.statistics import predictions
from rankscope.studies import printed_tables

TABLES = ("diff_erank.table7", "diff_erank.table8")


FAMILIES = ("openelm", "cerebras-gpt")


def main() -> None:
    """Prints each baseline and the gain of each metric, over both families and within Cerebras-GPT."""
    printed = printed_tables(TABLES).pivot("column", index=["family", "model"], values="value")
    sizes = {(family, one.label): one.parameters for family in FAMILIES for one in family_members(family)}
    rows = [row | {"parameters": sizes[row["family"], row["model"]]} for row in printed.rows(named=True)]
    show("both families", rows)
    show("Cerebras-GPT", [row for row in rows if row["family"] == "cerebras-gpt"])


def show(title: str, rows: list[dict[str, object]]) -> None:
    """Prints the predictions over some models."""
    found = predictions(rows, ("diff_erank", "reduced_loss"), "accuracy", ("parameters", "reduced_loss"))
    kept = ("baseline", "metric", "r_squared", "spearman", "gain", "gain_low", "gain_high", "models", "left_out")
    table = pl.DataFrame([asdict(one) | {"verdict": one.verdict} for one in found]).select(*kept, "verdict")
    with pl.Config(tbl_cols=-1, tbl_width_chars=160, float_precision=2, tbl_hide_dataframe_shape=True):
        print(title, table, sep="\n")


if __name__ == "__main__":
    main()
