from __future__ import annotations

import pytest
import torch

from rankscope.measuring.each_text import EachText
from rankscope.measuring.seen import Seen
from rankscope.metrics import effective_rank, normalized_matrix_entropy, spectrum

CPU = torch.device("cpu")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layer(seed: int) -> torch.Tensor:
    return torch.randn(9, 5, generator=seeded(seed))


def ignore(_: object) -> None:
    """Every text may be skipped."""


def test_layers_of_other_hidden_sizes_are_measured_each() -> None:
    each = EachText(["effective_rank", "normalized_matrix_entropy"], 8)
    states = {"0": layer(0), "1": torch.randn(9, 4), "2": layer(2)}
    for name, hidden in states.items():
        each.see(Seen(name, {0: hidden}))
    each.close(CPU)
    rows = each.rows([0], ignore)
    for name, hidden in states.items():
        row = rows[0, name]
        assert row["effective_rank"] == pytest.approx(float(effective_rank(hidden)))
        assert row["normalized_matrix_entropy"] == pytest.approx(float(normalized_matrix_entropy(hidden)))
        assert row["eigenvalues"] == pytest.approx(spectrum(hidden).positive[: len(row["eigenvalues"])].tolist())


def test_eigenvalues_that_are_not_those_of_their_matrix_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)  # as on an accelerator
    decompose = torch.linalg.eigvalsh
    expected = [float(effective_rank(layer(place))) for place in range(3)]

    def wrong_for_the_second(gram: torch.Tensor) -> torch.Tensor:
        values = decompose(gram)
        if len(values) == 3:
            values[1] *= 1.5
        return values

    monkeypatch.setattr(torch.linalg, "eigvalsh", wrong_for_the_second)
    each = EachText(["effective_rank", "stable_rank"], 0)
    each.see(Seen("last", {place: layer(place) for place in range(3)}))
    each.close(CPU)
    with pytest.warns(UserWarning, match="recomputed on the CPU"):
        rows = each.rows(range(3), ignore)
    for place in range(3):
        assert rows[place, "last"]["effective_rank"] == pytest.approx(expected[place])


def test_forward_passes_wait_for_each_other_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)
    monkeypatch.setattr("rankscope.metrics.devices.MATRICES_AT_ONCE", 4)
    decomposed = []
    decompose = torch.linalg.eigvalsh
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda grams: decomposed.append(len(grams)) or decompose(grams))
    each = EachText(["effective_rank"], 0)
    ready = []
    for first in range(0, 10, 2):  # five forward passes of two texts, two layers
        for name in ("0", "last"):
            each.see(Seen(name, {place: layer(place) for place in (first, first + 1)}))
        each.close(CPU)
        ready.append(each.is_read([0]))
    assert decomposed == [4] * 5
    assert ready == [False, True, True, True, True]  # read once the next ones are under way
    assert set(each.rows([0, 9], ignore)) == {(0, "0"), (0, "last"), (9, "0"), (9, "last")}


def test_numbers_do_not_depend_on_what_else_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)

    def measured(passes: list[list[int]]) -> dict:
        each = EachText(["effective_rank", "matrix_entropy", "stable_rank"], 0)
        for places in passes:
            each.see(Seen("last", {place: torch.randn(5 + place, 12, generator=seeded(place)) for place in places}))
            each.close(CPU)
        return {at: row for places in passes for at, row in each.rows(places, ignore).items()}

    together, alone = measured([[0, 1], [2, 3], [4]]), measured([[2, 3]])
    assert {at: together[at] for at in alone} == alone


def test_a_fault_shows_when_its_own_text_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)
    each, told = EachText(["effective_rank"], 0), []
    for place, states in enumerate([layer(0), torch.zeros(9, 5), layer(2)]):
        each.see(Seen("last", {place: states}))
        each.close(CPU)
    assert each.rows([2], told.append)[2, "last"]["status"] == "ok"
    assert told == []
    assert each.rows([1], told.append)[1, "last"]["status"] == "skipped"
    assert [(skip.place, skip.layer, skip.is_zero) for skip in told] == [(1, "last", True)]
