"""`rankscope watch`: measure the checkpoints of a training run as they appear."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rankscope.cli.terminal import print_json, progress_on_stderr, quieten_libraries
from rankscope.errors import RankscopeError
from rankscope.settings import Settings
from rankscope.watch_settings import WatchSettings

if TYPE_CHECKING:
    from rankscope.runs import Progress, Watch

PAGE = "report.html"


def watch(
    folder: Path,
    /,
    *,
    data: Annotated[list[str], Parameter(negative="")],
    output: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    pace: Annotated[WatchSettings, Parameter(name="*")] = WatchSettings(),  # noqa: B008 (frozen)
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Measure the checkpoints of a training run as they appear, each once it is complete; update a table and a page.

    The training script needs no changes and need not have started. Press Ctrl-C to stop; run the same command again
    to resume.

    For example:

        rankscope watch out/ --data dolly-15k --limit 100 --until-step 10000

    Args:
        folder: Where training writes checkpoint-500, step_1000 and so on; it need not exist yet.
        data: A catalogue name (rankscope list datasets), NAME=PATH[,PATH], a file, a folder or a hub id.
        output: Folder for results. Default: a folder under runs/, named after the training's folder.
        json: Print only one line of JSON for each checkpoint on standard output.
        pace: How often to look, and when to stop.
        settings: Settings of each evaluation.
    """
    quieten_libraries()
    from rankscope.reports import GrowingTable
    from rankscope.runs import local_path, open_watch
    from rankscope.tables import checkpoints_table

    results = None if output is None else local_path(output, "the results of a watch")
    table, noted, count = GrowingTable(checkpoints_table, sys.stdout), set[str](), 0
    with progress_on_stderr() as progress:
        watching = open_watch(folder, data, results, settings, pace, progress)
        for one in watching.follow():
            count += 1
            if json:
                content = {"checkpoint": one.name, "step": one.rows[0]["step"], "rows": one.run.summary_rows()}
                print_json(content, sys.stdout, indent=None)
            else:
                table.print(one.rows)
            sys.stdout.flush()
            for note in one.run.notes():
                if note.name not in noted:
                    progress.say(f"note {note.name}: {note.text}")
                noted.add(note.name)
            if not one.waiting:
                _draw(watching, progress)
        progress.say(_said(count, watching))


def _draw(watching: Watch, progress: Progress) -> None:
    """Writes the page of all checkpoints. A failure is reported and does not stop the watch."""
    from rankscope.reports import build_report, save_page

    try:
        save_page(build_report(*(one.run for one in watching.kept.finished())), watching.output / PAGE)
    except RankscopeError as error:
        progress.say(f"could not write the page: {error}")


def _said(count: int, watching: Watch) -> str:
    """A summary of the watch."""
    parts = [f"{count:,} checkpoints measured"]
    if watching.removed:
        parts.append(f"{len(watching.removed):,} removed before they were measured")
    if watching.unreadable:
        parts.append(f"{len(watching.unreadable):,} unreadable: {', '.join(sorted(watching.unreadable))}")
    return f"{'; '.join(parts)}; saved to {watching.output}"
