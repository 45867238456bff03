"""The tolerance for equal rows, against the rounding of real forward passes and the nearest genuine rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

import tiny
from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics import matrix_entropy, measure, spectrum, unit_rows
from rankscope.metrics.rounding import rounding_of, tolerances
from rankscope.metrics.rows import Texts, centre
from rankscope.models import (
    Batch,
    Placement,
    describe_model,
    examine,
    forward,
    load_model,
    parse_model_reference,
    pico_sizes,
)
from rankscope.models.layers import count_blocks, resolve_layers
from rankscope.texts.stdlib_docs import read_stdlib_docs

pytestmark = pytest.mark.slow

_PLAIN_LLAMA = {key: size for key, size in tiny._LLAMA.items() if key != "head_dim"}
MORE: dict[str, dict[str, Any]] = {
    "bloom": {"hidden_size": 32, "n_layer": 3, "n_head": 4},  # ALiBi: positions in the attention alone
    "mpt": {"d_model": 32, "n_layers": 3, "n_heads": 4, "max_seq_len": 128},  # ALiBi
    "olmo2": _PLAIN_LLAMA,
    "phi": _PLAIN_LLAMA,
    "stablelm": _PLAIN_LLAMA,
}
KNOWS_POSITIONS = ("opt", "opt-350m", "gpt2", "mamba")
KNOWS_NONE = tuple(name for name in (*tiny.CONFIGURATIONS, *MORE) if name not in KNOWS_POSITIONS)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
REPEATED = [50] * 40

States = dict[str, torch.Tensor]


def network(name: str, dtype: torch.dtype) -> Any:
    if name in tiny.CONFIGURATIONS:
        return tiny.tiny_model(name).to(dtype)
    torch.manual_seed(0)
    config = CONFIG_MAPPING[name](
        **MORE[name], vocab_size=tiny.VOCABULARY, bos_token_id=0, eos_token_id=1, pad_token_id=2
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model.to(dtype)


def states(model: Any, *texts: list[int]) -> list[States]:
    """Hidden states of each text of one padded batch, at all layers."""
    found: list[States] = [{} for _ in texts]

    def keep(layer: str, hidden: list[torch.Tensor]) -> None:
        for place, one in zip(found, hidden, strict=True):
            place[layer] = one

    network = replace(examine(model), padding_fault=None)  # padded on purpose, also where rounding is coarse
    layers = resolve_layers("all", count_blocks(model.config))
    forward(network, Batch.of([list(text) for text in texts]), layers, keep, loss=False)
    return found


def distances(hidden: torch.Tensor) -> torch.Tensor:
    return centre(Texts.of([hidden], torch.finfo(torch.float64).eps), torch.float64).distances[0]


def fault(hidden: torch.Tensor, **options: Any) -> str | None:
    try:
        measure(hidden, **options)
    except RepresentationError as error:
        return error.fault
    return None


def check_rounding(model: Any, repeated: list[int], ordinary: list[list[int]], dtype: torch.dtype) -> None:
    """Equal rows are refused alone and padded, ordinary ones are measured, and both by a margin."""
    within = tolerances(torch.finfo(dtype).eps)
    (alone,) = states(model, repeated)
    padded, _ = states(model, repeated, max(ordinary, key=len))
    for layer in alone:
        for hidden in (alone[layer], padded[layer]):
            assert float(distances(hidden).max()) < within.all_rows / 4, layer
            assert fault(hidden, computed_in=dtype) == "equal rows", layer
    for text in ordinary:
        for layer, hidden in states(model, text)[0].items():
            found = distances(hidden)
            assert float(found.max()) > 3 * within.all_rows, layer
            assert float(found.min()) > 3 * within.one_row, layer
            assert fault(hidden, computed_in=dtype) is None, layer


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", KNOWS_NONE)
def test_a_repeated_token_has_equal_rows_and_ordinary_texts_do_not(name: str, dtype: torch.dtype) -> None:
    tokenizer = tiny.tiny_tokenizer()
    check_rounding(network(name, dtype), REPEATED, [tokenizer(text)["input_ids"] for text in tiny.SENTENCES[:4]], dtype)


def test_at_least_ten_architectures_were_asked() -> None:
    assert len(KNOWS_NONE) >= 10


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", KNOWS_POSITIONS)
def test_a_repeated_token_is_measured_where_the_model_knows_its_position(name: str, dtype: torch.dtype) -> None:
    (found,) = states(network(name, dtype), REPEATED)
    for layer, hidden in found.items():
        # A state-space model has no positions before its first block.
        expected = "equal rows" if (name, layer) == ("mamba", "0") else None
        assert fault(hidden, computed_in=dtype) == expected, layer


def real_texts(tokenizer: Any, count: int, longest: int = 200) -> list[list[int]]:
    rows = islice(read_stdlib_docs(), count)
    return [tokenizer(str(row.row["text"]))["input_ids"][:longest] for row in rows]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", pico_sizes())
def test_on_the_pico_family(name: str, dtype: torch.dtype) -> None:
    description = describe_model(parse_model_reference(name))
    tokenizer = description.tokenizer
    model = load_model(description, Placement()).to(dtype)
    for text in (" the" * 40, " a" * 64):
        repeated = tokenizer(text)["input_ids"]
        assert len(set(repeated)) == 1
        check_rounding(model, repeated, real_texts(tokenizer, 6), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_on_smollm2(smollm2_folder: Path, dtype: torch.dtype) -> None:
    description = describe_model(parse_model_reference(str(smollm2_folder)))
    model = load_model(description, Placement()).to(dtype)
    repeated = description.tokenizer(" the" * 40)["input_ids"]
    check_rounding(model, repeated, real_texts(description.tokenizer, 2, 100), dtype)


def test_rows_that_are_equal_in_part_have_a_rank_of_about_one() -> None:
    model = network("llama", torch.float32)
    (first,), (alternating,) = states(model, [0, *[50] * 39]), states(model, [50, 60] * 20)
    for layer, hidden in first.items():  # the others attend to the first one, each with another weight
        assert float(matrix_entropy(hidden).exp()) < 2, layer
    assert float(matrix_entropy(first["0"]).exp()) == pytest.approx(1)
    for layer, hidden in alternating.items():
        assert float(matrix_entropy(hidden).exp()) < 10, layer
        assert fault(hidden) is None, layer
    assert float(matrix_entropy(alternating["0"]).exp()) == pytest.approx(1)


def test_a_row_that_lies_at_the_mean_but_for_rounding_is_named() -> None:
    torch.manual_seed(0)
    rows = 10 + torch.randn(20, 16)
    rows[7] = rows[torch.arange(20) != 7].mean(dim=0)  # rounded to float32
    with pytest.raises(RepresentationError, match="row 7 of 20") as caught:
        spectrum(rows)
    assert caught.value.fault == "row at the mean"
    assert fault(rows.double(), computed_in=torch.float32) == "row at the mean"
    assert fault(rows.double()) is None  # taken as exact, the row has a direction


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_keeps_what_it_can_resolve(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    eps = torch.finfo(dtype).eps
    shared, own = torch.randn(64, dtype=torch.float64), torch.randn(30, 64, dtype=torch.float64)
    # Ten times beyond one rounding: its direction is kept to a few per cent.
    row = (shared + own)[:1]
    near = torch.cat([shared + own, shared - own, shared + 10 * eps * row])
    assert fault(near.to(dtype)) is None
    assert fault((shared + 0.05 * eps * own).to(dtype)) == "equal rows"


def test_the_coarsest_dtype_decides() -> None:
    assert rounding_of(torch.float32) == torch.finfo(torch.float32).eps
    assert rounding_of(torch.float64, torch.float32, torch.bfloat16, None) == torch.finfo(torch.bfloat16).eps
    with pytest.raises(SettingsError, match=r"got torch\.int64"):
        unit_rows(torch.randn(4, 3), computed_in=torch.int64)
    with pytest.raises(SettingsError, match="dtype=torch.bfloat16"):
        unit_rows(torch.randn(4, 3), dtype=torch.bfloat16)
    (hidden,) = (found["2"] for found in states(network("llama", torch.float32), REPEATED))
    assert fault(hidden) == fault(hidden.double(), computed_in=torch.float32) == "equal rows"


def test_the_gradient_goes_through_the_check() -> None:
    hidden = torch.randn(6, 4, requires_grad=True)
    matrix_entropy(hidden).backward()
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()
