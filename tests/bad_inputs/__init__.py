"""A seeded generator of bad inputs for the command line: calls, settings, data, weights, configurations, run folders.

Each kind is a function of a `Kit` that writes what it needs and returns the arguments of a call, with the exit
statuses that are right for it. Where a random change may leave the input valid, 0 is among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bad_inputs import calls, data, models, runs
from bad_inputs.kit import Kind, Kit


@dataclass(frozen=True)
class BadInput:
    """A call of the command line, and the exit statuses that are right for it."""

    kind: str
    arguments: tuple[str, ...]
    statuses: frozenset[int]


KINDS: tuple[Kind, ...] = (
    calls.number_out_of_range, calls.number_at_the_edge, calls.unknown_choice, calls.strange_text_setting,
    calls.contradiction, calls.wrong_call, calls.strange_model_reference, calls.strange_data_reference,
    calls.strange_output, calls.settings_file, data.bad_json_lines, data.bad_json_document, data.bad_compression,
    data.bad_table, data.bad_parquet, data.odd_folder, data.spoiled_data, models.spoiled_weights, models.no_weights,
    models.wrong_tensors, models.bad_shards, models.bad_gguf, models.wrong_configuration, models.wrong_configuration,
    models.no_configuration, models.bad_tokenizer, runs.damaged_run, runs.damaged_run, data.bad_pairs,
)  # fmt: skip


def bad_input(number: int, folder: Path, good: tuple[Path, Path, Path], seed: int = 0) -> BadInput:
    """The input of a number: the same for the same seed, whatever ran before.

    Args:
        number: kinds take turns.
        folder: an empty one for its files.
        good: a model, a data file and a finished run to spoil copies of.
        seed: of all inputs.
    """
    kind = KINDS[number % len(KINDS)]
    arguments, statuses = kind(Kit(Random(f"{seed}-{number}"), folder, *good))
    return BadInput(kind.__name__, arguments, statuses)


def numbers(count: int, total: int = 1000, seed: int = 0) -> Iterator[int]:
    """A sample of the inputs, each kind in turn; all of them for a count of `total`."""
    if count >= total:
        yield from range(total)
        return
    for place in range(len(KINDS)):
        rounds = Random(f"{seed}-{place}").sample(range(total // len(KINDS)), len(range(place, count, len(KINDS))))
        yield from (round_ * len(KINDS) + place for round_ in rounds)
