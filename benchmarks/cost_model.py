"""The cost of a run on many machines: unit costs measured here, a formula, a simulation, and a small run to check it.

Times are CPU seconds of single-threaded processes, which other work on the machine hardly affects. The simulation uses
rankscope's own code to divide a plan of synthetic lengths into shards and into Ray tasks. Each batch has a duration
with the measured spread, each worker has its own speed, and in the second table, workers die at random.

    python benchmarks/cost_model.py                                    # about three minutes
    python benchmarks/cost_model.py --models 20 --twins 3 --token 7e-6 --load 12 --batch-tokens 16384    # your own

Unit costs given as options (listed by `--help`) replace the measured ones.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}

from cost_of_units import MODELS, Costs, data_file, measured_costs, observed, prepared
from rankscope.cli.terminal import quieten_libraries
from simulated_run import Load, Sweep, formula, shards_of, simulated_ray, simulated_shards, tasks_of

H100 = {"token": 8.7 / 1.21e6, "load": 10.0, "spread": 0.05}
"""The shape of OPT-1.3B in bfloat16, last layer, as measured in README.md; loading 2.6 GB is assumed to take 10 s."""
WORKERS = (1, 8, 64, 256)
HEAD = (
    "| workers | prepare h | measure h | merge h | shards: formula h | simulation h | off by | core-hours "
    "| Ray: formula h | simulation h | off by | core-hours |\n" + "|---" * 12 + "|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in fields(Sweep):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=float, default=one.default)
    for one in fields(Costs):
        parser.add_argument(f"--{one.name}", type=float)
    given = vars(parser.parse_args())
    own = {one.name: given[one.name] for one in fields(Costs) if given[one.name] is not None}
    sweep = Sweep(**{one.name: type(one.default)(given[one.name]) for one in fields(Sweep)})
    quieten_libraries()
    with tempfile.TemporaryDirectory() as folder:
        data = data_file(Path(folder))
        costs, rates = measured_costs(data, Path(folder))
        print_costs(costs, rates)
        check(data, Path(folder), costs, rates)
    if own:
        print_tables("With the given costs", replace(costs, **own), sweep)
        return
    print_tables("This machine, pico (0.4 M parameters)", costs, sweep)
    print_tables("H100, the shape of OPT-1.3B in bfloat16", replace(costs, **H100), replace(sweep, batch_tokens=16384))


def print_costs(costs: Costs, rates: dict[str, float]) -> None:
    print("| unit cost | CPU seconds |\n|---|---|")
    for one in fields(costs):
        print(f"| `{one.name}`: {one.metadata['is']} | {getattr(costs, one.name):.3g} |")
    for name, rate in rates.items():
        print(f"| a token of {name} | {rate:.3g} |")


def check(data: Path, folder: Path, costs: Costs, rates: dict[str, float]) -> None:
    """Compares the simulation of a small run with the run: the pico family with one twin each, in 1 and in 2 shards."""
    job = prepared(data)
    load = Load.of(job.plan(job.subjects[0].model, job.text_sets[0]).batches, [rates[name] for name in MODELS], twins=1)
    sweep = Sweep(models=len(MODELS), texts=len(job.text_sets[0].texts), machines=0.0, deaths=0.0)
    costs = replace(costs, spread=0.0)
    print("\n| a small run | predicted, CPU s | observed, CPU s | predicted / observed |\n|---|---|---|---|")
    for count in (1, 2):
        predicted = simulated_shards(load, costs, sweep, shards_of(load, count))
        seen = [observed(data, folder / f"run-{count}", f"{number}/{count}") for number in range(count)]
        for number, (ours, real) in enumerate(zip(predicted.each, seen, strict=True)):
            print(f"| shard {number}/{count} | {ours:.1f} | {real:.1f} | {ours / real:.2f} |", flush=True)
        merged, real = load.merge(costs), observed(data, folder / f"run-{count}", None)
        print(f"| merge of {count} | {merged:.1f} | {real:.1f} | {merged / real:.2f} |", flush=True)


def print_tables(title: str, costs: Costs, sweep: Sweep) -> None:
    load = sweep.load(costs)
    print(
        f"\n{title}: {sweep.models} models and {sweep.networks - sweep.models} twins x {sweep.texts:,} texts, "
        f"{load.tokens / 1e9:.1f} billion tokens in {load.batches / 1e6:.2f} million batches, "
        f"{load.rows / 1e6:.0f} million rows, {load.rows * costs.bytes / 1e9:.1f} GB"
    )
    tables: dict[float, list[str]] = {0.0: [], sweep.deaths: []}
    for workers in WORKERS:
        shards, tasks = shards_of(load, workers), tasks_of(load, workers)
        for deaths, rows in tables.items():
            now = replace(sweep, deaths=deaths)
            found = {
                "shards": simulated_shards(load, costs, now, shards),
                "ray": simulated_ray(load, costs, now, tasks, workers),
            }
            parts = (load.prepare(costs, now), load.work(costs) / workers, load.merge(costs))
            row = [f"{workers}", *(f"{part / 3600:.2f}" for part in parts)]
            for engine, of_engine in found.items():
                said = formula(load, costs, now, workers, engine)
                row += [f"{said / 3600:.2f}", f"{of_engine.wall / 3600:.2f}", f"{said / of_engine.wall - 1:+.1%}"]
                row += [f"{of_engine.busy / 3600:,.0f}"]
            rows.append(f"| {' | '.join(row)} |")
    for deaths, rows in tables.items():
        print(f"\n{f'{deaths:g} deaths per worker and hour' if deaths else 'without deaths'}\n\n{HEAD}")
        print("\n".join(rows), flush=True)


if __name__ == "__main__":
    sys.exit(main())
