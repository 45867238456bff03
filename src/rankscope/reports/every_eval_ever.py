"""Export of a run to the schema of Every Eval Ever, a shared database of evaluation results.

Source of the schema: `eval.schema.json`, version 0.3.0, of https://pypi.org/project/every-eval-ever
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from rankscope import __version__
from rankscope.metrics import metric_named, metric_names
from rankscope.reports.evaluated_models import evaluated_models
from rankscope.reports.provenance import non_default_settings
from rankscope.runs import LESS_IS_BETTER, first_session, row_facts, scores_of
from rankscope.tables import term, titled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rankscope.reports.evaluated_models import EvaluatedModel
    from rankscope.runs import Run, Score
    from rankscope.statistics import Summary

SCHEMA_VERSION = "0.3.0"


def every_eval_ever_of(run: Run) -> dict[str, dict[str, Any]]:
    """One record per model of a run, by its path in the data store: `data/rankscope/DEVELOPER/MODEL/UUID.json`.

    A run does not record the evaluating organisation: its name is left empty, and its relationship is `other`.

    Raises:
        SettingsError: the run is of images and texts.
        RunFolderError: the run is not finished, or the folder does not hold a run.
    """
    models, manifest = evaluated_models(run, "Every Eval Ever"), run.manifest()
    return dict(_record(model, manifest) for model in models)


def _record(model: EvaluatedModel, manifest: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    identity, session = manifest["identity"], first_session(manifest)
    hub_id, versions = model.name.partition("@")[0], session.get("versions", {})
    developer, _, name = hub_id.rpartition("/")
    developer = _portable(developer or "local")
    details = {
        "revision": model.entry.get("revision"),
        "fingerprint": model.entry.get("fingerprint"),
        "deployment_type": "self_deployed",
        "model_availability": "unknown",
    }
    retrieved = str(time.time())
    document = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"rankscope/{hub_id}/{retrieved}",
        "retrieved_timestamp": retrieved,
        **({"evaluation_timestamp": session["started"]} if session.get("started") else {}),
        "source_metadata": {
            "source_name": "rankscope",
            "source_type": "evaluation_run",
            "source_organization_name": "",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "rankscope", "version": versions.get("rankscope", __version__)},
        "model_info": {
            "name": model.name,
            "id": hub_id,
            "developer": developer,
            "inference_engine": {"name": "transformers", "version": versions.get("transformers", "unknown")},
            "additional_details": _strings(details),
        },
        "evaluation_results": [result for row in model.rows for result in _results(row, identity)],
    }
    # The name is derived from the run and the model, so exporting again replaces the record.
    key = hashlib.sha256(f"{model.reference} {model.entry} {identity['settings']} {identity['data']}".encode()).digest()
    return f"data/rankscope/{developer}/{_portable(name)}/{uuid.UUID(bytes=key[:16], version=4)}.json", document


def _results(row: Summary, identity: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    fingerprints = {entry["name"]: entry["fingerprint"] for entry in identity["data"]}
    data, layer = str(row["dataset"]), str(row["layer"])
    for score in scores_of(row):
        yield {
            "evaluation_result_id": f"{data}/layer {layer}/{score.metric}",
            "evaluation_name": f"rankscope on {data}",
            "source_data": {
                "dataset_name": data,
                "source_type": "other",
                "additional_details": _strings({"sha256": fingerprints.get(data)}),
            },
            "metric_config": _metric(score.metric, layer, non_default_settings(identity)),
            "score_details": {
                "score": score.value,
                "details": _strings(row_facts(row)),
                "uncertainty": {"num_samples": row["texts"], **_interval(score)},
            },
        }


def _metric(name: str, layer: str, settings: Mapping[str, object]) -> dict[str, Any]:
    plain = {key: value if isinstance(value, (bool, int, float)) else str(value) for key, value in settings.items()}
    known = metric_named(name) if name in metric_names() else None
    directed = name in LESS_IS_BETTER
    return {
        "metric_id": f"rankscope.{name}",
        "metric_name": titled(name, spelled_out=True),
        "metric_kind": name,
        "metric_parameters": {"layer": layer, **plain},
        "lower_is_better": directed,
        **({"metric_unit": term(name).unit} if term(name).unit else {}),
        "additional_details": _strings(
            {"range": known.range if known else None, "direction": None if directed else "neither end is better"}
        ),
    }


def _interval(score: Score) -> dict[str, Any]:
    if score.interval is None:
        return {}
    low, high = score.interval
    return {
        "confidence_interval": {
            "lower": low,
            "upper": high,
            "confidence_level": 0.95,
            "method": "percentile bootstrap over texts",
        }
    }


def _strings(values: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value is not None}


def _portable(name: str) -> str:
    """The name with only those characters that every file system accepts."""
    return re.sub(r"[^\w.+-]+", "_", name, flags=re.ASCII).strip(". ") or "_"
