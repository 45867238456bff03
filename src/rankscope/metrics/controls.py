"""Controls: a metric without sink tokens, with fewer tokens, or in another basis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics.arrays import ArrayLike, states_of_one_text
from rankscope.metrics.entropy import effective_rank
from rankscope.metrics.faults import describe_non_finite
from rankscope.metrics.norms import sum_of_largest
from rankscope.metrics.representations import representations_of
from rankscope.metrics.rows import UnitRows

MASSIVE = 10.0
"""A token is massive if its hidden state is this many times longer than the median token's."""

_DIRECTIONS = 256


def parse_drop_rule(rule: str | int) -> str | int:
    """Parses `first`, `massive`, or a number of leading tokens.

    Raises:
        SettingsError: anything else.

    Example:
        >>> [parse_drop_rule(rule) for rule in ("first", "4", "massive")]
        [1, 4, 'massive']
    """
    if rule == "massive":
        return rule
    if rule == "first":
        return 1
    if not isinstance(rule, bool) and str(rule).isdecimal() and int(rule) > 0:
        return int(rule)
    raise SettingsError(f"tokens to drop must be 'first', 'massive' or a number of leading tokens, got {rule!r}")


def drop_tokens(hidden: ArrayLike, rule: str | int) -> Float[Tensor, "kept hidden"]:
    """Hidden states without the tokens that act as attention sinks.

    Args:
        hidden: hidden states of one text, (tokens, d); a tensor, an array or nested lists.
        rule: `first` drops the first token, a number K the first K; `massive` drops those whose hidden
            state is more than ten times as long as the median token's.

    Raises:
        RepresentationError: fewer than two tokens remain, NaN or infinity, or wrong shape.
        SettingsError: another rule.

    Example:
        >>> drop_tokens([[90.0, 0.0], [1.0, 0.0], [0.0, 2.0]], "massive")
        tensor([[1., 0.],
                [0., 2.]], dtype=torch.float64)
    """
    parsed = parse_drop_rule(rule)
    hidden = states_of_one_text(hidden)
    if not torch.isfinite(hidden).all():
        raise RepresentationError("not finite", describe_non_finite(hidden))
    if isinstance(parsed, int):
        kept = hidden[parsed:]
    else:
        lengths = torch.linalg.vector_norm(hidden.float(), dim=1)
        kept = hidden[lengths <= MASSIVE * lengths.median()]
    if kept.shape[0] < 2:
        raise RepresentationError(
            "too few tokens left", f"{kept.shape[0]} of {hidden.shape[0]} tokens remain after dropping {rule}"
        )
    return kept


def rarefaction_curve(
    hidden: ArrayLike, sizes: Sequence[int], *, draws: int = 20, seed: int = 0
) -> Float[Tensor, " sizes"]:
    """Mean effective rank of random subsets of each size: its dependence on length alone.

    Args:
        hidden: hidden states of one text, (tokens, d); a tensor, an array or nested lists.
        sizes: numbers of tokens, each from 2 to N.
        draws: number of subsets per size, drawn without replacement.
        seed: of the draws.

    Raises:
        SettingsError: a size out of range, or no draws.
        RepresentationError: a subset without a spectrum, or wrong shape.

    Example:
        >>> import torch
        >>> hidden = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
        >>> [round(float(rank)) for rank in rarefaction_curve(hidden, [8, 16, 32])]
        [6, 12, 19]
    """
    hidden = states_of_one_text(hidden)
    tokens = hidden.shape[0]
    if bad := [size for size in sizes if not 2 <= size <= tokens]:
        raise SettingsError(f"sizes of subsets must be from 2 to the text's {tokens} tokens, got {bad[0]}")
    if len(sizes) == 0 or draws < 1:
        raise SettingsError(f"a curve needs at least one size and one draw, got {len(sizes)} sizes and draws={draws}")
    generator = torch.Generator().manual_seed(seed)

    def mean_over_draws(size: int) -> Tensor:
        subsets = [torch.randperm(tokens, generator=generator)[:size].to(hidden.device) for _ in range(draws)]
        return torch.stack([effective_rank(hidden[subset]) for subset in subsets]).mean()

    return torch.stack([mean_over_draws(size) for size in sizes])


def rotated_matrix_nuclear_norm(hidden: ArrayLike, *, seed: int = 0) -> Float[Tensor, ""]:
    """The Matrix Nuclear-Norm after a random rotation of the hidden dimensions.

    Differs strongly from the Matrix Nuclear-Norm if a few outlier dimensions dominate it; the exact nuclear norm is
    unaffected. Above 256 dimensions it is estimated from 256 random orthonormal directions.

    Raises:
        RepresentationError: as for `matrix_nuclear_norm`.

    Example:
        >>> hidden = [[5.0, 0.1], [-5.0, 0.2], [5.0, -0.3], [-5.0, 0.0]]  # one outlier dimension
        >>> round(float(rotated_matrix_nuclear_norm(hidden)), 4)
        0.6992
    """
    found = representations_of(states_of_one_text(hidden))
    found.refuse()
    return found.of_rows(lambda rows: rotated_matrix_nuclear_norm_of_unit_rows(rows, seed=seed))[0]


def rotated_matrix_nuclear_norm_of_unit_rows(rows: UnitRows, *, seed: int = 0) -> Float[Tensor, " texts"]:
    """The rotated Matrix Nuclear-Norm of each text, from its centred unit rows."""
    hidden_size = rows.hidden_size
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(hidden_size, min(hidden_size, _DIRECTIONS), generator=generator, dtype=torch.float64)
    basis: Tensor = torch.linalg.qr(directions)[0].to(rows.rows.device, rows.rows.dtype)
    columns: Tensor = torch.linalg.vector_norm(rows.rows @ basis, dim=1)
    ranks = [min(tokens, hidden_size) for tokens in rows.tokens]
    kept = [max(1, round(rank / hidden_size * columns.shape[1])) for rank in ranks]
    means = sum_of_largest(columns, kept) / columns.new_tensor(kept)
    return means * columns.new_tensor(ranks) / rows.counts
