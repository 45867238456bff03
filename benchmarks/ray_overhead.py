"""The cost of Ray: a sweep of seven checkpoints x two data sets on two workers, compared with two plain processes.

Both use one thread per worker and measure the same twins (without the twin cache). Neither time includes Python's
imports, and Ray's start-up time is printed separately. The order alternates between repeats.

    pip install 'rankscope[ray]' && python benchmarks/ray_overhead.py [TEXTS] [REPEATS]
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}  # as for the processes started by hand

import rankscope as rs
from rankscope.integrations.ray import Call, Needs, RayCluster
from rankscope.integrations.ray_connection import connected_cluster
from rankscope.models import pico_checkpoints
from rankscope.runs.preparation import load_text_sets
from rankscope.settings import Settings

WORKERS = 2
SETTINGS = {"device": "cpu", "field": "text", "twin_cache": False}
BY_HAND = """
import json, sys
import rankscope as rs
from rankscope.runs import evaluate
models, data, output, settings, shard = json.loads(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
rs.evaluate(models, data, output=output, shard=shard, **settings)
"""


def main() -> None:
    texts, repeats = (int(given) for given in [*sys.argv[1:], *("100", "3")[len(sys.argv) - 1 :]])
    models = [checkpoint.name for checkpoint in pico_checkpoints()]
    with tempfile.TemporaryDirectory() as folder:
        data = data_sets(Path(folder), texts)
        began = time.monotonic()
        with connected_cluster(None, 1) as cluster:
            started = time.monotonic()
            warm(cluster)
            print(
                f"Ray starts in {started - began:.1f} s, and its workers' imports take "
                f"{time.monotonic() - started:.1f} s more"
            )
            seconds: dict[str, list[float]] = {"by hand": [], "Ray": []}
            for repeat in range(repeats):
                ways = {"by hand": by_hand, "Ray": on_ray}
                for name in sorted(ways, reverse=bool(repeat % 2)):
                    output = Path(folder) / "run"
                    seconds[name].append(ways[name](models, data, output))
                    print(f"{name:8s} {seconds[name][-1]:6.1f} s, load average {os.getloadavg()[0]:.1f}", flush=True)
                    shutil.rmtree(output)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        f"{len(models)} checkpoints x {len(data)} data sets of {texts} texts: by hand {middle['by hand']:.1f} s, "
        f"Ray {middle['Ray']:.1f} s, ratio {middle['Ray'] / middle['by hand']:.2f}"
    )


def data_sets(folder: Path, texts: int) -> list[str]:
    """Two files of bundled texts."""
    (whole,) = load_text_sets(["stdlib-docs"], Settings(limit=2 * texts))
    files = [folder / "one.jsonl", folder / "two.jsonl"]
    for place, file in enumerate(files):
        rows = [json.dumps({"text": text.text}) for text in list(whole.texts)[place * texts : (place + 1) * texts]]
        file.write_text("\n".join(rows) + "\n")
    return [str(file) for file in files]


def warm(cluster: RayCluster) -> None:
    """Makes each worker import its modules."""
    list(cluster.run([Call("import", imported, None, Needs(1)) for _ in range(WORKERS)], lambda _: None))


def imported(_argument: None, _tell: object) -> None:
    import transformers

    import rankscope.runs

    time.sleep(3.0 if transformers and rankscope.runs else 0)  # so that one worker does not run both calls


def on_ray(models: list[str], data: list[str], output: Path) -> float:
    began = time.monotonic()
    rs.evaluate(models, data, output=output, engine="ray", **SETTINGS)
    return time.monotonic() - began


def by_hand(models: list[str], data: list[str], output: Path) -> float:
    processes = []
    for shard in range(WORKERS):
        call = json.dumps([models, data, str(output), SETTINGS, f"{shard}/{WORKERS}"])
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", BY_HAND, call], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()  # "ready": its imports are done
    began = time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.wait() == 0
    rs.merge([output], output)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
