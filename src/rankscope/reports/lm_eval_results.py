"""Export of a run to the results format of lm-evaluation-harness, for tools that read it.

Source of the layout: `save_results_aggregated` and `make_table` of lm-eval 0.4,
https://github.com/EleutherAI/lm-evaluation-harness
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rankscope import __version__
from rankscope.reports.evaluated_models import evaluated_models
from rankscope.reports.provenance import non_default_settings
from rankscope.runs import LESS_IS_BETTER, first_session, scores_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankscope.reports.evaluated_models import EvaluatedModel
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
    models, manifest = evaluated_models(run, "the harness's format"), run.manifest()
    started = str(first_session(manifest).get("started") or "unknown")
    return {
        f"{_sanitized(model.name)}/results_{started.replace(':', '-')}.json": _results(model, manifest["identity"])
        for model in models
    }


def _results(model: EvaluatedModel, identity: Mapping[str, Any]) -> dict[str, Any]:
    tasks = {f"{row['dataset']}, layer {row['layer']}": row for row in model.rows}
    revision = model.entry.get("revision")
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
            "model_args": {"pretrained": model.reference, "revision": revision, **non_default_settings(identity)},
            "model_revision": revision,
            "model_dtype": identity["settings"].get("dtype"),
            "device": identity["settings"].get("device"),
            "limit": identity["settings"].get("limit"),
        },
        "model_source": "rankscope",
        "model_name": model.name,
        "model_name_sanitized": _sanitized(model.name),
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
