from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

import rankscope as rs
from rankscope.errors import ModelError
from rankscope.models.token_ids import check_token_ids, embedding_rows
from tiny import save_tiny, tiny_model


def test_ids_up_to_the_last_row_are_fine() -> None:
    model = tiny_model("llama")
    assert embedding_rows(model) == 300
    check_token_ids("tiny", 299, model)
    with pytest.raises(ModelError, match=r"ids up to 300, the embedding has 300 rows \(ids 0 to 299\)"):
        check_token_ids("tiny", 300, model)


def test_a_tokenizer_of_another_model_is_found_before_the_first_forward_pass(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["breakfast", "dog"])
    tokenizer.save_pretrained(folder)
    (tmp_path / "texts.txt").write_text("A dog has breakfast.\nNothing new here.\n")
    with pytest.raises(ModelError, match="tokenizer and embedding do not match: the texts have token ids up to 301"):
        rs.evaluate(str(folder), str(tmp_path / "texts.txt"), output=tmp_path / "run", untrained_seeds=0)
