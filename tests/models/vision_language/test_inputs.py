from __future__ import annotations

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from rankscope.models.vision_language import UnusablePairError, encode_text, text_input, with_text
from rankscope.models.vision_language.inputs import ModelInput
from tiny_vision import tokenizer_with_markers

TOKENIZER = tokenizer_with_markers()
INSTRUCTION, RESPONSE = "What is it?", "A lazy dog."


def with_specials() -> object:
    tokenizer = tokenizer_with_markers()
    tokenizer._tokenizer.post_processor = TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return tokenizer


def test_the_text_is_instruction_line_feed_response_as_the_tokenizer_has_it() -> None:
    text = encode_text(TOKENIZER, INSTRUCTION, RESPONSE, 100)
    assert text.leading == []
    assert text.ids == TOKENIZER(f"{INSTRUCTION}\n{RESPONSE}").input_ids
    assert TOKENIZER.decode(text.ids[-text.response :]) == RESPONSE


@pytest.mark.parametrize(("instruction", "response"), [("", RESPONSE), (INSTRUCTION, "")])
def test_one_of_the_two_may_be_empty(instruction: str, response: str) -> None:
    text = encode_text(TOKENIZER, instruction, response, 100)
    assert text.ids == TOKENIZER(instruction + response).input_ids
    assert text.response == (len(text.ids) if response else 0)


def test_special_tokens_stay_where_the_tokenizer_puts_them() -> None:
    tokenizer = with_specials()
    text = encode_text(tokenizer, INSTRUCTION, RESPONSE, 100)  # type: ignore[arg-type]
    assert text.leading == [0]
    assert text.ids[-1] == 1
    assert text_input(text).ids.tolist() == tokenizer(f"{INSTRUCTION}\n{RESPONSE}").input_ids  # type: ignore[operator]


def test_long_texts_are_cut() -> None:
    whole = encode_text(TOKENIZER, INSTRUCTION, RESPONSE, 100)
    cut = encode_text(TOKENIZER, INSTRUCTION, RESPONSE, len(whole.ids) - 2)
    assert cut.ids == whole.ids[:-2]
    assert cut.response == whole.response - 2
    assert encode_text(TOKENIZER, INSTRUCTION, RESPONSE, 2).response == 0


def test_positions_of_image_and_text() -> None:
    text = encode_text(TOKENIZER, "", RESPONSE, 100)
    image = ModelInput(
        torch.tensor([0, 9, 9, 5]), torch.tensor([0, 1, 1, 0]).bool(), torch.zeros(4).bool(), 0, {"x": torch.ones(1)}
    )
    both = with_text(image, text, 9)
    assert both.ids.tolist() == [0, 9, 9, 5, *text.ids]
    assert both.image.nonzero().flatten().tolist() == [1, 2]
    assert both.after_image.tolist() == [False] * 3 + [True] * (1 + len(text.ids))
    assert both.response == len(text.ids)
    assert both.tensors is image.tensors
    alone = text_input(text)
    assert alone.after_image.all()
    assert alone.response == len(text.ids) - 1  # its first token has nothing before it


def test_a_text_with_the_image_token_cannot_be_read() -> None:
    text = encode_text(TOKENIZER, "", "Look: <image>", 100)
    image = ModelInput(torch.tensor([9]), torch.tensor([True]), torch.tensor([False]), 0)
    with pytest.raises(UnusablePairError, match="holds the image token"):
        with_text(image, text, TOKENIZER.convert_tokens_to_ids("<image>"))
