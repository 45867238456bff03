"""Bad calls: settings, flags, references, settings files."""

from __future__ import annotations

import gzip

from bad_inputs.kit import ANY, NOT_WHOLE, REFUSED, STRANGE, WRONG_CALL, Kit, Made


def number_out_of_range(kit: Kit) -> Made:
    name = kit.random.choice(["limit", "max-length", "batch-tokens", "window", "untrained-seeds", "sample-seed"])
    value = kit.random.choice([value for value in NOT_WHOLE if (name, value) != ("sample-seed", "-1")])
    return kit.evaluate(f"--{name}={value}"), WRONG_CALL


def number_at_the_edge(kit: Kit) -> Made:
    name = kit.random.choice(["limit", "max-length", "batch-tokens", "window", "sample-seed"])
    return kit.evaluate(f"--{name}={kit.random.choice([0, 1, 2, 3, 2**31, 2**63, 10**30])}"), ANY


def unknown_choice(kit: Kit) -> Made:
    names = ["layers", "metrics", "dtype", "device", "protocol", "perturbation", "drop-tokens", "untrained-from"]
    name = kit.random.choice(names)
    numbers = () if name == "drop-tokens" else ("99",)
    strange = [one for one in STRANGE if one != "٣"]  # a digit
    value = kit.random.choice([*strange, *numbers, "lasst", "4-7", "1,x", "-99", "cuda:9", "float8", "effective rank"])
    return kit.evaluate(f"--{name}={value}"), WRONG_CALL


def strange_text_setting(kit: Kit) -> Made:
    names = ["field", "template", "split", "prefix"]
    value = kit.random.choice(
        [*STRANGE, "{text", "text}", "{text!x}", "{text:%}", "{0}", "{text[0]}", "{text.a}", "a.b"]
    )
    return kit.evaluate(f"--{kit.random.choice(names)}={value}"), ANY


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
    shards = [*NOT_WHOLE, "2/2", "1/0", "-1/2", "auto", "0/", "1/2/3", "a/b", "1.0/2"]
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
        ("merge",), ("merge", kit.run), ("merge", kit.folder, "--output", kit.folder / "out"),
        ("merge", "", "--output", ""), kit.evaluate(f"--shard={kit.random.choice(shards)}"),
    ]  # fmt: skip
    return tuple(map(str, kit.random.choice(calls))), WRONG_CALL


def strange_model_reference(kit: Kit) -> Made:
    references = [
        *STRANGE, "@", "a@", "@b", "a//b", "a/b/c/d", "pico-9b", "pico@step-7", "../..", str(kit.data),
        str(kit.folder), f"{kit.model}@main", f"{kit.model}/config.json", "nothing.gguf", "http://", "a=b", "~",
        "/dev/null", "C:\\model",
    ]  # fmt: skip
    reference = kit.random.choice([one for one in references if not one.startswith("-")])
    return kit.evaluate(model=reference), REFUSED


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
    outputs += ["s3://", "s3://KEY:SECRET@bucket/x", "s4://bucket/x", "://x", "s3://bucket/x?y=z", "a::s3://b/c"]
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
    call = ("evaluate", kit.model, "--data", kit.data, "--field", "text", "--output", kit.folder / "out")
    return tuple(map(str, (*call, "--config", given))), ANY
