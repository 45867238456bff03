"""`rankscope study`: reproduce a table or figure from the papers."""

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
    """Reproduce a table or figure from the papers with your own models, next to the published numbers.

    Run the same command again to resume an interrupted study.

    For example:

        rankscope study scaling --models family:pico --data stdlib-docs --limit 50
        rankscope study scaling --output s3://BUCKET/studies/scaling --shard 0/8
        rankscope study compression --models MODEL --data DATA --remove 4 --write smaller/

    Args:
        name: Name of the study (rankscope list studies).
        output: Folder for results, or its address in an object store. Default: a folder under studies/, named after the
            study and its settings.
        json: Print only the result, as JSON, on standard output.
        execution: Where and how to run the evaluations.
        options: What the study covers.
        settings: Settings of all evaluations.
    """
    quieten_libraries()
    from rankscope.reports import print_notes, print_table, study_content, study_table, write_study
    from rankscope.studies import conduct, measure_shard

    if execution.shard is not None:
        with progress_on_stderr() as progress:
            folder = measure_shard(
                name, options, output=output, settings=settings, progress=progress, execution=execution
            )
        print(f"when all shards are finished, run the same command without --shard to conclude the study in {folder}")
        return
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
    print(f"\nsaved to {conducted.request.folder}: {', '.join(files)}")
