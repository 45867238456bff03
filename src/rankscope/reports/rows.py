"""The rows of several runs under labels that tell models and settings apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rankscope.runs import Effect, folder_names
from rankscope.statistics import layer_depth
from rankscope.tables import short_names

if TYPE_CHECKING:
    from rankscope.runs import Differing, Run
    from rankscope.statistics import Summary


@dataclass(frozen=True)
class LabelledRow:
    """A row of a summary under its label, with the run and the reference that it came from."""

    run: Run
    reference: str
    row: Summary

    @property
    def label(self) -> str:
        """What tables and charts call the model."""
        return str(self.row["model"])


def labelled_rows(rows: list[tuple[Run, Summary]], different: Differing) -> list[LabelledRow]:
    """Short names, else references; behind them the settings in which runs differ, else the run's folder."""
    short = short_names(row["model"] for _, row in rows)
    names = different.of(Effect.NUMBERS, Effect.TEXTS, Effect.TWIN)
    if not _all_apart(rows, different, names):
        names += different.of(Effect.ROUNDING)
    folders = {} if _all_apart(rows, different, names) else folder_names(different.runs)
    found = []
    for run, row in rows:
        behind = [different.label(names, run)] if names else []
        if folders and _holders(rows, row) > 1:
            behind.append(folders[run])
        label = short[str(row["model"])] + (f" ({'; '.join(behind)})" if behind else "")
        found.append(LabelledRow(run, str(row["model"]), row | {"model": label}))
    return found


def _all_apart(rows: list[tuple[Run, Summary]], different: Differing, names: Sequence[str]) -> bool:
    """Whether these settings tell the runs of each model on each data set apart."""
    places = {(row["model"], row["dataset"], run) for run, row in rows}
    return len({(model, data, different.label(names, run)) for model, data, run in places}) == len(places)


def _holders(rows: list[tuple[Run, Summary]], of: Summary) -> int:
    """How many runs have a model's rows on a data set."""
    same = (of["model"], of["dataset"])
    return len({run for run, row in rows if (row["model"], row["dataset"]) == same})


def deepest_layer(one: LabelledRow, rows: Sequence[LabelledRow]) -> str:
    """The layer that stands for a model: the head's input, else the last block that was measured."""
    same = (one.run, one.label, one.row["dataset"])
    layers = [str(other.row["layer"]) for other in rows if (other.run, other.label, other.row["dataset"]) == same]
    return max(layers, key=layer_depth)


def common_layer(rows: Sequence[LabelledRow]) -> str | None:
    """The deepest layer that all models of a data set have."""
    layers = [{str(one.row["layer"]) for one in rows if one.label == label} for label in {one.label for one in rows}]
    shared = set.intersection(*layers)
    return max(shared, key=layer_depth) if shared else None


def told_apart(rows: Sequence[LabelledRow]) -> bool:
    """Whether no model comes twice."""
    return len({one.reference for one in rows}) == len(rows)
