"""Measuring a model that is in memory, without reading or writing a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from rankscope.errors import SettingsError
from rankscope.measuring.columns import text_columns
from rankscope.measuring.layers import choose_layers
from rankscope.measuring.plan import Layout, plan_batches
from rankscope.measuring.texts import TextTask, measure_batches
from rankscope.models import TransformersNetwork, positions_of
from rankscope.settings import Settings, changed
from rankscope.texts import Text, TextSet, changed_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_READ = (
    "layers", "metrics", "max_length", "window", "batch_tokens", "special_tokens", "skip_overlong", "drop_tokens",
    "pool", "prefix", "perturbation",
)  # fmt: skip
_BATCH_TOKENS = 1024


def measure_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    settings: Settings | None = None,
    **changes: object,
) -> pl.DataFrame:
    """Measures a model in memory on some texts.

    Args:
        model: a causal language model of transformers, on any device, in its current mode.
        tokenizer: its tokenizer.
        texts: strings.
        settings: all settings as one object. Only these settings of `evaluate` apply: layers, metrics, max_length,
            window, batch_tokens (default: 1,024), special_tokens, skip_overlong, drop_tokens, pool, prefix,
            perturbation.
        changes: settings by name, such as `layers="all"`.

    Returns:
        One row per text and layer, as in `Run.measurements`, in the order of texts and layers.

    Raises:
        CallError: a setting that does not apply here, or layers that the model does not have.
        RankscopeError: measuring failed.
    """
    chosen = changed(settings or Settings(), changes)
    _refuse_what_is_not_read(chosen)
    given = TextSet("texts", "memory", tuple(Text(str(place), text) for place, text in enumerate(texts)))
    layout = Layout.of(chosen, positions_of(model.config), chosen.batch_tokens or _BATCH_TOKENS)
    plan = plan_batches(changed_texts(given, chosen.prefix, chosen.perturbation), tokenizer, layout)
    layers = choose_layers(model.config, chosen)
    name = type(model).__name__
    task = TextTask(
        model=name,
        dataset=given.name,
        layers=layers,
        metrics=chosen.metric_names,
        drop_tokens=chosen.drop_tokens,
        pool=chosen.pool,
    )
    network = TransformersNetwork.of(model).fitted_to(name, plan.token_ids)
    rows = [row for _, batch in measure_batches(task, plan, network) for row in batch]
    depth = pl.col("layer").replace_strict(layers.names, range(len(layers.names)), return_dtype=pl.Int64)
    return pl.DataFrame(rows, schema=text_columns()).sort("text_index", depth)


def _refuse_what_is_not_read(settings: Settings) -> None:
    usual = Settings()
    for name in Settings.names():
        if name not in _READ and getattr(settings, name) != getattr(usual, name):
            raise SettingsError(f"{name} does not apply to a model and texts in memory: omit it, or use evaluate")
