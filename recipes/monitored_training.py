"""Trains a model with 2.8M parameters on local text, and plots its spectral metrics over the training.

    python recipes/monitored_training.py --output OUT --steps 500

The configuration and the tokenizer are those of pico-3m; the weights are new. `--data` takes any texts that rankscope
reads, such as `texts.txt`. Default: the documentation of Python's standard library, which is on every machine. The
first 16 texts are the probe and are not trained on. Results: all measurements in OUT/curve.csv, and a page with the
curves, OUT/curve.html.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

import altair as alt
import polars as pl
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, Trainer, TrainingArguments

from rankscope.integrations.transformers import SpectrumCallback
from rankscope.models import describe_model, parse_model_reference
from rankscope.reports.figures import save_figure, themed
from rankscope.texts import load_texts, parse_data_reference

PROBE, CONTEXT = 16, 256
DRAWN = {"effective_rank": "effective rank", "rankme": "RankMe of the texts' means", "loss": "loss, nats per token"}


class Windows(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Texts concatenated, with an end token after each, and cut into windows of equal length."""

    def __init__(self, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> None:
        end = tokenizer.eos_token_id
        stream = [token for ids in tokenizer(list(texts), verbose=False).input_ids for token in (*ids, end)]
        count = len(stream) // CONTEXT
        if not count:
            raise SystemExit(f"too little text: expected {CONTEXT} tokens in addition to the probe, got {len(stream)}")
        self.tokens = torch.tensor(stream[: count * CONTEXT]).view(count, CONTEXT)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return {"input_ids": self.tokens[place], "labels": self.tokens[place]}


def curves(history: pl.DataFrame, alarms: Sequence[int]) -> alt.TopLevelMixin:
    """One panel per metric, with a line per layer, its interval over texts, and a rule at each alarm."""
    panels = []
    for metric, title in DRAWN.items():
        rows = history.filter(pl.col("metric") == metric)
        if metric == "loss":  # the same at each layer
            rows = rows.unique("step").with_columns(layer=pl.lit("all"))
        steps = alt.X("step:Q", title="step")
        base = alt.Chart(alt.Data(values=rows.to_dicts())).encode(x=steps, color=alt.Color("layer:N", title="layer"))
        value = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False))
        band = base.mark_area(opacity=0.18).encode(y=alt.Y("value_low:Q", title=title), y2="value_high:Q")
        rules = alt.Chart(alt.Data(values=[{"step": step} for step in alarms])).mark_rule(strokeDash=[4, 3])
        points = base.mark_point().encode(y=value, tooltip=["step:Q", "layer:N", "value:Q"])
        panel = band + base.mark_line().encode(y=value) + points + rules.encode(x=steps)
        panels.append(panel.properties(height=180))
    return themed(alt.vconcat(*panels, description="Spectra through a training"))


def main() -> None:
    """Trains the model, then writes the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", default="stdlib-docs", help="default: stdlib-docs")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--every", type=int, help="steps between measurements; default: a twentieth of the steps")
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()

    described = describe_model(parse_model_reference("pico-3m"))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(described.config), dtype=torch.float32)
    texts = [one.text for one in load_texts(parse_data_reference(options.data)).texts]
    callback = SpectrumCallback(
        texts[:PROBE], every=options.every or max(1, options.steps // 20), layers="middle,last", max_length=CONTEXT
    )
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=str(options.output / "checkpoints"),
            max_steps=options.steps,
            per_device_train_batch_size=options.batch,
            learning_rate=2.5e-3,
            lr_scheduler_type="cosine",
            warmup_steps=options.steps // 20,
            weight_decay=0.1,
            logging_steps=max(1, options.steps // 20),
            save_strategy="no",
            report_to="none",
            seed=0,
        ),
        train_dataset=Windows(texts[PROBE:], described.tokenizer),
        processing_class=described.tokenizer,
        callbacks=[callback],
    )
    trainer.train()

    history, fired = callback.monitor.history(), callback.monitor.fired
    options.output.mkdir(parents=True, exist_ok=True)
    history.write_csv(options.output / "curve.csv")
    save_figure(curves(history, [alarm.step for alarm in fired]), options.output / "curve", ["html"])
    with pl.Config(tbl_rows=-1, float_precision=3):
        print(
            history.filter(pl.col("metric").is_in(list(DRAWN))).pivot("metric", index=["step", "layer"], values="value")
        )
    for alarm in fired:
        print(alarm)
    print(f"{options.output / 'curve.csv'}, {options.output / 'curve.html'}")


if __name__ == "__main__":
    main()
