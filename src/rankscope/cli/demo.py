"""`rankscope demo`: a one-minute offline tour."""

from __future__ import annotations

import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rankscope.cli.terminal import progress_on_stderr, quieten_libraries
from rankscope.settings import Settings

_TEXTS = 100

_ACROSS_SIZES = """
Four small models of one family, trained on the same data, on {texts} texts from the docstrings of Python's standard
library:
"""

_THROUGH_TRAINING = """
One of them at several training steps, on the same texts:
"""

_WHAT_IT_IS = """
eRank is the number of directions that the hidden states of a text effectively use. "Untrained" is the same network
with random weights, and Diff-eRank is the difference. Training lowers the loss; nothing in it targets eRank. A higher
Diff-eRank does not by itself mean a better model: much of it comes from the untrained network, whose eRank grows with
the hidden size, and both terms depend on text length. Compare models on the same texts, and read both terms together
with the loss.

Next, try your own model:

  rankscope evaluate YOUR_MODEL --data YOUR_TEXTS.txt        hub id, folder or .gguf file; one text per line
  rankscope evaluate pico-3m --data stdlib-docs --limit 100 --layers all
"""


def demo(*, output: Path | None = None) -> None:
    """Show what rankscope measures, in a minute and offline, on bundled models and texts.

    For example:

        rankscope demo

    Args:
        output: Keep the two runs in this folder. By default they are discarded.
    """
    quieten_libraries()
    from rankscope.models import pico_checkpoints, pico_sizes
    from rankscope.reports import console_for, print_table
    from rankscope.runs import evaluate
    from rankscope.tables import summary_table, trajectory_table

    checkpoints = pico_checkpoints()
    with tempfile.TemporaryDirectory() if output is None else nullcontext(str(output)) as folder:
        settings = Settings(limit=_TEXTS, device="cpu")
        with progress_on_stderr() as progress:
            place = Path(folder)
            sizes = evaluate(
                pico_sizes(), "stdlib-docs", output=place / "sizes", settings=settings, progress=progress
            ).summary_rows()
            names = [model.name for model in checkpoints]
            settings = replace(settings, untrained_seeds=0)
            training = evaluate(
                names, "stdlib-docs", output=place / "training", settings=settings, progress=progress
            ).summary_rows()
    console = console_for(sys.stdout)
    console.print(_ACROSS_SIZES.format(texts=sizes[0]["texts"]))
    print_table(summary_table(sizes), sys.stdout, compact=True)
    console.print(_THROUGH_TRAINING)
    print_table(trajectory_table(training, [model.step for model in checkpoints]), sys.stdout)
    console.print(_WHAT_IT_IS)
