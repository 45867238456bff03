from __future__ import annotations

import torch

from rankscope.measuring import measure_token_moments, plan_batches
from rankscope.measuring.plan import Layout
from rankscope.models import TransformersNetwork
from rankscope.texts import Text, TextSet
from tiny import SENTENCES, tiny_model, tiny_tokenizer


def test_moments_are_those_of_all_tokens_of_unit_length() -> None:
    """The oracle: transformers' own hidden states, one text at a time, stacked."""
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    texts = TextSet("texts", "here", [Text(str(n), text) for n, text in enumerate(SENTENCES)])
    plan = plan_batches(texts, tokenizer, Layout(longest=24, batch=64))
    told: list[int] = []
    network = TransformersNetwork.of(model).fitted_to("tiny", plan.token_ids)
    found = measure_token_moments(plan, network, ("0", "1", "2", "last"), told.append)
    stacked: list[list[torch.Tensor]] = [[], [], [], []]
    for batch in plan.batches:
        for text in batch:
            with torch.no_grad():
                states = model(input_ids=torch.tensor([text.tokens]), output_hidden_states=True).hidden_states
            for layer, hidden in zip(stacked, states, strict=True):
                layer.append(torch.nn.functional.normalize(hidden[0].double(), dim=1))
    assert sum(told) == plan.tokens
    for name, layer in zip(("0", "1", "2", "last"), stacked, strict=True):
        rows = torch.cat(layer)
        assert int(found[name].tokens) == len(rows) == plan.tokens
        torch.testing.assert_close(found[name].total, rows.sum(dim=0), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found[name].outer, rows.T @ rows, atol=1e-4, rtol=1e-4)


def test_moments_of_the_parts_of_a_plan_add_up_to_those_of_the_whole() -> None:
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    texts = TextSet("texts", "here", [Text(str(n), text) for n, text in enumerate(SENTENCES)])
    plan = plan_batches(texts, tokenizer, Layout(longest=24, batch=16))
    network = TransformersNetwork.of(model).fitted_to("tiny", plan.token_ids)
    parts = [range(0, len(plan.batches), 2), range(1, len(plan.batches), 2)]
    first, second = (measure_token_moments(plan.only(part), network, ["last"])["last"] for part in parts)
    whole, together = measure_token_moments(plan, network, ["last"])["last"], first + second
    assert together.tokens == whole.tokens
    torch.testing.assert_close(together.outer, whole.outer)
