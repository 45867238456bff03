"""Which dtype `auto` is."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig

from rankscope.models import Placement, own_dtype


def config(dtype: str | None) -> object:
    return AutoConfig.for_model("llama", dtype=dtype)


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Pretends that there is an accelerator with or without bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: request.param)


@pytest.mark.parametrize("own", ["float32", "bfloat16", "float16", None])
def test_a_cpu_computes_in_float32(own: str | None) -> None:
    assert Placement("auto", "cpu").of(config(own)) == Placement("float32", "cpu")


@pytest.mark.parametrize(
    ("hardware", "own", "expected"),
    [
        (True, "bfloat16", "bfloat16"),
        (True, "float16", "bfloat16"),
        (True, "float32", "float32"),
        (True, None, "float32"),
        (True, "float64", "float32"),
        (False, "float16", "float16"),
        (False, "bfloat16", "float32"),
    ],
    indirect=["hardware"],
)
@pytest.mark.usefixtures("hardware")
def test_an_accelerator_computes_in_the_checkpoints_dtype(own: str | None, expected: str) -> None:
    assert Placement("auto", "cuda").of(config(own)).dtype == expected


def test_what_was_asked_for_is_kept() -> None:
    assert Placement("float16", "cuda").of(config("float32")).dtype == "float16"


def test_the_dtype_of_the_text_part_counts_where_the_whole_has_none() -> None:
    assert own_dtype(config("bfloat16")) == "bfloat16"
    assert own_dtype(config(None)) == "float32"
