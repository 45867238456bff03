"""The effective rank of untrained networks against the initializer_range that their weights are drawn with.

The shapes of four published models with the tokenizer of the pico family, so that all read the same tokens and nothing
is downloaded. What a model really used is in its config.json; a GGUF file does not carry it.

    python benchmarks/initializer_range.py --figure initializer-range.png
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
    """A configuration that draws weights with a standard deviation; OPT calls it init_std."""
    key = "init_std" if model_type == "opt" else "initializer_range"
    return CONFIG_MAPPING[model_type](**shape, **{key: value}, vocab_size=tokens, max_position_embeddings=2048)


def effective_ranks(config: PretrainedConfig, texts: list[torch.Tensor], seed: int) -> list[float]:
    """The effective rank of each text in the untrained network of a configuration."""
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        return [float(rs.effective_rank(network.base_model(ids[None])[0][0])) for ids in texts]


def token_ids(tokenizer: PreTrainedTokenizerBase, limit: int, longest: int) -> list[torch.Tensor]:
    """The first passages of the standard library's documentation."""
    passages = load_texts(parse_data_reference("stdlib-docs", None, None, None), limit=limit, sample_seed=None)
    return [torch.tensor(tokenizer(text.text).input_ids[:longest]) for text in passages.texts]


def draw(rows: pl.DataFrame, file: Path) -> None:
    """Effective rank over the range, a line for each architecture."""
    import altair as alt

    base = alt.Chart(rows).encode(
        x=alt.X("initializer_range:Q", scale=alt.Scale(type="log"), axis=alt.Axis(values=list(RANGES))),
        y=alt.Y("effective_rank:Q", title="effective rank of the untrained network"),
        color=alt.Color("architecture:N", title=None, sort=list(SHAPES)),
    )
    (base.mark_line() + base.mark_point(filled=True)).properties(width=420, height=260).save(file, ppi=144)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=8, help="passages")
    parser.add_argument("--max-length", type=int, default=256, help="tokens of a passage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path, help="where to draw it (needs rankscope[charts])")
    options = parser.parse_args()
    tokenizer = describe_model(parse_model_reference("pico")).tokenizer
    texts = token_ids(tokenizer, options.limit, options.max_length)
    print(f"{len(texts)} passages, {sum(map(len, texts)):,} tokens, seed {options.seed}: exp(mean H), share of noise")
    print(f"{'':24}" + "".join(f"{value:>14g}" for value in RANGES))
    rows = []
    for name, (model_type, shape) in SHAPES.items():
        cells = []
        for value in RANGES:
            ranks = effective_ranks(configuration(model_type, shape, len(tokenizer), value), texts, options.seed)
            mean = float(np.exp(np.mean(np.log(ranks))))
            width = int(str(shape["hidden_size"]))
            noise = np.mean(
                [rank / noise_value("effective_rank", len(ids), width) for rank, ids in zip(ranks, texts, strict=True)]
            )
            cells.append(f"{mean:8.1f} {noise:4.0%}")
            rows.append({"architecture": name, "initializer_range": value, "effective_rank": mean})
        print(f"{name:24}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    if options.figure:
        draw(pl.DataFrame(rows), options.figure)


if __name__ == "__main__":
    main()
