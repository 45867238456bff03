"""Export of a run to the results format of lm-evaluation-harness, for tools that read it.

Source of the layout: `save_results_aggregated` and `make_table` of lm-eval 0.4,
https://github.com/EleutherAI/lm-evaluation-harness
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rankscope import __version__
from rankscope.errors import SettingsError
from rankscope.reports.provenance import non_default_settings
from rankscope.runs import LESS_IS_BETTER, scores_of
from rankscope.tables import is_of_images, short_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankscope.runs import Run
    from rankscope.statistics import Summary


def lm_eval_results_of(run: Run) -> dict[str, dict[str, Any]]:
    """One results file per model of a run, by its path: `MODEL/results_DATE.json`.

    Each data set at each layer is a task. The harness has standard errors only, so intervals are stored under their
    own keys, `METRIC_low,none` and `METRIC_high,none`.

    Raises:
        SettingsError: the run is of images and texts.
        RunFolderError: the run is not finished, or the folder does not hold a run.
    """
    rows = [row for row in run.summary_rows() if not is_of_images(row)]
    if not rows:
        raise SettingsError(f"{run.place} holds no evaluation of texts: the harness's format takes runs of evaluate")
    manifest = run.manifest()
    started = str(next(iter(manifest.get("sessions") or [{}])).get("started") or "unknown")
    return {
        f"{_sanitized(name)}/results_{started.replace(':', '-')}.json": _results(
            name, [row for row in rows if row["model"] == model], manifest
        )
        for model, name in short_names(row["model"] for row in rows).items()
    }


def _results(name: str, rows: list[Summary], manifest: Mapping[str, Any]) -> dict[str, Any]:
    model = str(rows[0]["model"])
    identity = manifest["identity"]
    tasks = {f"{row['dataset']}, layer {row['layer']}": row for row in rows}
    settings = non_default_settings(identity)
    revision = next((one.get("revision") for one in identity["models"] if one["reference"] == model), None)
    return {
        "results": {task: {"alias": task, **_numbers(row)} for task, row in tasks.items()},
        "group_subtasks": {task: [] for task in tasks},
        "configs": {task: {"task": task, "metadata": {"version": __version__}} for task in tasks},
        "versions": dict.fromkeys(tasks, __version__),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": {
            task: {metric: False for metric in LESS_IS_BETTER if metric in row} for task, row in tasks.items()
        },
        "n-samples": {
            task: {"original": int(row["texts"] or 0) + int(row["skipped"] or 0), "effective": row["texts"]}
            for task, row in tasks.items()
        },
        "config": {
            "model": "rankscope",
            "model_args": {"pretrained": model, "revision": revision, **settings},
            "model_revision": revision,
            "model_dtype": identity["settings"].get("dtype"),
            "device": identity["settings"].get("device"),
            "limit": identity["settings"].get("limit"),
        },
        "model_source": "rankscope",
        "model_name": name,
        "model_name_sanitized": _sanitized(name),
    }


def _numbers(row: Summary) -> dict[str, float]:
    found = {}
    for score in scores_of(row):
        found[f"{score.metric},none"] = score.value
        if score.interval is not None:
            found[f"{score.metric}_low,none"], found[f"{score.metric}_high,none"] = score.interval
    return found


def _sanitized(model: str) -> str:
    """A model's name as the harness writes it in paths."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", model)
