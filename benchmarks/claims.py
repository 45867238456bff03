"""Recomputes the figures in README and documentation, and fails if one is off by more than its spread.

    python benchmarks/claims.py              # all claims that take less than a few minutes each
    python benchmarks/claims.py --long       # those that take longer, too
    python benchmarks/claims.py demo-table   # some of them
    python benchmarks/claims.py --write      # docs/claims.md from claims.toml, nothing is measured

Exit status 1 if a claim is off.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import claim_checks

ROOT = Path(__file__).parents[1]
CLAIMS = Path(__file__).with_name("claims.toml")
PAGE = ROOT / "docs" / "claims.md"
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")

Claim = dict[str, Any]


def claims() -> list[Claim]:
    return tomllib.loads(CLAIMS.read_text(encoding="utf-8"))["claim"]


def states(claim: Claim) -> bool:
    """Whether the page still says what the claim quotes."""
    return claim["quote"] in (ROOT / claim["where"]).read_text(encoding="utf-8")


def commands(claim: Claim) -> list[str]:
    """The commands of a claim; the last one prints the figures."""
    given = claim["command"]
    return [given] if isinstance(given, str) else given


def output(claim: Claim) -> str:
    """What the commands print, carried out in an empty folder; JSON if the claim states values."""
    with tempfile.TemporaryDirectory() as folder:
        printed = ""
        for command in commands(claim):
            program, *words = shlex.split(command)
            start = [sys.executable, "-m", program] if program == "rankscope" else [sys.executable, ROOT / words.pop(0)]
            as_json = ["--json"] if "values" in claim and command == commands(claim)[-1] else []
            done = subprocess.run([*start, *words, *as_json], cwd=folder, capture_output=True, text=True, check=True)
            printed = done.stdout + (done.stderr if "prints" in claim else "")
    return printed


def faults_of_block(claim: Claim, printed: str) -> list[str]:
    """Numbers of a printed table that differ from those in the block of the page that begins with the quote.

    The first words of a line identify it, as many as `keys` says.
    """
    page = (ROOT / claim["where"]).read_text(encoding="utf-8")
    block = page[page.index(claim["quote"]) :].split("```")[0].splitlines()
    keys = claim.get("keys", 2)
    lines = {tuple(line.split()[:keys]): line for line in printed.splitlines() if line.strip()}
    stated = [line for line in block[1:] if NUMBER.search(line) and not line.startswith("note ")]
    if not stated:
        return [f"{claim['where']} states no numbers after {claim['quote']!r}"]
    return [
        fault for line in stated for fault in faults_of_line(line, lines.get(tuple(line.split()[:keys]), ""), claim)
    ]


def faults_of_line(expected: str, found: str, claim: Claim) -> list[str]:
    """Pairs of numbers that differ by more than the spread of the larger one, or of 1 if both are smaller."""
    numbers = [[float(one.replace(",", "")) for one in NUMBER.findall(line)] for line in (expected, found)]
    if len(numbers[0]) != len(numbers[1]):
        return [f"expected {expected!r}, found {found!r}"]
    return [
        f"expected {before}, found {after} in {found!r}"
        for before, after in zip(*numbers, strict=True)
        if are_apart(before, after, claim)
    ]


def are_apart(before: float, after: float, claim: Claim) -> bool:
    return abs(before - after) > claim["spread"] * max(abs(before), abs(after), 1.0)


def faults_of_values(claim: Claim, document: dict[str, Any]) -> list[str]:
    """Values of a JSON document that differ: texts of a stated row select the row, and its numbers are compared."""
    faults = []
    for stated in claim["values"]:
        texts = {key: value for key, value in stated.items() if isinstance(value, str)}
        rows = [row for row in document[claim.get("of", "rows")] if texts.items() <= row.items()]
        if len(rows) != 1:
            faults.append(f"expected one row with {texts}, found {len(rows)}")
            continue
        for key, value in stated.items():
            found = rows[0].get(key)
            if key not in texts and (found is None or are_apart(value, found, claim)):
                faults.append(f"{texts}: expected {key} {value}, found {found}")
    return faults


def fault_of_value(claim: Claim, value: float) -> list[str]:
    if "at_least" in claim:
        return [] if value >= claim["at_least"] else [f"expected at least {claim['at_least']}, found {value:.3g}"]
    if "at_most" in claim:
        return [] if value <= claim["at_most"] else [f"expected at most {claim['at_most']}, found {value:.3g}"]
    is_near = abs(value - claim["about"]) <= claim["spread"] * abs(claim["about"])
    return [] if is_near else [f"expected {claim['about']} within {claim['spread']:.0%}, found {value:.3g}"]


def faults_of_test(names: list[str]) -> list[str]:
    """The last line of pytest, unless tests passed and none failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    summary = done.stdout.strip().splitlines()[-1]
    return [] if done.returncode == 0 and " passed" in summary else [summary]


def faults(claim: Claim) -> list[str]:
    """What contradicts a claim. Claims to be checked elsewhere are not measured."""
    if not states(claim):
        return [f"{claim['where']} does not say {claim['quote']!r}"]
    found: list[str] = []
    if "check" in claim:
        name, *arguments = claim["check"]
        found = fault_of_value(claim, getattr(claim_checks, name)(*arguments))
    elif "test" in claim:
        found = faults_of_test(claim["test"])
    elif "command" in claim:
        found = faults_of_output(claim)
    return found


def faults_of_output(claim: Claim) -> list[str]:
    printed = output(claim)
    if "values" in claim:
        return faults_of_values(claim, json.loads(printed))
    if "prints" in claim:
        return [f"does not print {text!r}" for text in claim["prints"] if text not in printed]
    return faults_of_block(claim, printed)


INTRODUCTION = """# Claims

The figures about results and speed that README and documentation state, each with the command that recomputes it.
`python benchmarks/claims.py` recomputes those that run on two CPU cores without a network, and fails if one is off by
more than its tolerance; `--long` includes those that take longer than a few minutes. With `--write` it writes this page
from `benchmarks/claims.toml`.

| recomputed | claims |
|---|--:|
"""


def page() -> str:
    """docs/claims.md."""
    kinds = [kind_of(claim) for claim in claims()]
    counts = "".join(f"| {kind} | {kinds.count(kind)} |\n" for kind in dict.fromkeys(kinds))
    return "\n".join([INTRODUCTION + counts, *(section(claim) for claim in claims())])


def kind_of(claim: Claim) -> str:
    if "elsewhere" in claim:
        return "by hand, with other hardware, models or data"
    return "by `claims.py --long`" if claim.get("long") else "by `claims.py`"


def section(claim: Claim) -> str:
    where = claim["where"]
    page = f"[{where}]({where.removeprefix('docs/')})" if where.startswith("docs/") else f"`{where}`"
    test = f"python -m pytest {' '.join(claim['test'])}" if "test" in claim else None
    how = claim.get("elsewhere") or test or f"python benchmarks/claims.py {claim['id']}"
    if "command" in claim:
        how = "\n".join(commands(claim))
    return f"""## {claim["id"]}

{claim["says"][0].upper()}{claim["says"][1:]}.

- stated in {page}
- measured {claim["measured"]}
- tolerance: {tolerance(claim)}

```bash
{how}
```
"""


def tolerance(claim: Claim) -> str:
    if "elsewhere" in claim:
        return "not recomputed by `claims.py`"
    if "at_least" in claim or "at_most" in claim:
        return f"at least {claim['at_least']}" if "at_least" in claim else f"at most {claim['at_most']}"
    return f"within {claim['spread']:.0%}" if "spread" in claim else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ids", nargs="*", help="claims to check; all by default")
    parser.add_argument("--long", action="store_true", help="include claims that take longer than a few minutes")
    parser.add_argument("--write", action="store_true", help="write docs/claims.md instead")
    options = parser.parse_args()
    if options.write:
        PAGE.write_text(page(), encoding="utf-8")
        return
    off = 0
    for claim in claims():
        if claim["id"] not in options.ids if options.ids else claim.get("long") and not options.long:
            continue
        start = time.perf_counter()
        found = faults(claim)
        off += bool(found)
        verdict = "OFF" if found else "elsewhere" if "elsewhere" in claim else "holds"
        print(f"{verdict:9} {claim['id']:28} {time.perf_counter() - start:6.1f} s", flush=True)
        for fault in found[:5]:
            print(f"          {fault}")
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
