"""A snippet for a model card on the hub: metadata with results, and a paragraph that explains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankscope.reports.evaluated_models import evaluated_models
from rankscope.reports.provenance import non_default_settings
from rankscope.runs import Effect, effect_of
from rankscope.tables import short_name, summary_table, term, titled, to_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rankscope.reports.evaluated_models import EvaluatedModel
    from rankscope.runs import Run
    from rankscope.statistics import Summary

_METRICS = ("effective_rank", "diff_erank", "normalized_matrix_entropy", "matrix_nuclear_norm", "loss")
_TWINS = {
    "default": "the same configuration with random weights",
    "paper": "the same configuration with random weights, in train mode",
    "permuted": "the same network with its trained weights shuffled within each tensor",
    "revision": "a checkpoint of the same shape",
}
_TASK = "text-generation"
_ADDRESSES = "([Diff-eRank](https://arxiv.org/abs/2401.17139), [Matrix Nuclear-Norm](https://arxiv.org/abs/2410.10672))"


def model_card_of(run: Run) -> str:
    """For each model of a run: YAML metadata (`model-index`) between `---`, then Markdown.

    Source of the format: https://huggingface.co/docs/hub/model-cards

    Raises:
        SettingsError: a run of images and texts.
        RunFolderError: the run is not finished, or the folder is not a run's.
    """
    models, identity = evaluated_models(run, "a model card"), run.manifest()["identity"]
    return "\n".join(_card(model, identity) for model in models)


def _card(model: EvaluatedModel, identity: Mapping[str, Any]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    settings = non_default_settings(identity)
    changed = {name: value for name, value in settings.items() if _is_named(name, value)}
    under = "".join(f", {name} {value}" for name, value in changed.items())
    texts = {entry["name"]: entry["fingerprint"] for entry in identity["data"]}
    rows, revision = model.rows, model.entry.get("revision")
    deepest = rows if len({row["layer"] for row in rows}) == 1 else [row for row in rows if row["layer"] == "last"]
    results = [
        EvalResult(
            task_type=_TASK,
            dataset_type=str(row["dataset"]),
            dataset_name=str(row["dataset"]),
            dataset_args={"sha256": texts.get(row["dataset"])},
            metric_type=key,
            metric_name=f"{_called(key)}, layer {row['layer']}, {row['texts']} texts{under}",
            metric_value=round(float(row[key]), 4),  # type: ignore[arg-type]
            # The hub's library merges results that agree in all of these.
            metric_args={"layer": row["layer"], "texts": row["texts"], "model_revision": revision, **changed},
        )
        for row in deepest or rows
        for key in _METRICS
        if row.get(key) is not None
    ]
    name = short_name(model.reference).rpartition("/")[2]
    data = ModelCardData(model_name=name, eval_results=results, tags=["rankscope"])
    paragraph = _paragraph(deepest or rows, settings, under)
    return f"---\n{data.to_yaml().strip()}\n---\n\n## Geometry of hidden states\n\n{paragraph}"


def _called(metric: str) -> str:
    """The metric's full name with its unit, or its label if the unit is dimensions."""
    one = term(metric)
    return one.label if one.unit == "dimensions" else titled(metric, spelled_out=True)


def _is_named(setting: str, value: object) -> bool:
    """Whether this value of a setting changes the results."""
    return effect_of(setting) in (Effect.NUMBERS, Effect.TWIN) or (setting == "dtype" and value != "float32")


def _paragraph(rows: Sequence[Summary], settings: Mapping[str, object], under: str) -> str:
    twins = any(row.get("effective_rank_untrained") is not None for row in rows)
    compared = f" The untrained network is {_TWINS[str(settings.get('protocol', 'default'))]}." if twins else ""
    compared += f" Non-default settings: {under.removeprefix(', ')}." if under else ""
    return (
        f"Effective rank and related metrics of the hidden states {_ADDRESSES}, measured with rankscope: how many "
        f"directions the hidden states of a text really use.{compared} Intervals are 95 % bootstraps over texts. A "
        f"higher effective rank is not a better model: it grows with the hidden size and the length of texts.\n\n"
        f"{to_markdown(summary_table(rows))}"
    )
