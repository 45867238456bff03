"""Compares a run on a faulty Ray cluster of three nodes with a plain run: the results must be identical.

During the run, a worker is killed (SIGKILL) twenty times, a node is removed twice, one is added, and the driver is
killed twice and restarted with the same command. The object store refuses one write in twenty (HTTP 503), and refuses
everything for one minute. The store is moto's S3 server.

    pip install 'rankscope[ray,test]' && python benchmarks/faults.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import rankscope as rs
from ray_workers import busy_workers, kill
from s3_server import BUCKET, CREDENTIALS, SLOW_DOWN, Failure, S3Server, s3_server

MODELS = ("pico-0.1m", "pico-0.4m", "pico-1m", "pico-3m", "pico-0.4m@step-512", "pico-0.4m@step-128")
CALL = (*MODELS, "--data", "stdlib-docs", "--batch-tokens", "512", "--device", "cpu", "--no-twin-cache")
KILLS, STORE_IS_DOWN, REFUSED = 20, 60.0, 1 / 20
DRIVERS_DIE, NODES_GO, NODE_COMES, STORE_GOES = (6, 14), (4, 12), 8, 10
"""Numbers of killed workers after which these events happen."""
MEASURING = 500 << 20  # bytes in memory; a worker with less is still importing
ADDRESS = f"s3://{BUCKET}/faults/run"


@dataclass
class Store:
    """Decides which requests fail.

    Attributes:
        chance: source of random numbers.
        until: time at which the store becomes available again.
        refused: number of failed requests.
        written: how often each file was written.
    """

    chance: random.Random
    until: float = 0.0
    refused: int = 0
    written: Counter[str] = field(default_factory=Counter)

    def fails(self, method: str, path: str) -> Failure | None:
        """The error response to a request, or None if it succeeds."""
        if time.monotonic() < self.until or (method == "PUT" and self.chance.random() < REFUSED):
            self.refused += 1
            return SLOW_DOWN
        if method == "PUT":
            self.written[path] += 1
        return None

    @property
    def batches(self) -> int:
        """The number of batches that were written."""
        return sum("/parts/" in path for path in self.written)


def main() -> None:
    chance = random.Random(0)
    limit = sys.argv[1] if len(sys.argv) > 1 else "300"
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    os.environ |= {"RAY_worker_niceness": "0"}  # workers compete with other processes on equal terms
    with tempfile.TemporaryDirectory() as folder, s3_server() as server:
        os.environ |= CREDENTIALS | {"AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1"}
        plain = Path(folder) / "plain"
        began = time.monotonic()
        subprocess.run(command(limit, plain), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(f"a plain run takes {time.monotonic() - began:.0f} s", flush=True)
        happened = under_faults(server, limit, chance)
        one, other = rs.Run(plain), rs.Run(ADDRESS)
        print(", ".join(f"{count:,} {what}" for what, count in happened.items()))
        print("the measurements are", "the same" if one.measurements().equals(other.measurements()) else "DIFFERENT")
        print("the summary is", "the same" if one.summary_document() == other.summary_document() else "DIFFERENT")
        print(f"{one.measurements().height:,} rows")


def command(limit: str, output: object, *more: str) -> list[str]:
    return [sys.executable, "-m", "rankscope", "evaluate", *CALL, "--limit", limit, "--output", str(output), *more]


def under_faults(server: S3Server, limit: str, chance: random.Random) -> Counter[str]:
    """Runs the evaluation while faults happen; returns how often each of them happened."""
    from ray.cluster_utils import Cluster

    store = Store(chance)
    server.fails = store.fails
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    others = [cluster.add_node(**node) for _ in range(2)]
    happened: Counter[str] = Counter()
    began = time.monotonic()

    def driver() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command(limit, ADDRESS, "--engine", "ray", "--address", cluster.address))

    running, batches = driver(), 0
    while running.poll() is None:
        time.sleep(0.05)
        busy = [pid for pid in busy_workers("pico") if resident(pid) > MEASURING]
        if happened["killed workers"] == KILLS or not busy or store.batches == batches:
            continue
        batches = store.batches
        kill(chance.choice(busy))
        happened["killed workers"] += 1
        if running_again := after(happened, cluster, others, node, store):
            running.kill()
            running.wait()
            running = driver()
            happened["killed drivers"] += running_again
    happened |= {"refused requests": store.refused, "batches": store.batches, "seconds": int(time.monotonic() - began)}
    happened["batches written more than once"] = sum(
        count > 1 for path, count in store.written.items() if "/parts/" in path
    )
    print(f"the last driver ended with status {running.returncode}")
    server.fails = lambda _method, _path: None
    cluster.shutdown()
    return happened


def after(happened: Counter[str], cluster: Any, others: list[Any], node: dict[str, int], store: Store) -> bool:
    """Triggers the events that follow a killed worker; returns whether to kill the driver."""
    kills = happened["killed workers"]
    if kills in NODES_GO:
        cluster.remove_node(others.pop(0), allow_graceful=False)
        happened["removed nodes"] += 1
    if kills == NODE_COMES:
        others.append(cluster.add_node(**node))
        happened["added nodes"] += 1
    if kills == STORE_GOES:
        store.until = time.monotonic() + STORE_IS_DOWN
        happened["outages of the store"] += 1
    return kills in DRIVERS_DIE


def resident(pid: int) -> int:
    """Resident memory of a process in bytes; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
