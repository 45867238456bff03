from __future__ import annotations

import pytest
from transformers import AutoModelForCausalLM

from rankscope.errors import UnknownNameError
from rankscope.models import (
    count_parameters,
    describe_model,
    expand_families,
    family_members,
    known_families,
    known_model,
    parse_model_reference,
    pico_family,
)


def test_families_are_in_order_of_size_and_one_model_is_in_two() -> None:
    references = [known.reference for family in known_families() for known in family_members(family)]
    assert {one for one in references if references.count(one) > 1} == {"pico-0.4m"}
    assert known_model("pico-0.4m").family == "pico"  # type: ignore[union-attr]
    for family in known_families():
        sizes = [known.parameters for known in family_members(family)]
        assert sizes == sorted(sizes)


def test_a_family_stands_for_its_members_among_other_models() -> None:
    assert expand_families(("mine", "family:openelm", "mine")) == (
        "mine", "apple/OpenELM-270M", "apple/OpenELM-450M", "apple/OpenELM-1_1B", "apple/OpenELM-3B",
    )  # fmt: skip
    with pytest.raises(UnknownNameError, match="did you mean pythia"):
        expand_families(("family:pythias",))


def test_a_revision_of_a_model_is_that_model() -> None:
    known = known_model("EleutherAI/pythia-70m@step1000")
    assert known is not None
    assert (known.family, known.label, known.hidden_size) == ("pythia", "70M", 512)
    assert known_model("pico-1m").parameters == 1_055_488  # type: ignore[union-attr]
    assert known_model("pico@step-128") == known_model("pico-0.4m")
    assert known_model("pico-llama@step-128").family == "pico-architectures"  # type: ignore[union-attr]
    assert known_model("gpt2") is None


def test_parameters_are_counted_without_being_made() -> None:
    description = describe_model(parse_model_reference("pico-0.4m"))
    (recorded,) = (model.parameters for model in pico_family() if model.name == "pico-0.4m")
    assert count_parameters(description) == recorded
    assert AutoModelForCausalLM.from_config(description.config).num_parameters() == recorded


def test_openelm_reads_the_tokenizer_that_its_page_names() -> None:
    reference = parse_model_reference("apple/OpenELM-270M@main")
    assert reference.tokenizer_location == "meta-llama/Llama-2-7b-hf"
    assert reference.revision == "main"
