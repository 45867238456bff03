"""Bad models: weights, configurations and tokenizers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from bad_inputs.kit import ANY, REFUSED, VALUES, Kit, Made, spoil


def spoiled_weights(kit: Kit) -> Made:
    model = kit.copy_of_model()
    spoil(kit, model / "model.safetensors")
    return kit.evaluate(model=model), ANY


def no_weights(kit: Kit) -> Made:
    model = kit.copy_of_model()
    contents = [
        b"", b"\x00", b"\xff" * 8, b"\x02" + b"\x00" * 7 + b"{}", (2**40).to_bytes(8, "little") + b"{}",
        b"not weights at all", (9).to_bytes(8, "little") + b'{"a": {}}',
        (100_000).to_bytes(8, "little") + b"[" * 100_000, kit.random.randbytes(2000),
    ]  # fmt: skip
    (model / "model.safetensors").write_bytes(kit.random.choice(contents))
    name = kit.random.choice(
        ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "adapter.safetensors"]
    )
    (model / "model.safetensors").rename(model / name)
    return kit.evaluate(model=model), REFUSED


def wrong_tensors(kit: Kit) -> Made:
    model = kit.copy_of_model()
    tensors = load_file(model / "model.safetensors")
    name = kit.random.choice(sorted(tensors))
    tensor = tensors[name]
    changes: list[Callable[[], Any]] = [
        lambda: tensors.pop(name),
        lambda: tensors.update({name: tensor[:1].clone()}),
        lambda: tensors.update({name: tensor[None].clone()}),
        lambda: tensors.update({name: torch.tensor(1.0)}),
        lambda: tensors.update({name: torch.full_like(tensor, float("nan"))}),
        lambda: tensors.update({name: torch.full_like(tensor, float("inf"))}),
        lambda: tensors.update({name: torch.full_like(tensor, 3e38)}),
        lambda: tensors.update({name: tensor.to(torch.int8)}),
        lambda: tensors.update({name: tensor.to(torch.float8_e4m3fn)}),
        lambda: tensors.update({name: tensor > 0}),
        lambda: tensors.update({name: torch.empty(0)}),
        lambda: tensors.update({"model.layers.99.mlp.up_proj.weight": tensor.clone()}),
        lambda: tensors.update({key: torch.zeros_like(one) for key, one in tensors.items()}),
        tensors.clear,
    ]
    kit.random.choice(changes)()
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    return kit.evaluate("--layers", "all", model=model), ANY


def bad_shards(kit: Kit) -> Made:
    model = kit.copy_of_model()
    names = sorted(load_file(model / "model.safetensors"))
    indices: list[Any] = [
        {}, [], None, {"weight_map": {}}, {"weight_map": []}, {"weight_map": dict.fromkeys(names, "gone.safetensors")},
        {"metadata": 3, "weight_map": dict.fromkeys(names, 3)}, {"weight_map": dict.fromkeys(names, "../../x")},
        {"weight_map": {"a": None}},
    ]  # fmt: skip
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(json.dumps(kit.random.choice(indices)))
    return kit.evaluate(model=model), REFUSED


def bad_gguf(kit: Kit) -> Made:
    import gguf

    path = kit.folder / "a.gguf"
    if kit.random.random() < 0.5:
        head = b"GGUF" + kit.random.choice([1, 2, 3, 99]).to_bytes(4, "little")
        contents = [
            b"",
            b"GGUF",
            b"GGML" * 9,
            head,
            head + b"\xff" * 16,
            head + bytes(16),
            head + kit.random.randbytes(500),
        ]
        path.write_bytes(kit.random.choice(contents))
        return kit.evaluate(model=path), REFUSED
    writer = gguf.GGUFWriter(path, kit.random.choice(["llama", "nonsense", "qwen2", ""]))
    writer.add_block_count(kit.random.choice([1, 0, 99]))
    writer.add_embedding_length(kit.random.choice([32, 0, 7]))
    writer.add_head_count(kit.random.choice([4, 0, 5]))
    writer.add_token_list(kit.random.choice([["a", "b"], [""]]))
    writer.add_tensor("token_embd.weight", np.zeros((2, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if kit.random.random() < 0.5:
        spoil(kit, path)
    return kit.evaluate(model=path), REFUSED


def wrong_configuration(kit: Kit) -> Made:
    model = kit.copy_of_model()
    config = json.loads((model / "config.json").read_text())
    key = kit.random.choice(sorted(config))
    # So many blocks are built one by one: not wrong, but slow.
    slow = key == "num_hidden_layers"
    config[key] = kit.random.choice([value for value in VALUES if not (slow and isinstance(value, int) and value > 99)])
    (model / "config.json").write_text(json.dumps(config))
    seeds = kit.random.choice([0, 0, 1])
    return kit.evaluate("--untrained-seeds", seeds, "--layers", kit.random.choice(["last", "all"]), model=model), ANY


def no_configuration(kit: Kit) -> Made:
    model = kit.copy_of_model()
    config = json.loads((model / "config.json").read_text())
    documents: list[Any] = [
        b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b"{}", b"[" * 100_000, b'{"model_type": 3}',
        b'{"model_type": "nonsense"}', json.dumps(config | {"model_type": "nonsense"}).encode(),
        json.dumps(config | {"model_type": None}).encode(), json.dumps(config | {"model_type": "clip"}).encode(),
        json.dumps(config | {"model_type": "t5"}).encode(),
        json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "x.Y"}, "model_type": "own"}).encode(),
        json.dumps(config | {"quantization_config": {"quant_method": "nonsense"}}).encode(),
        json.dumps(config | {"quantization_config": 3}).encode(), json.dumps(config).encode("utf-16"), None,
    ]  # fmt: skip
    content = kit.random.choice(documents)
    if content is None:
        (model / "config.json").unlink()
    else:
        (model / "config.json").write_bytes(content)
    return kit.evaluate(model=model), ANY


def bad_tokenizer(kit: Kit) -> Made:
    model = kit.copy_of_model()
    file = model / kit.random.choice(["tokenizer.json", "tokenizer.json", "tokenizer_config.json"])
    content = json.loads(file.read_text())
    choice = kit.random.randrange(6)
    if choice == 0:
        for part in model.glob("*token*"):
            part.unlink()
    elif choice == 1:
        file.write_bytes(kit.random.choice([b"", b"{", b"[]", b"null", b"{}", b"\xff", b"3", b"[" * 100_000]))
    elif choice == 2:
        spoil(kit, file)
    elif choice == 3 and "model" in content:  # ids beyond the embedding's rows
        content["model"]["vocab"] = {token: id_ + 1000 for token, id_ in content["model"]["vocab"].items()}
        file.write_text(json.dumps(content))
    else:
        content[kit.random.choice(sorted(content))] = kit.random.choice(VALUES)
        file.write_text(json.dumps(content))
    return kit.evaluate(model=model), ANY
