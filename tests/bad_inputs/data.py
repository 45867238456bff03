"""Bad data: files and folders of texts, and pairs of image and text."""

from __future__ import annotations

import gzip
import json
from typing import Any

import polars as pl

from bad_inputs.kit import ANY, REFUSED, Kit, Made, lines, spoil


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
