"""The parts of a model that its numbers depend on, so that a change can be detected and named."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import ModelError, RankscopeError, first_line
from rankscope.file_digests import default_digest_cache, digest_of
from rankscope.models.weight_files import weight_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from rankscope.models.loading import ModelDescription
    from rankscope.models.reference import ModelReference

# Constructor arguments of a slow tokenizer, without its location and whatever does not change token ids.
_NO_TOKENS = (
    "name_or_path", "model_max_length", "chat_template", "padding_side", "truncation_side", "max_length", "stride",
    "clean_up_tokenization_spaces", "backend", "is_local", "local_files_only", "processor_class", "tokenizer_class",
    "auto_map", "model_input_names",
)  # fmt: skip


@dataclass(frozen=True)
class FingerprintParts:
    """sha256 digests, each 64 hex digits.

    Attributes:
        configuration: without what differs between copies of a model.
        weights: of each file by name, the whole file; empty for a hub model, whose commit identifies its files.
        tokenizer: see `tokenizer_digest`.
        code: of each file of modelling code by name, if such code runs; for code in another hub repository its
            commit.
        revision: the commit of a hub model.
        image_processor: of a vision-language model.
    """

    configuration: str
    weights: Mapping[str, str]
    tokenizer: str
    code: Mapping[str, str] = field(default_factory=dict)
    revision: str | None = None
    image_processor: str | None = None

    @property
    def digest(self) -> str:
        """Over all parts: what a model's numbers for a text depend on."""
        return digest_of(asdict(self))

    @property
    def network_digest(self) -> str:
        """Over all parts but the tokenizer: what a model's numbers for given token ids depend on."""
        return digest_of({name: part for name, part in asdict(self).items() if name != "tokenizer"})

    @property
    def by_name(self) -> dict[str, Any]:
        """The parts as stored in a manifest, which stores the commit separately."""
        return {name: part for name, part in asdict(self).items() if part and name != "revision"}


def fingerprint_parts(description: ModelDescription) -> FingerprintParts:
    """Reads a model's files, or those that have changed since they were last read.

    Raises:
        ModelError: a file that cannot be read, or modelling code that could not be fetched from another repository.
        RankscopeError: a file changed while it was read.
    """
    config, tokenizer, reference = description.config, description.tokenizer, description.reference
    return FingerprintParts(
        configuration=digest_of(plain_config(config)),
        weights=digests_by_name(weight_files(reference)),
        tokenizer=tokenizer_digest(tokenizer),
        code=_code(reference, config, tokenizer) if description.trust_remote_code else {},
        revision=description.revision if reference.kind == "hub" else None,
    )


def refuse_changed(
    description: ModelDescription, more: Sequence[Path] = (), parts: FingerprintParts | None = None
) -> None:
    """Compares the weights' files with the fingerprinted ones, after loading.

    Args:
        description: of the model.
        more: files of weights that its reference does not name.
        parts: with the digests of these files; by default the description's own.

    Raises:
        RankscopeError: the files differ, for example because a training continues in the same folder.
    """
    before = (parts or description.parts).weights
    now = digests_by_name([*weight_files(description.reference), *more])
    if changed := sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)):
        raise RankscopeError(
            f"{description.reference.text}: {changed[0]} changed while the model was loading. "
            "Run the command again when its files are complete"
        )


def digests_by_name(files: Sequence[Path]) -> dict[str, str]:
    """sha256 of each file's content, by file name, or by path if several files have the same name.

    Raises:
        ModelError: a file cannot be read.
        RankscopeError: a file changed while it was read.
    """
    try:
        digests = default_digest_cache().digests(files)
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror or error}") from error
    count = Counter(file.name for file in files)
    names = (file.name if count[file.name] == 1 else str(file) for file in files)
    return dict(zip(names, digests, strict=True))


def plain_config(config: PretrainedConfig) -> dict[str, Any]:
    """A configuration as JSON, without what differs between copies of the same model."""
    plain: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return {name: value for name, value in plain.items() if name not in ("_name_or_path", "transformers_version")}


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 over everything that turns a text into token ids.

    For a fast tokenizer, this is the tokenizer.json written by its backend; for others the class, the vocabulary files
    and the constructor arguments. In both cases with the special and the added tokens, and with whether a text begins
    with BOS and ends with EOS. Limits, padding and truncation are excluded, because rankscope does them itself, and so
    is the chat template, which has its own digest.
    """
    content: dict[str, Any] = {
        "class": type(tokenizer).__name__,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "added": {str(index): repr(token) for index, token in tokenizer.added_tokens_decoder.items()},
        "begins and ends": [getattr(tokenizer, name, None) for name in ("add_bos_token", "add_eos_token")],
        "split special tokens": getattr(tokenizer, "split_special_tokens", None),
    }
    if tokenizer.is_fast:
        content["backend"] = _backend_json(tokenizer.backend_tokenizer)
    else:
        made = tokenizer.init_kwargs.items()
        content["made with"] = {
            name: repr(value) for name, value in made if name not in _NO_TOKENS and not name.endswith("_file")
        }
        content["vocabulary"] = _vocabulary(tokenizer)
    return digest_of(content)


def _backend_json(backend: Any) -> str:
    """A fast tokenizer's backend as serialized by itself, in an order independent of how it was built."""
    truncation, padding = backend.truncation, backend.padding
    backend.no_truncation()
    backend.no_padding()
    written: str = backend.to_str()
    if truncation is not None:
        backend.enable_truncation(**truncation)
    if padding is not None:
        backend.enable_padding(**padding)
    return written


def chat_template_digest(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """sha256 of the chat template, for runs that use it; None without one."""
    return digest_of(tokenizer.chat_template) if tokenizer.chat_template else None


def generation_digest(reference: ModelReference) -> str | None:
    """sha256 of a folder's generation_config.json, which defines the stop tokens; None without one."""
    file = Path(reference.location) / "generation_config.json"
    if reference.kind == "hub" or reference.gguf_file or not file.is_file():
        return None
    return digests_by_name([file])[file.name]


def _vocabulary(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The saved vocabulary of a slow tokenizer, which holds more than names and ids, such as merges or scores."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            tokenizer.save_vocabulary(folder)
        except (NotImplementedError, OSError):  # it stores no files, or the original ones are gone
            return dict(tokenizer.get_vocab())
        saved = digests_by_name(sorted(path for path in Path(folder).iterdir() if path.is_file()))
    return saved or dict(tokenizer.get_vocab())


def _code(reference: ModelReference, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Modelling code that runs with `trust_remote_code`; code in a hub model's repository is covered by its commit."""
    own = reference.kind == "folder" and not reference.gguf_file
    found = digests_by_name(sorted(Path(reference.location).glob("*.py"))) if own else {}
    if reference.kind == "hub" and any(_auto_maps(config, tokenizer)):
        found[reference.location] = str(getattr(config, "_commit_hash", None) or reference.revision)
    for repository, module in sorted(set(_elsewhere(config, tokenizer))):
        if Path(repository).is_dir():
            of_repository = digests_by_name(sorted(Path(repository).glob("*.py")))
            found |= {f"{repository}/{name}": digest for name, digest in of_repository.items()}
        else:
            found[repository] = _commit_of(reference, repository, module)
    return found


def _auto_maps(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> tuple[Any, Any]:
    """The custom classes of a model and its tokenizer."""
    return getattr(config, "auto_map", None), tokenizer.init_kwargs.get("auto_map")


def _elsewhere(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, str]]:
    """Other repositories that auto_map refers to, as in `owner/name--module.Class`."""
    for auto_map in filter(None, _auto_maps(config, tokenizer)):
        values = auto_map.values() if isinstance(auto_map, dict) else [auto_map]
        for value in values:
            for target in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(target, str) and "--" in target:
                    repository, _, name = target.partition("--")
                    yield repository, name.partition(".")[0]


def _commit_of(reference: ModelReference, repository: str, module: str) -> str:
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:
        file = cached_file(repository, f"{module}.py", local_files_only=reference.from_cache)
    except OSError as error:
        raise ModelError(f"{reference.text} needs modelling code from {repository}: {first_line(error)}") from error
    return extract_commit_hash(file, None) or digests_by_name([Path(str(file))])[f"{module}.py"]
