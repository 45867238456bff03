"""The papers' models by family, with their hub ids, and what a study needs to know about any model.

Sources: the models' own pages and configurations on the hub; labels are those of arXiv 2401.17139 and 2410.10672.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rankscope.errors import UnknownNameError
from rankscope.models.loading import ModelDescription
from rankscope.models.outline import outline_of
from rankscope.models.pico import WITH_CHECKPOINTS, pico_architectures, pico_family, pico_sizes

PREFIX = "family:"
_PICO = "pico"
_OF_PICO: dict[str, Callable[[], tuple[str, ...]]] = {
    _PICO: pico_sizes,
    "pico-architectures": pico_architectures,
}


@dataclass(frozen=True)
class KnownModel:
    """A model that a paper measured, or a similar one.

    Attributes:
        reference: hub id, or the name of a pico model.
        family: name.
        label: the paper's.
        parameters: nominal for the papers' models, counted for pico.
        hidden_size: d at the head's input.
    """

    reference: str
    family: str
    label: str
    parameters: int
    hidden_size: int


def known_families() -> tuple[str, ...]:
    """Names of the families, for `family:NAME`."""
    return (*_FAMILIES, *_OF_PICO)


def family_members(family: str) -> tuple[KnownModel, ...]:
    """The models of a family, smallest first.

    Raises:
        UnknownNameError: no such family.
    """
    if family in _OF_PICO:
        found = {model.name: model for model in pico_family()}
        return tuple(
            KnownModel(name, family, name.removeprefix("pico-"), found[name].parameters, found[name].hidden_size)
            for name in _OF_PICO[family]()
        )
    if family not in _FAMILIES:
        raise UnknownNameError("model family", family, known_families())
    return tuple(
        KnownModel(reference, family, label, round(parameters * 1e6), hidden_size)
        for reference, label, parameters, hidden_size in _FAMILIES[family]
    )


def expand_families(models: tuple[str, ...]) -> tuple[str, ...]:
    """Model references with every `family:NAME` replaced by the family's members."""
    found: list[str] = []
    for model in models:
        family = model.removeprefix(PREFIX)
        found += [model] if family == model else [known.reference for known in family_members(family)]
    return tuple(dict.fromkeys(found))


def known_model(reference: str) -> KnownModel | None:
    """The catalogue entry of a model reference, regardless of its revision; None if it has none.

    `pico-0.4m` is in two families, and counts among the sizes.
    """
    name = reference.partition("@")[0]
    name = WITH_CHECKPOINTS if name == _PICO else name
    members = (known for family in known_families() for known in family_members(family))
    return next((known for known in members if known.reference == name), None)


def model_family(description: ModelDescription) -> str:
    """The catalogue's name for a model's family; of any other model the name of its architecture."""
    known = known_model(description.reference.text)
    return known.family if known else str(description.config.model_type)


def count_parameters(description: ModelDescription) -> int:
    """The number of parameters of a configuration, without creating them."""
    return int(outline_of(description).num_parameters())


_FAMILIES: dict[str, tuple[tuple[str, str, float, int], ...]] = {
    # reference, label, millions of parameters, hidden size
    "opt": (
        ("facebook/opt-125m", "125M", 125, 768),
        ("facebook/opt-1.3b", "1.3B", 1300, 2048),
        ("facebook/opt-2.7b", "2.7B", 2700, 2560),
        ("facebook/opt-6.7b", "6.7B", 6700, 4096),
        ("facebook/opt-13b", "13B", 13000, 5120),
    ),
    "cerebras-gpt": (
        ("cerebras/Cerebras-GPT-111M", "111M", 111, 768),
        ("cerebras/Cerebras-GPT-256M", "256M", 256, 1088),
        ("cerebras/Cerebras-GPT-590M", "590M", 590, 1536),
        ("cerebras/Cerebras-GPT-1.3B", "1.3B", 1300, 2048),
        ("cerebras/Cerebras-GPT-2.7B", "2.7B", 2700, 2560),
        ("cerebras/Cerebras-GPT-6.7B", "6.7B", 6700, 4096),
        ("cerebras/Cerebras-GPT-13B", "13B", 13000, 5120),
    ),
    "openelm": (
        ("apple/OpenELM-270M", "270M", 270, 1280),
        ("apple/OpenELM-450M", "450M", 450, 1536),
        ("apple/OpenELM-1_1B", "1.1B", 1100, 2048),
        ("apple/OpenELM-3B", "3B", 3000, 3072),
    ),
    "pythia": (
        ("EleutherAI/pythia-14m", "14M", 14, 128),
        ("EleutherAI/pythia-31m", "31M", 31, 256),
        ("EleutherAI/pythia-70m", "70M", 70, 512),
        ("EleutherAI/pythia-160m", "160M", 160, 768),
        ("EleutherAI/pythia-410m", "410M", 410, 1024),
        ("EleutherAI/pythia-1b", "1B", 1000, 2048),
        ("EleutherAI/pythia-1.4b", "1.4B", 1400, 2048),
        ("EleutherAI/pythia-2.8b", "2.8B", 2800, 2560),
        ("EleutherAI/pythia-6.9b", "6.9B", 6900, 4096),
        ("EleutherAI/pythia-12b", "12B", 12000, 5120),
    ),
    "instruct": (
        ("Qwen/Qwen2-0.5B-Instruct", "qwen2-0.5b-instruct", 494, 896),
        ("deepseek-ai/deepseek-coder-1.3b-instruct", "deepseek-coder-1.3b-instruct", 1346, 2048),
        ("Qwen/Qwen2-1.5B-Instruct", "qwen2-1.5b-instruct", 1544, 1536),
        ("lmsys/vicuna-7b-v1.5", "vicuna-7b-v1.5", 6738, 4096),
        ("meta-llama/Llama-2-7b-chat-hf", "llama-2-7b-chat", 6738, 4096),
        ("deepseek-ai/deepseek-coder-6.7b-instruct", "deepseek-coder-6.7b-instruct", 6740, 4096),
        ("deepseek-ai/deepseek-coder-7b-instruct-v1.5", "deepseek-coder-7b-instruct-v1.5", 6910, 4096),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-instruct-v0.3", 7248, 4096),
        ("Qwen/Qwen2-7B-Instruct", "qwen2-7b-instruct", 7616, 3584),
        ("Qwen/Qwen1.5-7B-Chat", "qwen1.5-7b-chat", 7721, 4096),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3-8b-instruct", 8030, 4096),
        ("google/gemma-7b-it", "gemma-7b", 8538, 3072),
        ("lmsys/vicuna-13b-v1.5", "vicuna-13b-v1.5", 13016, 5120),
        ("lmsys/vicuna-33b-v1.3", "vicuna-33b-v1.3", 32529, 6656),
        ("meta-llama/Llama-2-70b-chat-hf", "llama-2-70b-chat", 68977, 8192),
        ("meta-llama/Meta-Llama-3-70B-Instruct", "llama-3-70b-instruct", 70554, 8192),
        ("Qwen/Qwen1.5-72B-Chat", "qwen1.5-72b-chat", 72288, 8192),
        ("Qwen/Qwen2-72B-Instruct", "qwen2-72b-instruct", 72706, 8192),
    ),
}
