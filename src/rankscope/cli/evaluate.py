"""`rankscope evaluate`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rankscope.settings import Settings


def evaluate(
    models: Annotated[list[str], Parameter(name="MODEL", negative="")],
    /,
    *,
    data: Annotated[list[str], Parameter(negative="")],
    output: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Measure models on texts: effective rank, entropy and norms of hidden states, loss, untrained twin.

    The same command again completes a run that was interrupted.

    For example:
        rankscope evaluate facebook/opt-125m --data dolly-15k --limit 500

    Args:
        models: Hub id, folder or .gguf file, each with optional @revision.
        data: A catalogue name (rankscope list datasets), NAME=PATH[,PATH], a file, a folder or a hub id.
        output: The run's folder. Left out: one under runs/, named by what is asked for.
        json: Print the summary as JSON, and nothing else, on standard output.
        settings: What to do.
    """
    _be_quiet()
    from rankscope.reports import print_summary
    from rankscope.runs import Lines, bar_on_stderr
    from rankscope.runs import evaluate as run_evaluation

    if sys.stderr.isatty():
        with bar_on_stderr() as bar:
            run = run_evaluation(models, data, output=output, settings=settings, progress=bar)
    else:
        run = run_evaluation(models, data, output=output, settings=settings, progress=Lines(sys.stderr))
    if json:
        print((run.path / "summary.json").read_text(encoding="utf-8"), end="")
        return
    print_summary(run.summary_rows(), sys.stdout)
    print(f"\nkept in {run.path}")


def _be_quiet() -> None:
    """Other libraries' advice would drown ours, and their bars fill a log; errors still come through."""
    import os
    import warnings

    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    import datasets
    import transformers

    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
