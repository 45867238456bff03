"""A seeded generator of bad inputs for the command line: calls, settings, data, weights, configurations, run folders.

Each kind is a function of a `Kit` that writes what it needs and returns the arguments of a call, with the exit
statuses that are right for it. Where a random change may leave the input valid, 0 is among them.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from tiny import SENTENCES

WRONG_CALL = frozenset({2})
REFUSED = frozenset({1, 2})
ANY = frozenset({0, 1, 2})


@dataclass(frozen=True)
class BadInput:
    """A call of the command line, and the exit statuses that are right for it."""

    kind: str
    arguments: tuple[str, ...]
    statuses: frozenset[int]


@dataclass(frozen=True)
class Kit:
    """What a kind builds on: a random source, an empty folder, and good things to spoil."""

    random: Random
    folder: Path
    model: Path
    data: Path
    run: Path

    def file(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def copy_of_model(self) -> Path:
        return Path(shutil.copytree(self.model, self.folder / "model"))

    def copy_of_run(self) -> Path:
        return Path(shutil.copytree(self.run, self.folder / "run"))

    def evaluate(self, *more: object, model: object = None, data: object = None) -> tuple[str, ...]:
        """A call that is right but for what is given."""
        data = self.data if data is None else data
        call = [
            "evaluate",
            model or self.model,
            "--data",
            data,
            "--output",
            self.folder / "out",
            "--untrained-seeds",
            0,
        ]
        if not str(data).endswith(".txt") and not {"--field", "--template"} & set(more):
            call += ["--field", "text"]
        if "--limit" not in more:
            call += ["--limit", 2]
        return tuple(map(str, [*call, *more]))


Made = tuple[tuple[str, ...], frozenset[int]]
Kind = Callable[[Kit], Made]

# Texts, numbers and values that trip readers up.
NOT_WHOLE = ("-1", "1.5", "nan", "inf", "-inf", "0x10", "1e3", "ten", "", " ", "[]", "--", "1;2", "٣.5", "\x00")
STRANGE = (
    "",
    " ",
    ",",
    ",,",
    "\n",
    "\t",
    "\x00",
    "é",
    "🦜",
    "٣",
    "-",
    "--",
    "..",
    "/",
    "*",
    "a" * 5000,
    "%s",
    "{}",
    "{0}",
)
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 7, 1.5, -0.5, float("nan"), float("inf"), "", "x", "32", [], [1], ["a"], {},
    {"a": 1}, 10**9, 2**63, 10**30,
)  # fmt: skip


def number_out_of_range(kit: Kit) -> Made:
    name = kit.random.choice(["limit", "max-length", "batch-tokens", "window", "untrained-seeds", "sample-seed"])
    value = kit.random.choice([value for value in NOT_WHOLE if (name, value) != ("sample-seed", "-1")])
    return kit.evaluate(f"--{name}={value}"), WRONG_CALL


def number_at_the_edge(kit: Kit) -> Made:
    name = kit.random.choice(["limit", "max-length", "batch-tokens", "window", "sample-seed"])
    return kit.evaluate(f"--{name}={kit.random.choice([0, 1, 2, 3, 2**31, 2**63, 10**30])}"), ANY


def unknown_choice(kit: Kit) -> Made:
    names = ["layers", "metrics", "dtype", "device", "protocol", "perturbation", "drop-tokens", "untrained-from"]
    value = kit.random.choice([*STRANGE, "lasst", "4-7", "1,x", "99", "-99", "cuda:9", "float8", "effective rank"])
    return kit.evaluate(f"--{kit.random.choice(names)}={value}"), WRONG_CALL


def strange_text_setting(kit: Kit) -> Made:
    names = ["field", "template", "split", "prefix"]
    value = kit.random.choice(
        [*STRANGE, "{text", "text}", "{text!x}", "{text:%}", "{0}", "{text[0]}", "{text.a}", "a.b"]
    )
    return kit.evaluate(f"--{kit.random.choice(names)}", value), ANY


def contradiction(kit: Kit) -> Made:
    pairs = [
        ("--field", "text", "--template", "{text}"),
        ("--protocol", "revision"),
        ("--untrained-from", str(kit.model)),
        ("--protocol", "paper", "--dtype", "bfloat16"),
        ("--protocol", "paper", "--batch-tokens", "9"),
        ("--protocol", "revision", "--untrained-from", "@", "--untrained-seeds", "2"),
    ]
    return kit.evaluate(*kit.random.choice(pairs)), WRONG_CALL


def wrong_call(kit: Kit) -> Made:
    calls: list[tuple[object, ...]] = [
        ("evaluate",), ("evaluate", kit.model), ("evaluate", "--data", kit.data), ("evaluat", kit.model),
        ("evaluate", kit.model, "--data"), ("evaluate", kit.model, "--data", kit.data, "--untrained_seed", "1"),
        ("compare",), ("compare", kit.folder), ("compare", kit.data), ("compare", "\x00"), ("compare", "a" * 5000),
        ("report",), ("report", kit.folder / "nothing"), ("report", kit.data), ("report", kit.run, "--outptu", "x"),
        ("study",), ("study", "scalling"), ("study", ""), ("list",), ("list", "metric"), ("cache", "clean"),
        ("doctor", "--nonsense"), ("align", "pico-vlm"),
        ("align", kit.model, "--data", kit.data, "--control", "upside"),
        ("align", "pico-vlm", "--data", kit.data, "--limit", "0"), ("--config",), ("nonsense",), ("--nonsense",),
        ("evaluate", kit.model, kit.model, "--data", kit.data, "--data", kit.data),
    ]  # fmt: skip
    return tuple(map(str, kit.random.choice(calls))), WRONG_CALL


def strange_model_reference(kit: Kit) -> Made:
    references = [
        *STRANGE, "@", "a@", "@b", "a//b", "a/b/c/d", "pico-9b", "pico@step-7", "../..", str(kit.data),
        str(kit.folder), f"{kit.model}@main", f"{kit.model}/config.json", "nothing.gguf", "http://", "a=b", "~",
        "/dev/null", "C:\\model",
    ]  # fmt: skip
    reference = kit.random.choice([one for one in references if not one.startswith("-")])
    return ("evaluate", reference, *kit.evaluate()[2:]), REFUSED


def strange_data_reference(kit: Kit) -> Made:
    (kit.folder / "folder.jsonl").mkdir()
    (kit.folder / "empty").mkdir()
    references = [
        *STRANGE, "=", "a=", "=b", "dolly-15k=", f"dolly-15k={kit.data},", "nothing.jsonl", "nothing.parquet",
        "/dev/null", str(kit.folder / "folder.jsonl"), str(kit.folder / "empty"), "/proc/self/mem",
        f"nonsense={kit.data}", "~nobody/x",
    ]  # fmt: skip
    return kit.evaluate(data=kit.random.choice(references)), REFUSED


def strange_output(kit: Kit) -> Made:
    kit.file("there/notes.txt", "mine")
    outputs = [kit.data, kit.folder / "there", "/proc/nothing/x", "/dev/null", "\x00", "a" * 5000, kit.data / "below"]
    return kit.evaluate("--output", kit.random.choice(outputs)), REFUSED


def settings_file(kit: Kit) -> Made:
    key = kit.random.choice(["limit", "layers", "metrics", "data", "untrained-seeds", "dtype", "nonsense", "window"])
    value = kit.random.choice(['"three"', "[1]", "true", "-1", "1979-05-27", "{ a = 1 }", "nan", "[[]]", '""', "1.5"])
    contents: list[bytes] = [
        f"{key} = {value}\n".encode(), b"limit = ", b"= 3", b"limit 3", b"[limit]\n", b"[[data]]\n", b"\xff\xfe",
        b"\x00", b"\xef\xbb\xbflimit = 1\n", b"limit = 1\nlimit = 2\n", b"[a.b.c]\nd = 1\n", b"{}", b"a" * 9999,
        b'x = "' + b"\\" * 9, b"a = " + b"[" * 3000 + b"]" * 3000, gzip.compress(b"limit = 1"),
    ]  # fmt: skip
    file = kit.file("settings.toml", kit.random.choice(contents))
    given = kit.random.choice([file, file, file, file, kit.folder, kit.folder / "nothing.toml", "\x00"])
    return (*kit.evaluate()[:6], "--field", "text", "--config", str(given)), ANY


def lines() -> list[bytes]:
    return [json.dumps({"text": text}).encode() for text in SENTENCES]


def bad_json_lines(kit: Kit) -> Made:
    rows = [
        b'{"text": "a', b"{text: 1}", b"null", b"3", b'"text"', b"[]", b"{}", b'{"txt": "a b"}', b'{"text": null}',
        b'{"text": 3}', b'{"text": ["a"]}', b'{"text": {"a": "b"}}', b'{"text": "a\x00b"}',
        b'{"text": "\\ud800 lone"}', b"\xff\xfe{}", b'{"text": "\xe9t\xe9"}', b'{"text": NaN}', b'{"text": 1e999}',
        b"[" * 100_000, b'{"a":' * 50_000, b'{"text": ""}', b'{"text": "' + b"word " * 20_000 + b'"}',
        b'{"text": 1' + b"0" * 5000 + b"}", b'{"text": "a b", "text": 1}', b"\x1f\x8b",
    ]  # fmt: skip
    at = kit.random.randrange(3)
    content = b"\n".join([*lines()[:at], kit.random.choice(rows), *lines()[:2]])
    name = kit.random.choice(["a.jsonl", "a.jsonl", "a.json", "a.ndjson", "a.txt"])
    return kit.evaluate(data=kit.file(name, content)), ANY


def bad_json_document(kit: Kit) -> Made:
    contents = [
        b"", b"[", b"[]", b"{}", b"3", b"null", b'"a"', b"[1, 2]", b'[{"text": "a b c"}, 3]',
        b'[{"text": "a b c"}, null]', b'{"text": "a b"}', b'{"data": [{"text": "a b"}]}', b"[" * 100_000, b"[[[[]]]]",
        b'[{"text": "a b"}', b"\xef\xbb\xbf[]", '[{"text": "a b"}]'.encode("utf-16"), b"NaN", b'[{"text": "\\ud83d"}]',
        b"[{}]" * 3,
    ]  # fmt: skip
    return kit.evaluate(data=kit.file("a.json", kit.random.choice(contents))), ANY


def bad_compression(kit: Kit) -> Made:
    good = gzip.compress(b"\n".join(lines()))
    cut = kit.random.randrange(len(good))
    content = kit.random.choice(
        [good[:cut], good[:-4], b"", b"\x1f\x8b", b"plain", good[:20] + b"\x00" * 20 + good[40:]]
    )
    name = kit.random.choice(["a.jsonl.gz", "a.json.gz", "a.txt.gz", "a.csv.gz", "a.jsonl.zst", "a.jsonl.bz2", "a.zip"])
    return kit.evaluate("--limit", 99, data=kit.file(name, content)), REFUSED  # all of it is read


def bad_table(kit: Kit) -> Made:
    contents = [
        b"", b"\n", b"text\n", b'text\n"open', b'text\n"a"b\n', b"text,text\na,b\n", b"text,b\na\n", b"text\na,b,c\n",
        b"\x00\n\x00", b"a;b\n1;2\n", "text\nété".encode("latin-1"), "text\na b".encode("utf-16"),
        b"\xef\xbb\xbftext\na b c\n", b"text\r\na b\r\n", b"text\ra b\r", b",\n,\n", b"text\n" + b"x" * 300_000,
        b'"text\n' * 9, b"text\n\n\n\n", b"text\n" + b'"' * 99, b"te\x00xt\na b",
    ]  # fmt: skip
    return kit.evaluate(data=kit.file(kit.random.choice(["a.csv", "a.tsv"]), kit.random.choice(contents))), ANY


def bad_parquet(kit: Kit) -> Made:
    path = kit.folder / "a.parquet"
    columns: list[dict[str, Any]] = [
        {"text": [1, 2]}, {"txt": ["a b"]}, {"text": [None, None]}, {"text": [["a"], ["b"]]},
        {"text": [b"\xff", b"a"]}, {"text": [{"a": 1}]}, {"text": []}, {"text": ["", ""]},
        {"text": [1.5, float("nan")]},
    ]  # fmt: skip
    pl.DataFrame(kit.random.choice(columns), strict=False).write_parquet(path)
    if kit.random.random() < 0.6:
        spoil(kit, path)
    return kit.evaluate(data=path), ANY


def odd_folder(kit: Kit) -> Made:
    folder = kit.folder / "data"
    folder.mkdir()
    some = [
        ("a.bin", kit.random.randbytes(99)), ("a.jsonl", b""), ("b.csv", b"text\na b c\n"), ("c.jsonl", lines()[0]),
        ("._a.jsonl", b"\0"), ("sub/d.jsonl", lines()[1]), ("e.jsonl.gz", b"x"), ("LICENSE", b"free"),
        ("f.parquet", b"PAR1"), ("g.exe", b"MZ"),
    ]  # fmt: skip
    for name, content in kit.random.sample(some, kit.random.randrange(5)):
        kit.file(f"data/{name}", content)
    return kit.evaluate(data=folder), ANY


def spoiled_data(kit: Kit) -> Made:
    path = kit.file(kit.random.choice(["a.jsonl", "a.txt", "a.csv"]), b"\n".join(lines()))
    spoil(kit, path)
    return kit.evaluate(data=path), ANY


def spoil(kit: Kit, path: Path) -> None:
    """Cuts a file, or overwrites some of its bytes."""
    content = bytearray(path.read_bytes())
    if kit.random.random() < 0.4:
        del content[kit.random.randrange(len(content) or 1) :]
    else:
        for _ in range(kit.random.choice([1, 3, 20]) if content else 0):
            content[kit.random.randrange(len(content))] = kit.random.randrange(256)
    path.write_bytes(bytes(content))


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
    writer.add_block_count(kit.random.choice([1, 0, 2**31]))
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


def damaged_run(kit: Kit) -> Made:
    run = kit.copy_of_run()
    file = kit.random.choice(
        [run / "manifest.json", run / "summary.json", *sorted((run / "measurements").glob("*.parquet"))]
    )
    if kit.random.random() < 0.2:
        file.unlink()
    elif file.suffix == ".json" and kit.random.random() < 0.6:
        file.write_text(json.dumps(replaced_somewhere(kit, json.loads(file.read_text()))))
    elif file.suffix == ".parquet" and kit.random.random() < 0.5:
        frame = pl.read_parquet(file)
        column = kit.random.choice(frame.columns)
        changes = [
            frame.drop(column),
            frame.clear(),
            frame.with_columns(pl.lit("x").alias(column)),
            frame.rename({column: "zz"}),
        ]
        changes.append(frame.with_columns(pl.lit(None).alias(column)))
        kit.random.choice(changes).write_parquet(file)
    else:
        spoil(kit, file)
    calls: list[tuple[object, ...]] = [
        ("compare", run), ("compare", kit.run, run), ("compare", run, "--json"), ("report", run),
        ("report", kit.run, run), ("report", run, "--model-card"), ("report", run, "--tables", kit.folder / "t"),
        kit.evaluate("--output", run),
    ]  # fmt: skip
    return tuple(map(str, kit.random.choice(calls))), ANY


def replaced_somewhere(kit: Kit, content: Any) -> Any:
    """The document with one value, at any depth, replaced or left out."""
    if isinstance(content, dict) and content and kit.random.random() < 0.8:
        key = kit.random.choice(sorted(content))
        if kit.random.random() < 0.2:
            return {name: value for name, value in content.items() if name != key}
        return content | {key: replaced_somewhere(kit, content[key])}
    if isinstance(content, list) and content and kit.random.random() < 0.8:
        return [replaced_somewhere(kit, content[0]), *content[1:]]
    return kit.random.choice(VALUES)


def bad_pairs(kit: Kit) -> Made:
    rows = [
        {}, {"image": "gone.png"}, {"image": 3, "response": "a b"}, {"image": "x.png", "response": None},
        {"response": "a"}, {"image": "x.png", "instruction": "a", "response": "a b"},
        {"image": "../..", "response": "a b c"}, {"image": "\x00", "response": "a"},
    ]  # fmt: skip
    kit.file("x.png", kit.random.choice([b"", b"\x89PNG\r\n\x1a\n", kit.random.randbytes(200)]))
    path = kit.file("pairs.jsonl", "\n".join(json.dumps(row) for row in kit.random.sample(rows, 2)))
    model = kit.random.choice(["pico-vlm", "pico-vlm", str(kit.model), "pico-vlm@step-7"])
    call = ("align", model, "--data", str(path), "--output", str(kit.folder / "out"), "--limit", "2")
    return (*call, "--integration-items", "0"), ANY


KINDS: tuple[Kind, ...] = (
    number_out_of_range, number_at_the_edge, unknown_choice, strange_text_setting, contradiction, wrong_call,
    strange_model_reference, strange_data_reference, strange_output, settings_file, bad_json_lines, bad_json_document,
    bad_compression, bad_table, bad_parquet, odd_folder, spoiled_data, spoiled_weights, no_weights, wrong_tensors,
    bad_shards, bad_gguf, wrong_configuration, wrong_configuration, no_configuration, bad_tokenizer, damaged_run,
    damaged_run, bad_pairs,
)  # fmt: skip


def bad_input(number: int, folder: Path, good: tuple[Path, Path, Path], seed: int = 0) -> BadInput:
    """The input of a number: the same for the same seed, whatever ran before.

    Args:
        number: kinds take turns.
        folder: an empty one for its files.
        good: a model, a data file and a finished run to spoil copies of.
        seed: of all inputs.
    """
    kind = KINDS[number % len(KINDS)]
    arguments, statuses = kind(Kit(Random(f"{seed}-{number}"), folder, *good))
    return BadInput(kind.__name__, arguments, statuses)


def numbers(count: int, total: int = 1000, seed: int = 0) -> Iterator[int]:
    """A sample of the inputs, each kind in turn; all of them for a count of `total`."""
    if count >= total:
        yield from range(total)
        return
    for place, kind in enumerate(KINDS):
        rounds = Random(f"{seed}-{place}").sample(range(total // len(KINDS)), len(range(place, count, len(KINDS))))
        yield from (round_ * len(KINDS) + KINDS.index(kind, place) for round_ in rounds)
