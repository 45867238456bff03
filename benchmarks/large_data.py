"""Time and memory from a Parquet folder to a plan, for data sets of 10,000 to a million short texts.

Texts of 5 to 40 words are generated from a fixed seed, in files of 50,000 rows. For each size, a separate process
reads, fingerprints, tokenizes and plans the texts, and reads each batch once; it reports its own peak memory. The first
line is a process with a single text, which shows the memory of the imports.

    python benchmarks/large_data.py [--texts 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

ROWS_OF_A_FILE = 50_000
GIGABYTES = 1.5  # memory limit for a million texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="measure this folder in this process")
    options = parser.parse_args()
    if options.folder is not None:
        print(json.dumps(measure(options.folder)))
        return
    print("    texts    tokens  read s  hash s  plan s  batches s  texts/s  CPU s  peak MB")
    with tempfile.TemporaryDirectory() as place:
        for texts in [0, *options.texts]:
            folder = Path(place) / str(texts)
            write(folder, texts)
            command = [sys.executable, __file__, "--folder", str(folder)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            steps = [found[step] for step in ("read", "hash", "plan", "batches")]
            rate = texts / sum(steps) if texts else 0
            print(
                f"{texts:9,d} {found['tokens']:10,d} {steps[0]:6.1f} {steps[1]:7.1f} {steps[2]:7.1f} {steps[3]:9.1f} "
                f"{rate:9,.0f} {found['cpu']:6.1f} {found['peak'] / 1e6:8,.0f}",
                flush=True,
            )
            if texts <= 1_000_000 and found["peak"] > GIGABYTES * 1e9:
                raise SystemExit(f"over the budget of {GIGABYTES} GB")


def write(folder: Path, texts: int) -> None:
    """Writes a Parquet folder of generated texts; a single row if none are requested."""
    folder.mkdir()
    generator = random.Random(0)
    words = ["".join(generator.choices("etaoinshrdlu", k=generator.randint(2, 9))) for _ in range(2000)]
    for start in range(0, max(texts, 1), ROWS_OF_A_FILE):
        rows = range(start, min(start + ROWS_OF_A_FILE, max(texts, 1)))
        table = {
            "id": [f"text-{row}" for row in rows],
            "text": [" ".join(generator.choices(words, k=generator.randint(5, 40))) for _ in rows],
        }
        parquet.write_table(pa.table(table), folder / f"part-{start:08d}.parquet")


def measure(folder: Path) -> dict[str, float]:
    """Seconds of each step, CPU seconds of all threads, and this process's peak memory in bytes."""
    from rankscope.runs import prepare  # imported here: a process inherits the peak memory of its parent
    from rankscope.settings import Settings

    prepare(["pico"], ["stdlib-docs"], Settings(limit=2))  # imports the rest
    started, cpu = [time.perf_counter()], time.process_time()
    job = prepare(["pico"], [str(folder)], Settings(field="text"))
    started.append(time.perf_counter())
    (texts,) = job.text_sets
    assert texts.fingerprint
    started.append(time.perf_counter())
    plan = job.plan(job.subjects[0].model, texts)
    assert plan.fingerprint
    started.append(time.perf_counter())
    assert sum(len(batch) for batch in plan.batches) == len(texts.texts)
    started.append(time.perf_counter())
    cpu = time.process_time() - cpu
    seconds = [later - earlier for earlier, later in pairwise(started)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    steps = dict(zip(("read", "hash", "plan", "batches"), seconds, strict=True))
    return steps | {"tokens": plan.tokens, "cpu": cpu, "peak": peak}


if __name__ == "__main__":
    main()
