"""Measuring: from texts and networks to numbered batches of rows. No folders, no progress bars."""

from rankscope.measuring.columns import Row, Schema, pair_columns, text_columns
from rankscope.measuring.integration import PASSES, measure_integration
from rankscope.measuring.layers import Layers, choose_layers
from rankscope.measuring.memory import measure_texts
from rankscope.measuring.pairs import PairTask, measure_pairs
from rankscope.measuring.plan import Layout, plan_batches, special_tokens_of_windows
from rankscope.measuring.planned import Plan
from rankscope.measuring.texts import TextTask, measure_batches
from rankscope.measuring.token_moments import measure_token_moments

__all__ = [
    "PASSES",
    "Layers",
    "Layout",
    "PairTask",
    "Plan",
    "Row",
    "Schema",
    "TextTask",
    "choose_layers",
    "measure_batches",
    "measure_integration",
    "measure_pairs",
    "measure_texts",
    "measure_token_moments",
    "pair_columns",
    "plan_batches",
    "special_tokens_of_windows",
    "text_columns",
]
