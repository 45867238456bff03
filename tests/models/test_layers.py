from __future__ import annotations

import pytest
from transformers import PretrainedConfig

from rankscope.errors import ModelError, UnknownNameError
from rankscope.models import count_blocks, find_blocks, resolve_layers
from tiny import CONFIGURATIONS, tiny_config, tiny_model


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("last", ("last",)),
        ("first", ("1",)),
        ("middle", ("6",)),
        ("all", (*map(str, range(12)), "last")),
        ("3,7,-1", ("3", "7", "last")),
        ("last, 0 ,12,3,3", ("0", "3", "12", "last")),
        ("-13,-2", ("0", "11")),
        ("first,middle,last", ("1", "6", "last")),
    ],
)
def test_names_and_indices(layers: str, expected: tuple[str, ...]) -> None:
    assert resolve_layers(layers, 12) == expected


@pytest.mark.parametrize(
    ("layer", "hint"), [("lsat", "did you mean last"), ("13", "0 to 12"), ("-14", "-13"), ("", "known")]
)
def test_what_is_no_layer(layer: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match=hint):
        resolve_layers(layer, 12)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_blocks_are_found_and_counted(name: str) -> None:
    assert count_blocks(tiny_config(name)) == 3
    assert len(find_blocks(tiny_model(name))) == 3


def test_a_configuration_that_does_not_say() -> None:
    config = PretrainedConfig()
    with pytest.raises(ModelError, match="does not give the number of blocks"):
        count_blocks(config)


def test_a_model_without_a_list_of_blocks() -> None:
    model = tiny_model("llama")
    model.model.layers.append(model.model.layers[0])
    with pytest.raises(ModelError, match="no list of 3 blocks"):
        find_blocks(model)
