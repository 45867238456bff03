"""Recomputes what README and documentation state in figures, and fails if one is off by more than its spread.

    python benchmarks/claims.py              # all claims that run here, a few minutes
    python benchmarks/claims.py demo-table   # some of them
    python benchmarks/claims.py --write      # docs/claims.md from claims.toml, nothing is measured

Exit status 1 if a claim is off.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import rankscope as rs

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


def printed_block(claim: Claim) -> list[str]:
    """The lines of the page's text block that begins with the quote."""
    page = (ROOT / claim["where"]).read_text(encoding="utf-8")
    return page[page.index(claim["quote"]) :].split("```")[0].splitlines()


def faults_of_output(claim: Claim) -> list[str]:
    """Numbers of a command's table that differ from the printed ones."""
    printed = printed_block(claim)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", *shlex.split(claim["command"]), "--output", f"{folder}/run"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = {tuple(line.split()[:2]): line for line in output.splitlines() if line.strip()}
    several_layers = "layer" in printed[0]
    if several_layers:
        rows = {tuple(line.split()[:3]): line for line in output.splitlines() if line.strip()}
    return [
        fault
        for line in printed[1:]
        if line.strip() and not line.startswith("note ")
        for fault in faults_of_line(line, rows.get(tuple(line.split()[: 3 if several_layers else 2]), ""), claim)
    ]


def faults_of_line(expected: str, found: str, claim: Claim) -> list[str]:
    """Pairs of numbers that differ by more than the spread of the larger one, or of 1 if both are smaller."""
    numbers = [[float(one.replace(",", "")) for one in NUMBER.findall(line)] for line in (expected, found)]
    if len(numbers[0]) != len(numbers[1]):
        return [f"expected {expected!r}, found {found!r}"]
    return [
        f"expected {before}, found {after} in {found!r}"
        for before, after in zip(*numbers, strict=True)
        if abs(before - after) > claim["spread"] * max(abs(before), abs(after), 1.0)
    ]


def fault_of_value(claim: Claim, value: float) -> list[str]:
    if "at_least" in claim:
        return [] if value >= claim["at_least"] else [f"expected at least {claim['at_least']}, found {value:.3g}"]
    if "at_most" in claim:
        return [] if value <= claim["at_most"] else [f"expected at most {claim['at_most']}, found {value:.3g}"]
    is_near = abs(value - claim["about"]) <= claim["spread"] * claim["about"]
    return [] if is_near else [f"expected {claim['about']} within {claim['spread']:.0%}, found {value:.3g}"]


def least_seconds(function: Callable[[], object], repeats: int) -> float:
    function()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return min(found)


def plain_entropy(hidden: torch.Tensor) -> torch.Tensor:
    """Matrix entropy in float32 without a check: centre, unit rows, smaller Gram matrix, eigenvalues."""
    rows = torch.nn.functional.normalize(hidden - hidden.mean(dim=0), dim=1)
    values = torch.linalg.eigvalsh(rows @ rows.T / len(rows))
    return torch.special.entr(values.clamp_min(0)).sum()


def published_entropy(hidden: torch.Tensor) -> torch.Tensor:
    """As the released scripts compute it: covariance, singular values with vectors."""
    rows = torch.nn.functional.normalize(hidden - hidden.mean(dim=0), dim=1)
    covariance = rows.T @ rows / len(rows)
    _, values, _ = torch.linalg.svd(covariance / covariance.trace())
    return -(values * values.log()).nansum()


def times_of_published(tokens: int, hidden_size: int) -> float:
    """The released code's time over ours."""
    hidden = noise(tokens, hidden_size)
    return least_seconds(lambda: published_entropy(hidden), 2) / least_seconds(lambda: rs.matrix_entropy(hidden), 20)


def times_of_plain(tokens: int, hidden_size: int) -> float:
    """Our time over a plain float32 kernel's."""
    hidden = noise(tokens, hidden_size)
    return least_seconds(lambda: rs.matrix_entropy(hidden), 20) / least_seconds(lambda: plain_entropy(hidden), 20)


def one_by_one_over_together() -> float:
    """32 texts of 128 to 159 tokens, d = 768: 32 calls over one."""
    texts = [noise(128 + place, 768) for place in range(32)]
    padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    mask = torch.arange(padded.shape[1]) < torch.tensor([len(one) for one in texts])[:, None]
    alone = least_seconds(lambda: [rs.matrix_entropy(one) for one in texts], 10)
    return alone / least_seconds(lambda: rs.matrix_entropy(padded, mask), 10)


def noise(tokens: int, hidden_size: int) -> torch.Tensor:
    return torch.randn(tokens, hidden_size, generator=torch.Generator().manual_seed(0))


CHECKS = {one.__name__: one for one in (times_of_published, times_of_plain, one_by_one_over_together)}


def faults(claim: Claim) -> list[str]:
    """What contradicts a claim; nothing is measured for one that is made elsewhere."""
    if not states(claim):
        return [f"{claim['where']} does not say {claim['quote']!r}"]
    if "command" in claim:
        return faults_of_output(claim)
    if "check" in claim:
        name, *arguments = claim["check"]
        return fault_of_value(claim, CHECKS[name](*arguments))
    return []


INTRODUCTION = """# Claims

Every figure about results or speed that README and documentation rest on, with the command that recomputes it.
`python benchmarks/claims.py` recomputes those that run on two CPU cores without a network, and fails if one is off by
more than its spread. `python benchmarks/claims.py --write` writes this page from `benchmarks/claims.toml`.
"""


def page() -> str:
    """docs/claims.md."""
    return "\n".join([INTRODUCTION, *(section(claim) for claim in claims())])


def section(claim: Claim) -> str:
    where = claim["where"]
    page = f"[{where}]({where.removeprefix('docs/')})" if where.startswith("docs/") else f"`{where}`"
    if "at_least" in claim or "at_most" in claim:
        allowed = f"at least {claim['at_least']}" if "at_least" in claim else f"at most {claim['at_most']}"
    else:
        allowed = f"within {claim['spread']:.0%}" if "spread" in claim else "not recomputed by `claims.py`"
    how = claim.get("command") or claim.get("elsewhere") or f"python benchmarks/claims.py {claim['id']}"
    return f"""## {claim["id"]}

{claim["says"][0].upper()}{claim["says"][1:]}.

- stated in {page}
- measured {claim["measured"]}
- tolerance: {allowed}

```bash
{how}
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ids", nargs="*", help="claims to check; all by default")
    parser.add_argument("--write", action="store_true", help="write docs/claims.md instead")
    options = parser.parse_args()
    if options.write:
        PAGE.write_text(page(), encoding="utf-8")
        return
    off = 0
    for claim in claims():
        if options.ids and claim["id"] not in options.ids:
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
