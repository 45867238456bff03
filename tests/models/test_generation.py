"""Responses: greedy ones are transformers' own, sampled ones are draws that do not depend on the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rankscope.errors import SettingsError
from rankscope.models import (
    GenerationSettings,
    Placement,
    Response,
    UnansweredPrompt,
    describe_model,
    generate,
    load_model,
    parse_model_reference,
)
from rankscope.models.generation import _GumbelNoise, encode_prompt
from rankscope.texts import Text
from tiny import SENTENCES, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.slow

PROMPTS = [Text(str(number), text[: 12 + 9 * number]) for number, text in enumerate(SENTENCES[:5])]
TEMPLATE = (
    "{% for turn in messages %}<s>{{ turn.role }}: {{ turn.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}bot:{% endif %}"
)


@pytest.fixture
def pico() -> tuple[Any, Any]:
    description = describe_model(parse_model_reference("pico"))
    return load_model(description, Placement()), description.tokenizer


def answers(network: Any, tokenizer: Any, prompts: list[Text] = PROMPTS, **settings: float) -> dict[str, Any]:
    chosen = GenerationSettings(**{"max_new_tokens": 12, "batch_size": 3, **settings})
    return {answer.id: answer for answer in generate(network, tokenizer, prompts, chosen)}


@pytest.mark.parametrize("name", ["pico", "llama", "gpt_neox", "opt", "gpt2", "mistral", "gemma2"])
def test_greedy_in_batches_equals_transformers_one_by_one(name: str, pico: Any) -> None:
    """Which also shows that padding on the left changes nothing."""
    network, tokenizer = pico if name == "pico" else (tiny_model(name), tiny_tokenizer())
    found = answers(network, tokenizer, temperature=0)
    assert list(found) == [prompt.id for prompt in PROMPTS]
    texts = set()
    for prompt in PROMPTS:
        encoded = tokenizer(prompt.text, return_tensors="pt")
        new = network.generate(**encoded, do_sample=False, max_new_tokens=12)[0, encoded.input_ids.shape[1] :].tolist()
        stop = network.generation_config.eos_token_id
        count = new.index(stop) if stop in new else len(new)
        text = tokenizer.decode(new, skip_special_tokens=True)
        assert found[prompt.id] == Response(prompt.id, prompt.text, text, count, stop in new)
        texts.add(text)
    assert len(texts) > 1


def test_samples_depend_on_seed_and_id_and_not_on_batches_or_order(pico: Any) -> None:
    found = answers(*pico, temperature=1.5)
    assert answers(*pico, temperature=1.5, batch_size=1) == found
    assert answers(*pico, list(reversed(PROMPTS)), temperature=1.5, batch_size=2) == found
    other = answers(*pico, temperature=1.5, seed=1)
    assert all(other[name].text != found[name].text for name in found)
    twice = answers(*pico, [Text("a", "Once upon"), Text("b", "Once upon")], temperature=1.5)
    assert twice["a"].text != twice["b"].text


def test_callers_random_state_is_left_alone(pico: Any) -> None:
    state = torch.random.get_rng_state()
    answers(*pico, temperature=1)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_draw_is_from_the_softmax(temperature: float) -> None:
    logits, draws = torch.tensor([[2.0, 1.0, 0.0, -1.0]]), 10_000
    noise = _GumbelNoise(GenerationSettings(temperature=temperature), ["a"])
    counts = torch.bincount(torch.cat([noise(logits, logits).argmax(-1) for _ in range(draws)]), minlength=4)
    expected = torch.softmax(logits[0] / temperature, -1)
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert ((counts / draws - expected).abs() < 4 * deviation).all()


def test_of_the_models_generation_configuration_only_stop_tokens_count(pico: Any) -> None:
    network, tokenizer = pico
    for temperature in (0, 1.5):
        network.generation_config.update(do_sample=False, repetition_penalty=1.0, no_repeat_ngram_size=0, top_k=50)
        plain = answers(network, tokenizer, temperature=temperature)
        network.generation_config.update(do_sample=True, repetition_penalty=9.0, no_repeat_ngram_size=1, top_k=1)
        assert answers(network, tokenizer, temperature=temperature) == plain


def test_a_stop_token_finishes_and_the_limit_does_not(pico: Any) -> None:
    network, tokenizer = pico
    (prompt,) = prompts = PROMPTS[:1]
    unstopped = answers(network, tokenizer, prompts, temperature=0)["0"]
    assert (unstopped.finished, unstopped.tokens) == (False, 12)
    new = tokenizer(prompt.text + unstopped.text)["input_ids"][len(tokenizer(prompt.text)["input_ids"]) :]
    assert len(new) == 12
    stop = next(token for place, token in enumerate(new) if place >= 3 and token not in new[:place])
    network.generation_config.eos_token_id = [0, stop]
    stopped = answers(network, tokenizer, temperature=0)["0"]  # in a batch, where others go on
    assert (stopped.finished, stopped.tokens) == (True, new.index(stop))
    assert stopped.text == tokenizer.decode(new[: new.index(stop)])
    network.generation_config.eos_token_id = None
    assert answers(network, tokenizer, prompts, temperature=0)["0"] == unstopped


def test_prompts_without_room_for_the_response_are_named(pico: Any) -> None:
    network, tokenizer = pico
    size = len(tokenizer("word " * 50)["input_ids"])
    prompts = [PROMPTS[0], Text("long", "word " * 50), Text("void", "")]
    found = answers(network, tokenizer, prompts, max_new_tokens=257 - size)
    reason = f"{size} tokens of prompt and {257 - size} of response exceed the model's 256 positions"
    assert found["long"] == UnansweredPrompt("long", prompts[1].text, reason)
    assert found["void"] == UnansweredPrompt("void", "", "no tokens")
    assert isinstance(found["0"], Response)
    whole = answers(network, tokenizer, prompts[1:2], max_new_tokens=256 - size)["long"]
    assert isinstance(whole, Response)


def test_the_chat_template_is_used_where_there_is_one() -> None:
    tokenizer = tiny_tokenizer()
    assert encode_prompt(tokenizer, "Short text here.") == tokenizer("Short text here.")["input_ids"]
    tokenizer.chat_template = TEMPLATE
    encoded = encode_prompt(tokenizer, "Short text here.")
    assert tokenizer.decode(encoded) == "<s>user: Short text here.\nbot:"
    assert encoded.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be an integer of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer"),
        ({"temperature": -1}, "temperature must be at least 0, got -1"),
        ({"temperature": float("nan")}, "temperature must be at least 0, got nan"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        GenerationSettings(**settings)
