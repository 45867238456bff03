"""All eigenvalues of many Gram matrices on a CUDA device: errors and times, compared with LAPACK and cuSOLVER.

python benchmarks/eigenvalues.py             # everything, in about two minutes
python benchmarks/eigenvalues.py --quick     # only the layouts in use
python benchmarks/eigenvalues.py --large     # only large matrices, in less than two minutes
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context

import torch

from rankscope.metrics import device_eigenvalues as ours
from rankscope.metrics.device_eigenvalues import Launch, Spread

SIZES = (16, 100, 128, 200, 330, 512, 700, 1024, 2048)
BATCHES = {16: 4096, 100: 2112, 128: 2112, 200: 1056, 330: 1056, 512: 528, 700: 200, 1024: 200, 2048: 100}
LARGE = ((700, torch.float64), (1024, torch.float64), (1024, torch.float32), (2048, torch.float64))
DTYPES = (torch.float64, torch.float32)


def variants(n: int) -> list[Launch]:
    """The layout in use for matrices of n rows, followed by candidates that may be faster."""
    used = ours.launch_for(n)
    if n == 128:
        others = [
            replace(used, band_warps=4),
            replace(used, band_warps=8, band_registers=128, chase_registers=128),
            replace(used, tile=64, chase_warps=1, bisection_block=64),
        ]
    elif n == 330:
        others = [
            replace(used, band_registers=None, chase_registers=None, bisection_block=64),
            replace(used, tile=64, chase_warps=4, chase_registers=None, bisection_block=256),
            replace(used, tile=64, band_registers=None, chase_registers=80),
            replace(used, band_warps=4, band_registers=255, chase_warps=4, chase_registers=128),
            replace(used, tile=64, band_warps=16),
        ]
    elif n > 512:
        others = [
            replace(used, spread=None, chase_group=None),
            replace(used, spread=Spread(128, 64, 4, 255), chase_group=16, chase_warps=8),
            replace(used, spread=Spread(256, 32, 8, 128), chase_group=16),
        ]
        if n == 2048:
            others.append(replace(used, spread=Spread(128, 32, 4, 128)))
    else:
        others = []
    return [used, *others]


def jobs(quick: bool, large: bool) -> list[tuple[int, torch.dtype, Launch]]:
    kinds = LARGE if large else [(n, dtype) for dtype in DTYPES for n in SIZES]
    return [(n, dtype, one) for n, dtype in kinds for one in variants(n)[: 1 if quick else None]]


def grams(n: int, batch: int, dtype: torch.dtype, device: str = "cuda") -> torch.Tensor:
    """Gram matrices like those of texts: products of n unit rows, divided by n; one in three is far from full rank."""
    generator = torch.Generator(device).manual_seed(n)
    rows = torch.randn(batch, n, n + n // 2, generator=generator, dtype=torch.float64, device=device)
    rows *= torch.logspace(0, -4, rows.shape[2], dtype=torch.float64, device=device)
    rows[::3, :, n // 2 :] = 0
    rows = torch.nn.functional.normalize(rows, dim=2)
    return (rows @ rows.mT / n).to(dtype)


def compile_one(job: tuple[int, torch.dtype, Launch]) -> str:
    """Fills the compiler's cache; returns an error message, or an empty string."""
    n, dtype, launch = job
    try:
        sizes = torch.full((2,), n, device="cuda")
        ours.eigenvalues_on_device(grams(n, 2, dtype), sizes, launch)
        torch.cuda.synchronize()
    except Exception as error:  # noqa: BLE001 - a layout that fails must not stop the others
        return f"FAILED n={n} {dtype} {launch}: {type(error).__name__}: {str(error)[:300]}"
    return ""


def milliseconds(work: Callable[[], object], before: Callable[[], object] = lambda: None, repeats: int = 3) -> float:
    """Median duration by the device's clock."""
    times = []
    for index in range(repeats + 1):
        before()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        if index:
            times.append(start.elapsed_time(end))
    return statistics.median(times)


@cache
def examples(n: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Four matrices, their sizes, and their eigenvalues computed by LAPACK in float64."""
    some = grams(n, 4, dtype)
    some[1] *= 1e-6
    some[1, 0, 0] += 1.0  # one direction that holds nearly everything
    sizes = torch.tensor([n, n, max(2, n // 2), max(2, n - 7)], device="cuda")
    keep = torch.arange(n, device="cuda") < sizes[:, None]
    some *= keep[:, :, None] & keep[:, None, :]
    reference = torch.linalg.eigvalsh(some.cpu().double()).flip(1).clamp_min(0)
    return some, sizes, reference


def error_in_eps(n: int, dtype: torch.dtype, launch: Launch) -> float:
    """Largest error relative to the largest eigenvalue, in eps; fails if the host waits for the device."""
    some, sizes, reference = examples(n, dtype)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            values = ours.eigenvalues_on_device(some, sizes, launch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    errors = (values.cpu().double() - reference).abs().amax(1) / reference[:, 0]
    return float(errors.max()) / torch.finfo(dtype).eps if bool(values.isfinite().all()) else float("nan")


def time_stages(n: int, dtype: torch.dtype, launch: Launch) -> list[float]:
    """Microseconds per matrix: band reduction, bulge chasing, bisection, and the whole call including copies."""
    batch = BATCHES[n]
    some = grams(n, batch, dtype)
    sizes = torch.full((batch,), n, device="cuda")
    space = ours.workspace_of(some, sizes, launch)
    dense = space.dense.clone()
    values = torch.zeros(batch, n, dtype=dtype, device="cuda")

    def fresh() -> None:
        space.dense.copy_(dense)
        space.reflectors.zero_()
        space.updates.zero_()
        space.band.zero_()

    def banded() -> None:
        fresh()
        ours.reduce_all_to_bands(space, launch)

    times = [
        milliseconds(lambda: ours.reduce_all_to_bands(space, launch), fresh),
        milliseconds(lambda: ours.chase_all_bulges(space, launch), banded),
        milliseconds(lambda: ours.bisect_all(space, values, launch)),
        milliseconds(lambda: ours.eigenvalues_on_device(some, sizes, launch)),
    ]
    return [1e3 * one / batch for one in times]


def time_kernels(n: int, dtype: torch.dtype, launch: Launch) -> str:
    """Microseconds per matrix in each kernel of one call, according to the profiler."""
    some = grams(n, BATCHES[n], dtype)
    sizes = torch.full((len(some),), n, device="cuda")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        ours.eigenvalues_on_device(some, sizes, launch)
        torch.cuda.synchronize()
    kernels = sorted(profile.key_averages(), key=lambda one: -one.device_time_total)[:5]
    return ", ".join(f"{one.key[:20]} {one.device_time_total / len(some):.1f}" for one in kernels)


def time_others(n: int, dtype: torch.dtype) -> tuple[float, float]:
    """Microseconds per matrix with cuSOLVER through torch, and with LAPACK on one thread per core."""
    some = grams(n, 64 if n < 1024 else 16, dtype)
    few = some[: 8 if n < 1024 else 2]
    device = 1e3 * milliseconds(lambda: torch.linalg.eigvalsh(few), repeats=3) / len(few)
    pinned = some.cpu().pin_memory()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(torch.linalg.eigvalsh, pinned[:1]))
        start = time.perf_counter()
        list(pool.map(torch.linalg.eigvalsh, pinned))
        host = 1e6 * (time.perf_counter() - start) / len(some)
    return device, host


def attempt(label: str, work: Callable[[], str]) -> None:
    """Prints the line that the function returns, or its error."""
    try:
        print(f"{label:<56}{work()}", flush=True)
    except Exception as error:  # noqa: BLE001 - the rest of the table is wanted
        print(f"{label:<56}FAILED {type(error).__name__}: {str(error)[:200]}", flush=True)


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def layout(launch: Launch) -> str:
    spread = launch.spread
    band = f"{launch.tile}/{launch.band_warps}w/{launch.band_registers}"
    if spread:
        band = f"{spread.rows}x{spread.columns}/{spread.warps}w/{spread.registers}"
    return f"{band} {launch.chase_warps}w/{launch.chase_registers}/{launch.chase_group} {launch.bisection_block}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only the layouts in use")
    parser.add_argument("--large", action="store_true", help="only large matrices, without LAPACK and cuSOLVER")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = jobs(options.quick, options.large)
    start = time.perf_counter()
    with ProcessPoolExecutor(min(12, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        failures = [one for one in pool.map(compile_one, wanted) if one]
    print(*failures, sep="\n")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {os.cpu_count()} cores; ", end="")
    print(f"{len(wanted)} layouts compiled in {time.perf_counter() - start:.0f} s")
    print("Microseconds per matrix: band, chase, bisect, whole call; largest error in eps of the largest eigenvalue")
    for n, dtype, launch in wanted:
        attempt(
            f"  {n:>5} {short(dtype)} x{BATCHES[n]:<5} {layout(launch)}",
            lambda n=n, dtype=dtype, launch=launch: (
                " ".join(f"{one:9.2f}" for one in time_stages(n, dtype, launch))
                + f"{error_in_eps(n, dtype, launch):8.1f}"
            ),
        )
        torch.cuda.empty_cache()
    print("Microseconds per matrix in each kernel:")
    for n, dtype, launch in wanted:
        if launch.spread:
            attempt(
                f"  {n:>5} {short(dtype)} x{BATCHES[n]:<5} {layout(launch)}",
                lambda n=n, dtype=dtype, launch=launch: time_kernels(n, dtype, launch),
            )
    if options.large:
        return
    print("Microseconds per matrix: cuSOLVER through torch, LAPACK on all cores")
    for n in SIZES[1:]:
        attempt(
            f"  {n:>5} float64",
            lambda n=n: " ".join(f"{one:9.1f}" for one in time_others(n, torch.float64)),
        )


if __name__ == "__main__":
    main()
