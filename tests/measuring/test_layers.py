"""Which layers are measured, and which are compared with the one before."""

from __future__ import annotations

import pytest

from rankscope.errors import SettingsError, UnknownNameError
from rankscope.measuring import Layers, choose_layers
from rankscope.settings import Settings
from tiny import tiny_config

CONFIG = tiny_config("llama")  # of 3 blocks


@pytest.mark.parametrize(
    ("layers", "before"),
    [
        ("all", {"1": "0", "2": "1", "last": "2"}),
        ("2,3,last", {"3": "2", "last": "2"}),  # block 3 before and after the final norm
        ("0,1", {"1": "0"}),
    ],
)
def test_neighbours_are_one_block_apart(layers: str, before: dict[str, str]) -> None:
    assert choose_layers(CONFIG, Settings(layers=layers, metrics="linear_cka")).before == before


def test_nothing_is_compared_where_nobody_asks() -> None:
    assert choose_layers(CONFIG, Settings(layers="all")) == Layers(("0", "1", "2", "last"))


@pytest.mark.parametrize("layers", ["last", "0,2", "3,last"])
def test_layers_of_which_no_two_are_adjacent_are_refused(layers: str) -> None:
    with pytest.raises(SettingsError, match="mean_cosine_similarity compares each layer with the previous one"):
        choose_layers(CONFIG, Settings(layers=layers, metrics="loss,mean_cosine_similarity"))


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="4"):
        choose_layers(CONFIG, Settings(layers="4"))
