"""`rankscope list`: the available metrics, data sets, models and studies."""

from __future__ import annotations

import sys
from typing import Literal


def listing(what: Literal["metrics", "datasets", "models", "studies"], /) -> None:
    """List the available metrics, data sets, models and model families, or studies.

    For example:

        rankscope list datasets

    Args:
        what: metrics, datasets, models or studies.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("description")
    rows = {"metrics": _metrics, "datasets": _datasets, "models": _models, "studies": _studies}[what]()
    for name, description in rows:
        table.add_row(Text(name), Text(description))
    Console(file=sys.stdout, highlight=False).print(table)


def _metrics() -> list[tuple[str, str]]:
    from rankscope import metrics
    from rankscope.metrics import table

    found = []
    for metric in table.METRICS:
        function = getattr(metrics, metric.name, metric.function)
        only_named = "" if metric.default else " Computed only if named in --metrics."
        found.append((metric.name, (function.__doc__ or "").strip().partition("\n")[0] + only_named))
    return found


def _datasets() -> list[tuple[str, str]]:
    from rankscope.texts import CATALOGUE, DRAWN_SCENES

    texts = [(name, entry.description) for name, entry in CATALOGUE.items()]
    return [
        *texts,
        (DRAWN_SCENES, "for align: pictures of two coloured shapes with captions, generated offline"),
    ]


def _models() -> list[tuple[str, str]]:
    from rankscope.models import family_members, known_families, pico_family, pico_vlm_family

    families = [
        (
            f"family:{family}",
            ", ".join(f"{known.reference} (d = {known.hidden_size:,})" for known in family_members(family)),
        )
        for family in known_families()
    ]
    seeing = [
        (
            model.name,
            f"for align: vision-language, step {model.step:,}, loss {model.loss:.3f}, picks the right caption of eight "
            f"for {model.candidates_right:.0%} of scenes",
        )
        for model in pico_vlm_family()
    ]
    reading = [
        (
            model.name,
            f"{model.architecture}, {model.parameters:,} parameters, {model.layers} blocks, hidden size "
            f"{model.hidden_size}, step {model.step:,}, validation loss {model.validation_loss:.3f}",
        )
        for model in pico_family()
    ]
    return families + reading + seeing


def _studies() -> list[tuple[str, str]]:
    from rankscope.studies import STUDIES

    return [(study.name, f"{study.question} ({study.source})") for study in STUDIES.values()]
