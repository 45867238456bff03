"""Figures of the documentation that no command prints: each function returns the value that is stated."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

import rankscope as rs
from kernel import published_entropy
from rankscope.metrics import rankme
from rankscope.models import describe_model, parse_model_reference


def least_seconds(function: Callable[[], object], repeats: int) -> float:
    function()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return min(found)


def noise(tokens: int, hidden_size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(tokens, hidden_size, generator=torch.Generator().manual_seed(seed))


def plain_entropy(hidden: torch.Tensor) -> torch.Tensor:
    """Matrix entropy in float32 without checks: centre, unit rows, smaller Gram matrix, eigenvalues."""
    rows = torch.nn.functional.normalize(hidden - hidden.mean(dim=0), dim=1)
    values = torch.linalg.eigvalsh(rows @ rows.T / len(rows))
    return torch.special.entr(values.clamp_min(0)).sum()


def times_of_published(tokens: int, hidden_size: int) -> float:
    """The released code's time over ours."""
    hidden = noise(tokens, hidden_size)
    return least_seconds(lambda: published_entropy(hidden), 2) / least_seconds(lambda: rs.matrix_entropy(hidden), 20)


def times_of_plain(tokens: int, hidden_size: int) -> float:
    """Our time over a plain float32 kernel's."""
    hidden = noise(tokens, hidden_size)
    return least_seconds(lambda: rs.matrix_entropy(hidden), 20) / least_seconds(lambda: plain_entropy(hidden), 20)


def one_by_one_over_together() -> float:
    """32 texts of 128 to 159 tokens, d = 768: 32 calls over one."""
    texts = [noise(128 + place, 768) for place in range(32)]
    padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    mask = torch.arange(padded.shape[1]) < torch.tensor([len(one) for one in texts])[:, None]
    alone = least_seconds(lambda: [rs.matrix_entropy(one) for one in texts], 10)
    return alone / least_seconds(lambda: rs.matrix_entropy(padded, mask), 10)


def excess_of_published(tokens: int, hidden_size: int) -> float:
    """By how much the released code's effective rank of noise exceeds the exact one, in percent."""
    hidden = noise(tokens, hidden_size)
    return 100 * (float(published_entropy(hidden).exp()) / float(rs.effective_rank(hidden.double())) - 1)


def cka_of_noise(tokens: int, hidden_size: int) -> float:
    """CKA of two matrices of independent noise."""
    return float(rs.linear_cka(noise(tokens, hidden_size), noise(tokens, hidden_size, seed=1)))


def rankme_of_noise(vectors: int, dimensions: int, length_of_mean: float) -> float:
    """RankMe of noise around a mean that is so many times as long as the vectors."""
    rows = noise(vectors, dimensions).double()
    mean = torch.ones(dimensions, dtype=torch.float64) / dimensions**0.5
    return float(rankme(rows + length_of_mean * rows.norm(dim=1).mean() * mean))


def untrained_with_dropout(probability: float) -> float:
    """The untrained eRank of `pico` with a hidden_dropout, in train mode as under the paper's protocol."""
    described = describe_model(parse_model_reference("pico"))
    described.config.hidden_dropout = probability
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        AutoModelForCausalLM.from_config(described.config).save_pretrained(copy)
        described.tokenizer.save_pretrained(copy)
        run = rs.evaluate(
            str(copy), "stdlib-docs", output=f"{folder}/run", limit=100, protocol="paper", twin_cache=False
        )
        return float(run.summary()["effective_rank_untrained"][0])
