"""A study: its declaration, its request and its findings.

A study answers one question about models and texts. It declares what it varies, measures through `evaluate`,
and turns the rows into a tidy table and a few sentences. It does not deal with printing or drawing.
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
    """A request to conduct a study, with all names resolved.

    Attributes:
        models: Model references.
        data: Data references.
        settings: Settings of all evaluations, apart from what the study varies.
        options: Options of single studies.
        folder: The folder for runs and results: its path, or its address in an object store.
        progress: Receives progress.
        execution: Where and how evaluations are computed.
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
    """A figure of a study's table, with one panel per metric.

    Attributes:
        x: Column of the horizontal axis.
        metrics: Columns, one panel each.
        series: Column that distinguishes the lines.
        log_x: Whether the horizontal axis is logarithmic.
        panels_by: Column that splits the figure into rows of panels.
        is_ordered: Whether the points of a series are joined by a line.
        order: Column that orders the joined points. Default: the horizontal axis.
        marks: Another table whose column `change` is marked on the horizontal axis by rules.
        table: Name of another table to draw; None for the study's own.
        title: Title above the panels, for studies with several figures.
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
    """The results of a study.

    Attributes:
        table: One row per model and condition. `<metric>_low` and `<metric>_high` are intervals,
            `<metric>_published` is the value that a paper prints for the same model and data, and `<metric>_noise`
            the value for isotropic noise.
        sentences: The findings in words.
        notes: Notes that fired in any of the runs.
        more: Other tables by name, such as correlations.
        figure: Replaces the study's figure, if the results determine what is drawn.
        files: Names of other files that are already in the study's folder.
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
        name: Name on the command line.
        question: The question in a sentence.
        source: The table or figure of a paper that asks it, or a statement that none does.
        models: Default models.
        data: Default data.
        columns: Columns of the printed table, in order.
        figure: The main figure.
        conduct: Carries out the study.
        decides: Settings that the study sets itself; callers cannot change them.
        published: The papers' tables that belong to the study.
        options: Fields of `StudyOptions` that it uses.
        grids: Returns the evaluations of a request, all known before the first one starts; empty if there are none.
        also_measures: Names what a request measures in addition to evaluations, or None. Only evaluations can be split
            into shards.
        more_figures: Figures below the main one.
        in_one_process: Whether the study holds a network itself, so that only the local engine can run it.
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
    also_measures: Callable[[Request], str | None] = lambda _: None
    more_figures: tuple[Figure, ...] = ()
    in_one_process: bool = False
