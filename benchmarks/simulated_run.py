"""A run on many workers, by a formula and by event simulation; see cost_model.py.

Rankscope's own code divides the work. A batch is only a number in an array: there are no texts and no networks.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rankscope.measuring.planned import PlannedBatches, PlanWriter
from rankscope.runs.shards import pieces_of
from rankscope.runs.tasks import cut

if TYPE_CHECKING:
    from cost_of_units import Costs

NOTICED = 30.0  # seconds until Ray notices a lost node, or a scheduler restarts a shard
Stretch = tuple[int, Sequence[int]]  # a network, and the numbers of its batches


@dataclass(frozen=True)
class Sweep:
    """The size of a run. `machines` is the spread of workers' speeds; `deaths` is the rate per worker and hour."""

    models: int = 100
    twins: int = 1
    texts: int = 1_000_000
    tokens: int = 128
    tokenizers: int = 1
    batch_tokens: int = 1024
    machines: float = 0.05
    deaths: float = 0.1

    @property
    def networks(self) -> int:
        """The number of networks: models and twins."""
        return self.models * (1 + self.twins)

    def load(self, costs: Costs) -> Load:
        """The load of texts with synthetic lengths of 2 to 2,048 tokens, skewed like those of real texts."""
        drawn = np.random.default_rng(0).lognormal(math.log(self.tokens) - 0.32, 0.8, self.texts)
        writer = PlanWriter()
        writer._lengths.frombytes(np.clip(drawn, 2, 2048).astype(np.int32).tobytes())
        writer._indices.frombytes(np.arange(self.texts).tobytes())
        writer._are_cut.extend(bytes(self.texts))
        return Load.of(writer.plan(self.batch_tokens).batches, [costs.token] * self.models, self.twins)


@dataclass(frozen=True)
class Outline:
    """The part of a unit that the division of work reads."""

    id: tuple[str, str]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """The part of a group that the division of work reads."""

    units: tuple[Outline, ...]
    size: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Load:
    """The work of a run: the batches of all networks, which read the same texts."""

    networks: list[Network]
    rates: NDArray[np.float64]
    sizes: NDArray[np.int64]
    texts: int

    @classmethod
    def of(cls, batches: PlannedBatches, rates: Sequence[float], twins: int) -> Load:
        """The load of a plan, given the seconds per token of each model and its twins."""
        sizes = tuple(batches.sizes.tolist())
        each = np.repeat(rates, 1 + twins)
        networks = [Network((Outline(("run", f"{n}"), sizes),)) for n in range(len(each))]
        return cls(networks, each, batches.sizes, len(batches.lengths))

    @property
    def batches(self) -> int:
        """The number of batches of all networks."""
        return len(self.sizes) * len(self.networks)

    @property
    def tokens(self) -> int:
        """The number of tokens of all networks."""
        return int(self.sizes.sum()) * len(self.networks)

    @property
    def rows(self) -> int:
        """The number of rows, one per text and network at a single layer."""
        return self.texts * len(self.networks)

    @cached_property
    def every(self) -> Mapping[tuple[str, str], frozenset[int]]:
        """All batches, which are the missing ones of a new run."""
        whole = frozenset(range(len(self.sizes)))
        return {unit.id: whole for network in self.networks for unit in network.units}

    def prepare(self, costs: Costs, sweep: Sweep) -> float:
        """Seconds that a process needs to prepare the run, regardless of the number of workers."""
        of_texts = costs.read * self.texts + sweep.tokenizers * (costs.plan + costs.fit) * int(self.sizes.sum())
        return costs.start + costs.describe * sweep.models + of_texts

    def work(self, costs: Costs) -> float:
        """Seconds for all networks and batches, each computed once."""
        passes = float(self.rates.mean()) * self.tokens
        return passes + costs.batch * self.batches + costs.load * len(self.networks)

    def merge(self, costs: Costs) -> float:
        """Seconds that one process needs to join and summarise the results."""
        return costs.merger + costs.join * self.batches + costs.row * self.rows


@dataclass(frozen=True)
class Found:
    """The result of a simulation: seconds until the run is complete, of all workers together, and of each worker."""

    wall: float
    busy: float
    each: list[float]


def formula(load: Load, costs: Costs, sweep: Sweep, workers: int, engine: str) -> float:
    """Seconds until the run is complete, in closed form."""
    prepare, work, merge = load.prepare(costs, sweep), load.work(costs), load.merge(costs)
    networks = len(load.networks)
    if engine == "shards":
        share = work / workers + (costs.load if workers > 1 else 0)
        once = (prepare + share) * slowest(workers, sweep.machines)
        lost = NOTICED + prepare + costs.load + work / load.batches / 2
        return once + unluckiest(workers, once * sweep.deaths / 3600) * lost + merge
    tasks = networks * max(round(4 * workers / networks), 1)
    of_task = work / tasks + costs.load * (1 - networks / tasks)
    even = of_task * tasks / workers
    rounds = of_task * math.ceil(tasks / workers)
    once = max(rounds, even)
    lost = NOTICED + costs.start + costs.load
    return prepare + costs.start + once + once * sweep.deaths / 3600 * lost + merge - costs.merger


def slowest(workers: int, spread: float) -> float:
    """Slowness of the slowest machine: exp of the expected maximum of normal variables, by Blom's approximation."""
    if workers == 1:
        return 1.0
    return math.exp(spread * NormalDist().inv_cdf((workers - 0.375) / (workers + 0.25)))


def unluckiest(workers: int, expected: float) -> float:
    """Number of deaths of the unluckiest worker: the expected maximum of Poisson variables."""
    total, below, chance, count = 0.0, 0.0, math.exp(-expected), 0
    while below < 1 - 1e-12 and count < expected + 20 * (expected + 1) ** 0.5 + 20:
        below += chance
        total += 1 - min(below, 1.0) ** workers
        count += 1
        chance *= expected / count
    return total


def shards_of(load: Load, count: int) -> list[list[Stretch]]:
    """Rankscope's division of the work into shards."""
    return [[(int(unit), numbers) for (_, unit), numbers in piece.items()] for piece in pieces_of(load.networks, count)]


def tasks_of(load: Load, workers: int) -> list[Stretch]:
    """Rankscope's division of the work into tasks for Ray."""
    pieces = [task.piece.items() for task in cut(load.networks, load.every, workers)]
    return [(int(unit), numbers) for piece in pieces for (_, unit), numbers in piece]


@dataclass(frozen=True)
class Machine:
    """A simulated worker, with its slowness, its random numbers and its death rate per hour."""

    load: Load
    costs: Costs
    rng: np.random.Generator
    slowness: float
    noise: NDArray[np.float64]
    deaths: float

    @classmethod
    def several(cls, load: Load, costs: Costs, sweep: Sweep, workers: int) -> list[Machine]:
        """Workers with different speeds; the noise of their batches comes from one shared array of random numbers."""
        rng, spread = np.random.default_rng(1), math.log1p(costs.spread**2) ** 0.5
        noise = rng.lognormal(-(spread**2) / 2, spread, 4 * len(load.sizes))
        slow = np.exp(rng.normal(0, sweep.machines, workers))
        return [cls(load, costs, rng, float(one), noise, sweep.deaths) for one in slow]

    def life(self) -> float:
        """Seconds until a process dies, if it does not end before."""
        return float(self.rng.exponential(3600 / self.deaths)) if self.deaths else math.inf

    def durations(self, stretch: Stretch) -> NDArray[np.float64]:
        """Seconds for each of a network's batches, in order."""
        network, numbers = stretch
        sizes = self.load.sizes[numbers[0] : numbers[-1] + 1]  # pieces of a new run have no gaps
        start = int(self.rng.integers(len(self.noise) - len(sizes) + 1))
        passes = sizes * self.load.rates[network] * self.noise[start : start + len(sizes)]
        return self.slowness * (passes + self.costs.batch)

    def go_on(self, left: NDArray[np.float64], since: float, life: float) -> tuple[float, NDArray[np.float64]]:
        """Loads a network and measures until its batches end or the process dies; returns the time and the rest."""
        ends = since + self.slowness * self.costs.load + np.cumsum(left)
        if not len(left) or ends[-1] <= life:
            return (float(ends[-1]) if len(left) else since), left[:0]
        return life, left[np.searchsorted(ends, life, side="right") :]


def simulated_shards(load: Load, costs: Costs, sweep: Sweep, pieces: list[list[Stretch]]) -> Found:
    """Each worker prepares and measures its shard; a worker that dies is restarted and prepares again."""
    each = []
    for machine, piece in zip(Machine.several(load, costs, sweep, len(pieces)), pieces, strict=True):
        prepare, wall = machine.slowness * load.prepare(costs, sweep), 0.0
        since, life = prepare, machine.life()
        for stretch in piece:
            left = machine.durations(stretch)
            while len(left):
                if since < life:
                    since, left = machine.go_on(left, since, life)
                if len(left):  # it died
                    wall, since, life = wall + life + NOTICED, prepare, machine.life()
        each.append(wall + since)
    merge = load.merge(costs)
    return Found(max(each) + merge, sum(each) + merge, each)


def simulated_ray(load: Load, costs: Costs, sweep: Sweep, tasks: list[Stretch], workers: int) -> Found:
    """One process prepares; workers take tasks, longest first, and return the rest of a task when they die."""
    machines, waiting = Machine.several(load, costs, sweep, workers), iter(tasks)
    prepare = load.prepare(costs, sweep)
    free = [(prepare + costs.start * one.slowness, number, one.life()) for number, one in enumerate(machines)]
    heapq.heapify(free)
    returned: list[tuple[float, int, NDArray[np.float64]]] = []
    end = busy = prepare
    while free:
        now, number, life = heapq.heappop(free)
        machine = machines[number]
        if returned and returned[0][0] <= now:
            _, _, left = heapq.heappop(returned)
        elif (task := next(waiting, None)) is not None:
            left = machine.durations(task)
        elif returned:
            heapq.heappush(free, (returned[0][0], number, life - (returned[0][0] - now)))
            continue
        else:
            continue
        spent, left = machine.go_on(left, 0.0, max(life, 0.0))
        end, busy = max(end, now + spent), busy + spent
        if len(left):
            again = now + spent + NOTICED
            heapq.heappush(returned, (again, number, left))
            heapq.heappush(free, (again + costs.start * machine.slowness, number, machine.life()))
        else:
            heapq.heappush(free, (now + spent, number, life - spent))
    merge = load.merge(costs) - costs.merger
    return Found(end + merge, busy + merge, [])
