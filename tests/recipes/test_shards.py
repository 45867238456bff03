"""The recipes that run shards: with a stand-in for Slurm, and in processes of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rankscope as rs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")]

RECIPES = Path(__file__).parents[2] / "recipes"
EVALUATE = ("pico-0.1m", "--data", "stdlib-docs", "--limit", "6", "--batch-tokens", "150", "--device", "cpu")
SBATCH = """
import os, re, subprocess, sys

# Slurm in one file: runs each task of an array at once and in order, or a job once those before it have succeeded.
given = dict(re.fullmatch(r"--([a-z-]+)=?(.*)", one, re.DOTALL).groups() for one in sys.argv[1:])
jobs = sys.argv[0] + ".jobs"
done = open(jobs).read().split() if os.path.exists(jobs) else []
if "dependency" in given:
    assert given["dependency"].removeprefix("afterok:") in done, given
first, last = map(int, given.get("array", "0-0").split("-"))
for task in range(first, last + 1):
    array = {"ID": task, "COUNT": last - first + 1, "MIN": first, "MAX": last, "STEP": 1} if "array" in given else {}
    environment = os.environ | {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in array.items()}
    with open(sys.argv[0] + ".log", "a") as log:
        subprocess.run(["sh", "-c", given["wrap"]], env=environment, check=True, stdout=log, stderr=log)
job = str(100 + len(done))
open(jobs, "a").write(job + "\\n")
print(job + ";cluster")
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH, with `rankscope` and a stand-in for `sbatch`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sbatch").write_text(f"#!{sys.executable}\n{SBATCH}")
    (folder / "rankscope").write_text(f'#!/bin/sh\nexec {sys.executable} -m rankscope "$@"\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder


def run(programs: Path, recipe: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    command = [str(RECIPES / recipe), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, env=environment)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    """The run of a single process with one thread."""
    output = tmp_path_factory.mktemp("plain") / "run"
    command = [sys.executable, "-m", "rankscope", "evaluate", *EVALUATE, "--output", output]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return rs.Run(output)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [("slurm_array.sh", "shards are job 100, the merge is job 101\n"), ("xargs_shards.sh", "Diff-eRank")],
)
def test_shards_of_a_recipe_make_the_run(recipe: str, said: str, programs: Path, plain: rs.Run, tmp_path: Path) -> None:
    output = tmp_path / "a run" / "of [shards]"
    done = run(programs, recipe, 2, output, *EVALUATE)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    whole = rs.Run(output)
    assert whole.measurements().equals(plain.measurements())
    assert whole.summary_document() == plain.summary_document()
    assert len(whole.manifest()["sessions"]) == 2


@pytest.mark.parametrize("recipe", ["slurm_array.sh", "xargs_shards.sh"])
def test_a_call_without_models_shows_how(recipe: str, programs: Path) -> None:
    done = run(programs, recipe, 3)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "MODEL... --data DATA" in done.stderr
