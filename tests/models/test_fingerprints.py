"""A fingerprint follows everything that numbers depend on, and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, ByT5Tokenizer, CTRLTokenizer

from rankscope.errors import ModelError, RankscopeError
from rankscope.models import ModelDescription, describe_model, parse_model_reference, refuse_changed
from rankscope.models.fingerprints import (
    chat_template_digest,
    fingerprint_parts,
    generation_digest,
    tokenizer_digest,
)
from rankscope.models.weight_files import weight_files
from tiny import save_tiny, tiny_model, tiny_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


def describe(folder: Path | str, **options: bool) -> ModelDescription:
    return describe_model(parse_model_reference(str(folder)), **options)


def edit_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def changed(before: ModelDescription, after: ModelDescription) -> list[str]:
    """The parts that differ, and with them both digests."""
    one, other = before.parts, after.parts
    names = ("configuration", "weights", "tokenizer", "code", "revision", "image_processor")
    found = [name for name in names if getattr(one, name) != getattr(other, name)]
    assert (one.digest != other.digest) is bool(found)
    assert (one.network_digest != other.network_digest) is bool({*found} - {"tokenizer"})
    return found


def test_a_copy_has_the_same(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert changed(describe(folder), describe(tmp_path / "copy")) == []
    assert describe(folder).parts.weights == {
        "model.safetensors": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    }


def test_one_number_in_the_middle_of_the_weights(folder: Path) -> None:
    before = describe(folder)
    assert before.parts.weights
    file = folder / "model.safetensors"
    weights = bytearray(file.read_bytes())
    weights[len(weights) // 2] ^= 1
    file.write_bytes(bytes(weights))
    assert changed(before, describe(folder)) == ["weights"]


def test_one_number_in_a_middle_shard_and_a_changed_index(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path, max_shard_size="40KB")
    tiny_tokenizer().save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    names = sorted(path.name for path in weight_files(parse_model_reference(str(tmp_path))))
    assert names == [*(shard.name for shard in shards), "model.safetensors.index.json"]
    before = describe(tmp_path)
    assert before.fingerprint
    tensors = load_file(shards[1])
    next(iter(tensors.values())).view(-1)[0] += 1
    save_file(tensors, shards[1], metadata={"format": "pt"})
    now = describe(tmp_path)
    assert changed(before, now) == ["weights"]
    edit_json(tmp_path / "model.safetensors.index.json", metadata={"total_size": 1})
    assert changed(now, describe(tmp_path)) == ["weights"]


def test_the_header_of_a_file_of_weights(folder: Path) -> None:
    before = describe(folder)
    assert before.fingerprint
    file = folder / "model.safetensors"
    save_file(load_file(file), file, metadata={"format": "pt", "note": "other"})
    assert changed(before, describe(folder)) == ["weights"]


def test_what_a_training_keeps_beside_the_weights_is_no_weight(folder: Path) -> None:
    before = describe(folder)
    assert before.fingerprint
    for name in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin"):
        torch.save({}, folder / name)
    assert changed(before, describe(folder)) == []


def test_the_configuration(folder: Path) -> None:
    before = describe(folder)
    assert before.fingerprint
    edit_json(folder / "config.json", rms_norm_eps=1e-3)
    assert changed(before, describe(folder)) == ["configuration"]


def vocabulary(tokenizer: dict) -> None:
    words = tokenizer["model"]["vocab"]
    one, other = list(words)[50:52]
    words[one], words[other] = words[other], words[one]


def merges(tokenizer: dict) -> None:
    tokenizer["model"]["merges"].reverse()


def normalizer(tokenizer: dict) -> None:
    tokenizer["normalizer"] = {"type": "Lowercase"}


def begins_with(tokenizer: dict) -> None:
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing", "single": [begin, text], "pair": [begin, text],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    }  # fmt: skip


def added(tokenizer: dict) -> None:
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": 300, "content": "fox", "special": False})


@pytest.mark.parametrize("edit", [vocabulary, merges, normalizer, begins_with, added])
def test_the_content_of_a_fast_tokenizer(folder: Path, edit: object) -> None:
    before = describe(folder)
    assert before.fingerprint
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    edit(tokenizer)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert changed(before, describe(folder)) == ["tokenizer"]


def test_special_tokens(folder: Path) -> None:
    before = describe(folder)
    assert before.fingerprint
    edit_json(folder / "tokenizer_config.json", pad_token="</s>")
    assert changed(before, describe(folder)) == ["tokenizer"]


def test_what_does_not_change_token_ids_is_left_out(folder: Path) -> None:
    before = describe(folder)
    assert before.fingerprint
    edit_json(folder / "tokenizer_config.json", model_max_length=7, padding_side="left", chat_template="{{ messages }}")
    after = describe(folder)
    assert changed(before, after) == []
    assert chat_template_digest(before.tokenizer) is None
    assert chat_template_digest(after.tokenizer) is not None
    # A call with limits leaves them in the backend.
    after.tokenizer(["a text", "b"], truncation=True, max_length=1, padding=True)
    backend = after.tokenizer.backend_tokenizer
    limits = backend.truncation, backend.padding
    assert None not in limits
    assert tokenizer_digest(after.tokenizer) == before.parts.tokenizer
    assert (backend.truncation, backend.padding) == limits


def slow(folder: Path, merges: str) -> CTRLTokenizer:
    folder.mkdir()
    words = {name: place for place, name in enumerate(["<unk>", "a", "b", "c", "a@@", "b@@", "ab", "bc", "ab@@"])}
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    return CTRLTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def test_the_content_of_a_slow_tokenizer(tmp_path: Path) -> None:
    one, same = slow(tmp_path / "1", "a b</w>\nb c</w>"), slow(tmp_path / "2", "a b</w>\nb c</w>")
    other = slow(tmp_path / "3", "b c</w>\na b</w>")
    assert not one.is_fast
    assert tokenizer_digest(one) == tokenizer_digest(same) != tokenizer_digest(other)
    one.save_pretrained(tmp_path / "saved")
    assert tokenizer_digest(AutoTokenizer.from_pretrained(tmp_path / "saved", use_fast=False)) == tokenizer_digest(
        CTRLTokenizer.from_pretrained(tmp_path / "saved")
    )
    same.add_tokens(["new"])
    assert tokenizer_digest(one) != tokenizer_digest(same)


def test_a_slow_tokenizer_without_files() -> None:
    assert tokenizer_digest(ByT5Tokenizer()) == tokenizer_digest(ByT5Tokenizer())
    assert tokenizer_digest(ByT5Tokenizer()) != tokenizer_digest(ByT5Tokenizer(extra_ids=7))


def with_code(folder: Path, code: str, **auto_map: str) -> Path:
    (folder / "modeling_own.py").write_text(code)
    (folder / "helper.py").write_text("SIZE = 1\n")
    if auto_map:
        edit_json(folder / "config.json", auto_map=auto_map)
    return folder


def test_code_of_a_folder_where_it_may_run(folder: Path) -> None:
    with_code(folder, "one = 1\n")
    trusted, plain = describe(folder, trust_remote_code=True), describe(folder)
    assert sorted(trusted.parts.code) == ["helper.py", "modeling_own.py"]
    assert plain.parts.code == {}
    (folder / "helper.py").write_text("SIZE = 2\n")
    assert changed(trusted, describe(folder, trust_remote_code=True)) == ["code"]
    assert changed(plain, describe(folder)) == []


def test_code_of_another_folder(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "modeling_own.py").write_text("one = 1\n")
    description = describe(folder, trust_remote_code=True)
    description.config.auto_map = {"AutoModelForCausalLM": f"{elsewhere}--modeling_own.Own", "AutoModel": "own.Own"}
    first = fingerprint_parts(description).code
    assert list(first) == [f"{elsewhere}/modeling_own.py"]
    (elsewhere / "modeling_own.py").write_text("one = 2\n")
    assert fingerprint_parts(description).code != first


def test_code_of_another_repository_has_its_commit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789" * 4
    file = tmp_path / "models--owner--code" / "snapshots" / commit / "modeling_own.py"
    file.parent.mkdir(parents=True)
    file.write_text("one = 1\n")
    description = describe(folder, trust_remote_code=True)
    description.config.auto_map = {"AutoModelForCausalLM": "owner/code--modeling_own.Own"}
    monkeypatch.setattr("transformers.utils.hub.cached_file", lambda repository, name, **_: str(file))
    assert fingerprint_parts(description).code == {"owner/code": commit}

    def offline(*_: object, **__: object) -> str:
        raise OSError("We couldn't connect to the hub\nand more")

    monkeypatch.setattr("transformers.utils.hub.cached_file", offline)
    with pytest.raises(ModelError, match=r"needs modelling code from owner/code: We couldn't connect to the hub$"):
        fingerprint_parts(description)


def test_a_hub_model_has_its_commit(folder: Path) -> None:
    def at(commit: str) -> ModelDescription:
        local = describe(folder)
        local.config._commit_hash = commit
        reference = parse_model_reference("owner/name")
        return ModelDescription(reference, local.config, local.tokenizer, trust_remote_code=True)

    one, other = at("a" * 40), at("b" * 40)
    assert changed(one, other) == ["revision"]
    assert one.parts.weights == one.parts.code == {}
    one.config.auto_map = {"AutoModelForCausalLM": "modeling_own.Own"}
    assert fingerprint_parts(one).code == {"owner/name": "a" * 40}


def test_weights_that_change_while_they_are_loaded(folder: Path) -> None:
    description = describe(folder)
    assert description.fingerprint
    refuse_changed(description)
    shutil.copy(save_tiny(folder.parent / "next", seed=1) / "model.safetensors", folder)
    with pytest.raises(RankscopeError, match=r"model.safetensors changed while the model was loading"):
        refuse_changed(description)


def test_the_generation_configuration(folder: Path, tmp_path: Path) -> None:
    reference = parse_model_reference(str(folder))
    first = generation_digest(reference)
    edit_json(folder / "generation_config.json", eos_token_id=5)
    assert generation_digest(reference) != first is not None
    (folder / "generation_config.json").unlink()
    assert generation_digest(reference) is None


def test_pico_is_quick_and_its_own() -> None:
    assert describe("pico").fingerprint == describe("pico").fingerprint != describe("pico@step-0").fingerprint
