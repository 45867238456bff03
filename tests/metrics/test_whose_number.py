"""`docs/whose-number.md`: what others compute under these names, from each published formula, compared with ours."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rankscope.metrics import (
    aggregate_effective_rank,
    alpha_req,
    effective_rank,
    matrix_entropy,
    matrix_nuclear_norm,
    normalized_matrix_entropy,
    rankme,
)

PAGE = (Path(__file__).parents[2] / "docs" / "whose-number.md").read_text(encoding="utf-8")
EXAMPLE = np.array(ast.literal_eval(re.search(r"```python\nrows = (\[.*?\])\n", PAGE, re.DOTALL)[1]), dtype=float)


def made(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Decaying directions around a mean."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, columns)) * np.arange(1, columns + 1) ** -0.5 + generator.normal(size=columns)


MATRICES = [EXAMPLE, made(60, 40), made(30, 50, 1), made(150, 120, 2)]


def singular_values(x: np.ndarray) -> np.ndarray:
    return np.linalg.svd(x, compute_uv=False)


def centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(axis=0)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def rankme_paper(x: np.ndarray) -> float:
    values = singular_values(x)
    return math.exp(entropy(values / values.sum() + 1e-7))


def stable_pretraining(x: np.ndarray) -> float:
    values = singular_values(x)
    return math.exp(entropy(values / values.sum() + 1e-5))


def stable_pretraining_jax(x: np.ndarray) -> float:
    values = singular_values(x)
    return math.exp(entropy(values / (values.sum() + 1e-7) + 1e-7))


def reptrix_shares(x: np.ndarray) -> np.ndarray:
    """The ratios of explained variance of a principal component analysis."""
    variances = singular_values(centred(x)) ** 2 / (len(x) - 1)
    return variances / variances.sum()


def reptrix_rankme(x: np.ndarray) -> float:
    return math.exp(entropy(reptrix_shares(x) + 1e-7))


def reptrix_alpha(x: np.ndarray, first: int, last: int) -> float:
    """The normal equations of a line through (-ln rank, ln share), each weighted by 1 / rank."""
    ranks = np.arange(first, last + 1)
    lines = np.stack([-np.log(ranks), np.ones(len(ranks))], axis=1)
    weighted = lines / ranks[:, None]
    return float(np.linalg.solve(weighted.T @ lines, weighted.T @ np.log(reptrix_shares(x)[first - 1 : last]))[0])


def verl(x: np.ndarray) -> float:
    values = singular_values(centred(x))
    shares = values / (values.sum() + 1e-8)
    return math.exp(-float((shares * np.log(shares + 1e-8)).sum()))


def information_flow(x: np.ndarray, *, clamp: bool = True) -> float:
    """Of the tokens of one text, with the normalisation that it uses by default, and the limit of alpha at 1."""
    rows, size = x.shape
    u = unit(centred(x))
    gram = u.T @ u if rows > size else u @ u.T
    values = np.linalg.eigvalsh(np.maximum(gram, 0) if clamp else gram)
    values = values[values > 1e-12]
    return entropy(values / values.sum()) / min(math.log(rows), math.log(size))


def released_entropy(x: np.ndarray) -> float:
    """Diff-eRank's script: the d x d covariance of centred unit rows, over its trace."""
    u = unit(centred(x))
    covariance = u.T @ u / len(u)
    return entropy(singular_values(covariance / np.trace(covariance)))


def blme_nuclear_norm(x: np.ndarray) -> float:
    rows, size = x.shape
    columns = np.sort(np.linalg.norm(unit(centred(x)), axis=0))[::-1]
    return float(columns[: min(rows, size)].sum() / size)


def ours(function: Callable[..., torch.Tensor], x: np.ndarray, **settings: object) -> float:
    return float(function(torch.from_numpy(x), **settings))


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("x", MATRICES)
def test_settings_of_ours(x: np.ndarray) -> None:
    assert ours(rankme, x) == close(rankme_paper(x))
    assert ours(rankme, x, epsilon=1e-5) == close(stable_pretraining(x))
    assert ours(rankme, x) == close(stable_pretraining_jax(x))
    last = min(len(x) - 1, x.shape[1], 100)
    for ranks in ((1, last), (2, last - 1)):
        assert ours(alpha_req, x, ranks=ranks) == close(reptrix_alpha(x, *ranks))
    assert ours(effective_rank, x) == close(math.exp(released_entropy(x)))
    assert ours(normalized_matrix_entropy, x) == close(released_entropy(x) / math.log(x.shape[1]))


def test_the_default_range_is_that_of_reptrix() -> None:
    assert ours(alpha_req, MATRICES[-1]) == close(reptrix_alpha(MATRICES[-1], 11, 100))


@pytest.mark.parametrize("x", MATRICES[:3])
def test_verl_is_rankme_of_centred_tokens(x: np.ndarray) -> None:
    # Its epsilon in the logarithm takes min(N, d) 1e-8 off the entropy.
    assert ours(rankme, centred(x), epsilon=0) == close(verl(x))


@pytest.mark.parametrize("x", MATRICES)
def test_reptrix_is_the_effective_rank_of_rows_that_are_not_scaled(x: np.ndarray) -> None:
    assert abs(reptrix_rankme(x) / ours(effective_rank, x) - 1) > 1e-3
    # Rows that are centred and of one length already: +u and -u.
    mirrored = np.concatenate([unit(x), -unit(x)])
    epsilons = min(mirrored.shape) * 1e-7 * (math.log(1e7) - 1)
    assert 0 <= reptrix_rankme(mirrored) / ours(effective_rank, mirrored) - 1 <= epsilons


@pytest.mark.parametrize("x", MATRICES)
def test_information_flow_is_ours_but_for_the_clamp(x: np.ndarray) -> None:
    without = information_flow(x, clamp=False)
    assert ours(matrix_entropy, x) / min(math.log(len(x)), math.log(x.shape[1])) == close(without)
    assert abs(information_flow(x) - without) > 1e-2


@pytest.mark.parametrize("x", MATRICES)
def test_blme_divides_by_the_hidden_size(x: np.ndarray) -> None:
    rows, size = x.shape
    assert ours(matrix_nuclear_norm, x) * rows / size == close(blme_nuclear_norm(x))


def test_a_data_set_of_diff_erank() -> None:
    entropies = [released_entropy(x) for x in MATRICES]
    found = aggregate_effective_rank(torch.stack([matrix_entropy(torch.from_numpy(x)) for x in MATRICES]))
    assert float(found) == close(math.exp(sum(entropies) / len(entropies)))


def printed() -> dict[str, tuple[str, str]]:
    """Theirs and ours, by name, from the page's table of figures."""
    table = PAGE.split("| whose | theirs |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: (row[1], row[3]) for row in rows}


def test_the_figures_on_the_page() -> None:
    x = EXAMPLE
    smaller = min(math.log(len(x)), math.log(x.shape[1]))
    computed = {
        "RankMe, the paper": (rankme_paper(x), ours(rankme, x)),
        "stable-pretraining": (stable_pretraining(x), ours(rankme, x, epsilon=1e-5)),
        "stable-pretraining, JAX": (stable_pretraining_jax(x), ours(rankme, x)),
        "reptrix, RankMe": (reptrix_rankme(x), ours(effective_rank, x)),
        "reptrix, alpha-ReQ": (reptrix_alpha(x, 1, 4), ours(alpha_req, x, ranks=(1, 4))),
        "VERL": (verl(x), ours(rankme, centred(x), epsilon=0)),
        "information_flow": (information_flow(x), ours(matrix_entropy, x) / smaller),
        "Diff-eRank, released": (math.exp(released_entropy(x)), ours(effective_rank, x)),
        "BLME": (blme_nuclear_norm(x), ours(matrix_nuclear_norm, x)),
    }
    assert printed() == {name: tuple(f"{value:.6f}" for value in values) for name, values in computed.items()}


def test_zeros_add_to_rankme_what_the_page_says() -> None:
    states = np.zeros((4096, 2050))
    states[0, 0] = states[1, 1] = 1.0
    added = ours(rankme, states) / ours(rankme, states, epsilon=0) - 1
    assert f"{added:.2%}" == "0.33%"
    assert "2,048 of them raise RankMe by 0.33 %" in PAGE
