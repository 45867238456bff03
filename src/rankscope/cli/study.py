"""`rankscope study`: a question of the papers, asked of models at hand."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from rankscope.cli.terminal import print_json, progress_on_stderr, quieten_libraries
from rankscope.execution import Execution
from rankscope.settings import Settings, StudyOptions


def study(
    name: str,
    /,
    *,
    output: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    execution: Annotated[Execution, Parameter(name="*")] = Execution(),  # noqa: B008 (frozen)
    options: Annotated[StudyOptions, Parameter(name="*", negative="", consume_multiple=True)] = StudyOptions(),  # noqa: B008 (frozen)
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Ask a question of the papers of models at hand: table, figure and a paragraph, ours beside the published.

    The same command again completes a study that was interrupted.

    For example:
        rankscope study scaling --models family:pico --data stdlib-docs --limit 50
        rankscope study scaling --output s3://BUCKET/studies/scaling --shard 0/8
        rankscope study compression --models MODEL --data DATA --remove 4 --write smaller/

    Args:
        name: Which study (rankscope list studies).
        output: The study's folder, or its address in an object store. Left out: a folder under studies/, named by what
            is asked for.
        json: Print the result as JSON, and nothing else, on standard output.
        execution: Where and how its evaluations are computed.
        options: What it is asked about.
        settings: Of all evaluations.
    """
    quieten_libraries()
    from rankscope.reports import print_notes, print_table, require_charts, study_content, study_table, write_study
    from rankscope.studies import conduct, measure_shard

    if execution.shard is not None:
        with progress_on_stderr() as progress:
            folder = measure_shard(
                name, options, output=output, settings=settings, progress=progress, execution=execution
            )
        print(f"when all shards are there, the same command without --shard concludes the study in {folder}")
        return
    require_charts()  # before anything is measured
    with progress_on_stderr() as progress:
        conducted = conduct(name, options, output=output, settings=settings, progress=progress, execution=execution)
        files = write_study(conducted)
    if json:
        print_json(study_content(conducted), sys.stdout)
        return
    print(f"{conducted.study.question}\n")
    print_table(study_table(conducted), sys.stdout)
    print()
    for sentence in conducted.findings.sentences:
        print(sentence)
    print_notes(conducted.findings.notes, sys.stdout)
    print(f"\nkept in {conducted.request.folder}: {', '.join(files)}")
