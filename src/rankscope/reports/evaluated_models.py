"""The models of a run of texts, as the formats in which results are shared need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
from rankscope.tables import is_of_images, short_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rankscope.runs import Run
    from rankscope.statistics import Summary


@dataclass(frozen=True)
class EvaluatedModel:
    """A model and its results.

    Attributes:
        reference: as the run names it.
        name: a short name, unique in the run.
        entry: the manifest's facts about it, such as `revision` and `fingerprint`.
        rows: a summary for each data set and layer; at least one.
    """

    reference: str
    name: str
    entry: Mapping[str, Any]
    rows: Sequence[Summary]


def evaluated_models(run: Run, receiver: str) -> list[EvaluatedModel]:
    """The models of a run, in its order.

    Args:
        run: an evaluation of texts.
        receiver: what the results are for, for the message: `the harness's format`.

    Raises:
        SettingsError: a run of images and texts.
        RunFolderError: the run is not finished, or the folder is not a run's.
    """
    rows = [row for row in run.summary_rows() if not is_of_images(row)]
    if not rows:
        raise SettingsError(f"{run.place} holds no evaluation of texts: {receiver} takes runs of evaluate")
    entries = {entry["reference"]: entry for entry in run.manifest()["identity"]["models"]}
    return [
        EvaluatedModel(reference, name, entries.get(reference, {}), [row for row in rows if row["model"] == reference])
        for reference, name in short_names(row["model"] for row in rows).items()
    ]
