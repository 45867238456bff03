"""Summary rows of several runs, labelled so that models and settings are distinguishable."""

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
    """A labelled summary row, with its run and the model's reference."""

    run: Run
    reference: str
    row: Summary

    @property
    def label(self) -> str:
        """The model's name in tables and charts."""
        return str(self.row["model"])


def labelled_rows(rows: list[tuple[Run, Summary]], different: Differing) -> list[LabelledRow]:
    """Labels rows with short names, followed in parentheses by the settings in which the runs differ.

    The run's folder is added if settings alone do not distinguish the runs of a model on a data set.
    """
    short = short_names(row["model"] for _, row in rows)
    names = different.of(Effect.NUMBERS, Effect.TEXTS, Effect.TWIN)
    if not _are_distinguished(rows, different, names):
        names += different.of(Effect.ROUNDING)
    folders = {} if _are_distinguished(rows, different, names) else folder_names(different.runs)
    found = []
    for run, row in rows:
        behind = [different.label(names, run)] if names else []
        if folders and _holders(rows, row) > 1:
            behind.append(folders[run])
        label = short[str(row["model"])] + (f" ({'; '.join(behind)})" if behind else "")
        found.append(LabelledRow(run, str(row["model"]), row | {"model": label}))
    return found


def _are_distinguished(rows: list[tuple[Run, Summary]], different: Differing, names: Sequence[str]) -> bool:
    """Whether these settings distinguish the runs of every model on every data set."""
    places = {(row["model"], row["dataset"], run) for run, row in rows}
    return len({(model, data, different.label(names, run)) for model, data, run in places}) == len(places)


def _holders(rows: list[tuple[Run, Summary]], of: Summary) -> int:
    """The number of runs that measured the row's model on the row's data set."""
    same = (of["model"], of["dataset"])
    return len({run for run, row in rows if (row["model"], row["dataset"]) == same})


def deepest_layer(one: LabelledRow, rows: Sequence[LabelledRow]) -> str:
    """The layer that represents a model: the input of the head, or else the deepest block that was measured."""
    same = (one.run, one.label, one.row["dataset"])
    layers = [str(other.row["layer"]) for other in rows if (other.run, other.label, other.row["dataset"]) == same]
    return max(layers, key=layer_depth)


def common_layer(rows: Sequence[LabelledRow]) -> str | None:
    """The deepest layer that was measured for all models, or None."""
    layers = [{str(one.row["layer"]) for one in rows if one.label == label} for label in {one.label for one in rows}]
    shared = set.intersection(*layers)
    return max(shared, key=layer_depth) if shared else None


def told_apart(rows: Sequence[LabelledRow]) -> bool:
    """Whether each model occurs only once."""
    return len({one.reference for one in rows}) == len(rows)
