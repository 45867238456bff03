from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rankscope.errors import ModelError
from rankscope.models import Placement, describe_model, load_model, parse_model_reference
from tiny_gguf import tiny_llama, write_gguf


def test_tensors_that_the_reader_passes_over_are_named(tmp_path: Path) -> None:
    bias = {"blk.1.attn_q.bias": np.ones(32, dtype=np.float32)}
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llama(), tensors=bias)
    with pytest.raises(ModelError, match=r"has 1 weight \(blk.1.attn_q.bias\) that the network does not use"):
        load_model(describe_model(parse_model_reference(str(path))), Placement())


def test_tables_of_frequencies_that_nothing_reads_are_no_fault(tmp_path: Path) -> None:
    table = {"blk.1.attn_rot_embd.weight": np.ones(4, dtype=np.float32)}
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llama(), tensors=table)
    load_model(describe_model(parse_model_reference(str(path))), Placement())
