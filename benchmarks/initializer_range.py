"""The effective rank of untrained networks against the initializer_range of their weights.

The networks have the shapes of four published models and the tokenizer of the pico family, so that all read the same
tokens and nothing is downloaded. A model's actual range is in its config.json; a GGUF file does not contain it.

    python benchmarks/initializer_range.py --figure initializer-range.png
    python benchmarks/initializer_range.py --widths 576 1152 2304 --limit 4
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerBase

import rankscope as rs
from rankscope.metrics import noise_value
from rankscope.models import describe_model, parse_model_reference
from rankscope.texts import load_texts, parse_data_reference

RANGES = (0.005, 0.01, 0.02, 0.0417, 0.07, 0.1)
_LLAMA = {"num_attention_heads": 9, "num_key_value_heads": 3, "rope_parameters": {"rope_theta": 1e5}}
_GEMMA = {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "layer_types": None}
_WIDE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
SHAPES = {
    "Llama (SmolLM2-135M)": (
        "llama",
        _LLAMA | {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30},
    ),
    "Gemma 3 (270M)": (
        "gemma3_text",
        _GEMMA | {"hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18},
    ),
    "GPT-NeoX (Pythia-160M)": ("gpt_neox", _WIDE | {"intermediate_size": 3072}),
    "OPT (125M)": ("opt", _WIDE | {"ffn_dim": 3072, "word_embed_proj_dim": 768}),
}
"""Architectures and the shapes of published models, without their vocabularies."""


def configuration(model_type: str, shape: dict[str, object], tokens: int, value: float) -> PretrainedConfig:
    """A configuration with the given standard deviation of initial weights, which OPT calls init_std."""
    key = "init_std" if model_type == "opt" else "initializer_range"
    return CONFIG_MAPPING[model_type](**shape, **{key: value}, vocab_size=tokens, max_position_embeddings=2048)


def effective_ranks(config: PretrainedConfig, texts: list[torch.Tensor], seed: int) -> list[float]:
    """The effective rank of each text in an untrained network with this configuration."""
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        return [float(rs.effective_rank(network.base_model(ids[None])[0][0])) for ids in texts]


def token_ids(tokenizer: PreTrainedTokenizerBase, limit: int, longest: int) -> list[torch.Tensor]:
    """Token ids of the first passages of the standard library's documentation."""
    passages = load_texts(parse_data_reference("stdlib-docs", None, None, None), limit=limit, sample_seed=None)
    return [torch.tensor(tokenizer(text.text).input_ids[:longest]) for text in passages.texts]


def draw(rows: pl.DataFrame, file: Path) -> None:
    """Plots effective rank against the range, with one line per architecture."""
    import altair as alt

    base = alt.Chart(rows).encode(
        x=alt.X(
            "initializer_range:Q",
            scale=alt.Scale(type="log", domain=[0.0045, 0.11], nice=False),
            axis=alt.Axis(values=list(RANGES)),
        ),
        y=alt.Y("effective_rank:Q", title="effective rank of the untrained network"),
        color=alt.Color("architecture:N", title=None, sort=list(SHAPES)),
    )
    (base.mark_line() + base.mark_point(filled=True)).properties(width=420, height=260).save(file, ppi=144)


def mean_and_share(ranks: list[float], texts: list[torch.Tensor], width: int) -> tuple[float, float]:
    """exp(mean H), and the mean share of the effective rank of noise of the same shape."""
    nulls = [noise_value("effective_rank", len(ids), width) for ids in texts]
    return float(np.exp(np.mean(np.log(ranks)))), float(np.mean(np.divide(ranks, nulls)))


def over_widths(widths: list[int], texts: list[torch.Tensor], tokens: int, seed: int) -> None:
    """Prints results for 30 blocks of Llama at several widths, with the range 0.02 and with 1 / sqrt(d)."""
    print(f"{'width':>6} {'range':>8} {'range x sqrt(d)':>16} {'eRank':>7} {'vs noise':>9}")
    for width in widths:
        heads = {"num_attention_heads": width // 64, "num_key_value_heads": width // 192}
        shape = SHAPES["Llama (SmolLM2-135M)"][1] | heads | {"hidden_size": width, "intermediate_size": width * 8 // 3}
        for value in (0.02, width**-0.5):
            ranks = effective_ranks(configuration("llama", shape, tokens, value), texts, seed)
            rank, share = mean_and_share(ranks, texts, width)
            print(f"{width:6} {value:8.4f} {value * width**0.5:16.2f} {rank:7.1f} {share:9.0%}", flush=True)


def over_ranges(texts: list[torch.Tensor], tokens: int, seed: int) -> pl.DataFrame:
    """Prints and returns the results of all architectures with all ranges."""
    print(f"{'':24}" + "".join(f"{value:>14g}" for value in RANGES))
    rows = []
    for name, (model_type, shape) in SHAPES.items():
        cells = []
        for value in RANGES:
            ranks = effective_ranks(configuration(model_type, shape, tokens, value), texts, seed)
            rank, share = mean_and_share(ranks, texts, int(str(shape["hidden_size"])))
            cells.append(f"{rank:8.1f} {share:4.0%}")
            rows.append({"architecture": name, "initializer_range": value, "effective_rank": rank})
        print(f"{name:24}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    return pl.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=20, help="number of passages")
    parser.add_argument("--max-length", type=int, default=256, help="maximum number of tokens per passage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--widths", type=int, nargs="+", help="30 blocks of Llama at these widths instead")
    parser.add_argument("--figure", type=Path, help="file for a figure")
    options = parser.parse_args()
    tokenizer = describe_model(parse_model_reference("pico")).tokenizer
    texts = token_ids(tokenizer, options.limit, options.max_length)
    print(f"{len(texts)} passages, {sum(map(len, texts)):,} tokens, seed {options.seed}: exp(mean H), share of noise")
    if options.widths:
        over_widths(options.widths, texts, len(tokenizer), options.seed)
        return
    rows = over_ranges(texts, len(tokenizer), options.seed)
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
