"""What a study is: a declaration, and what comes out of it.

A study asks one question of some models and texts. It names what it varies, measures through `evaluate`,
and turns the rows into a tidy table and a few sentences. How these are printed and drawn is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from rankscope.execution import Execution
from rankscope.runs import Place, Progress
from rankscope.settings import Settings, StudyOptions
from rankscope.statistics import Note

if TYPE_CHECKING:
    from rankscope.studies.conditions import Grid


@dataclass(frozen=True)
class Request:
    """A study that was asked for: everything is resolved, nothing is measured yet.

    Attributes:
        models: model references.
        data: data references.
        settings: of all its evaluations, apart from what the study varies.
        options: of single studies.
        folder: where runs and results go; its path, or its address in an object store.
        progress: told of progress.
        execution: where and how its evaluations are computed.
    """

    models: tuple[str, ...]
    data: tuple[str, ...]
    settings: Settings
    options: StudyOptions
    folder: Place
    progress: Progress
    execution: Execution = field(default_factory=Execution)


@dataclass(frozen=True)
class Figure:
    """What is drawn of a table of a study: a panel for each metric.

    Attributes:
        x: column of the horizontal axis.
        metrics: columns, a panel each.
        series: column that tells lines apart.
        log_x: logarithmic horizontal axis.
        panels_by: column that splits the figure into rows of panels.
        is_ordered: points of a series are joined by a line.
        order: column by which they are joined; the horizontal axis if left out.
        marks: a further table whose column `change` is marked on the horizontal axis by rules.
        table: name of the further table that is drawn; None for the study's own.
        title: above its panels, where a study has several figures.
    """

    x: str
    metrics: tuple[str, ...]
    series: str
    log_x: bool = False
    panels_by: str | None = None
    is_ordered: bool = True
    order: str | None = None
    marks: str | None = None
    table: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class Findings:
    """What came out.

    Attributes:
        table: tidy: a row for each model and condition; `<metric>_low`, `<metric>_high` are intervals,
            `<metric>_published` what a paper prints for the same model and data, `<metric>_noise` isotropic noise.
        sentences: what the table says.
        notes: those that fired in any of the runs.
        more: further tables by name, such as correlations.
        figure: in the place of the study's, where what came out decides what is drawn.
        files: further files that are already in the study's folder, by name.
    """

    table: pl.DataFrame
    sentences: tuple[str, ...]
    notes: tuple[Note, ...] = ()
    more: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    figure: Figure | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """A declared study.

    Attributes:
        name: on the command line.
        question: in a sentence.
        source: the table or figure of a paper that asks it, or that none does.
        models: measured unless others are named.
        data: measured unless others are named.
        columns: of the printed table, in order.
        figure: what is drawn.
        conduct: measures and concludes.
        decides: settings that the study sets itself and nobody else may.
        published: tables of the papers that belong to it.
        options: fields of `StudyOptions` that it reads.
        grids: the evaluations that it measures, all known before the first of them; none where it has no such parts.
        besides: what else it measures, in words; None where there is nothing. Evaluations alone can be cut into shards.
        more_figures: drawn below the figure.
        in_one_process: it holds a network itself, so no other engine can compute it.
    """

    name: str
    question: str
    source: str
    models: tuple[str, ...]
    data: tuple[str, ...]
    columns: tuple[str, ...]
    figure: Figure
    conduct: Callable[[Request], Findings]
    decides: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    grids: Callable[[Request], Sequence[Grid]] = lambda _: ()
    besides: Callable[[Request], str | None] = lambda _: None
    more_figures: tuple[Figure, ...] = ()
    in_one_process: bool = False
