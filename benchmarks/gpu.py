"""The cost of the metrics relative to the forward pass on an accelerator: time, synchronisations, memory.

Models have published shapes, random weights and random token ids, because time does not depend on them. The lengths of
the texts can be given.

    python benchmarks/gpu.py                        # all parts
    python benchmarks/gpu.py --lengths lengths.txt  # lengths of real texts, one per line
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from rankscope.measuring.layers import Layers
from rankscope.measuring.planned import Plan, PlannedText
from rankscope.measuring.texts import TextTask, measure_batches
from rankscope.metrics import Representations, metric_names
from rankscope.metrics.decomposition import Decompositions
from rankscope.models import Batch
from rankscope.models.transformers_backend import TransformersNetwork

TOKENS_AT_ONCE = 16384
SHAPES = {768: 12, 2048: 24, 4096: 32, 8192: 80}  # hidden size: number of layers in models of that size


def synchronized(function: Callable[[], object]) -> float:
    """Seconds until the device has finished."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def median(function: Callable[[], object], repeats: int = 5) -> float:
    function()
    return statistics.median(synchronized(function) for _ in range(repeats))


def opt_1b3() -> TransformersNetwork:
    """A network with the shape of OPT-1.3B and random weights in bfloat16, created on the device."""
    config = transformers.OPTConfig(
        hidden_size=2048, ffn_dim=8192, num_hidden_layers=24, num_attention_heads=32, word_embed_proj_dim=2048
    )
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = transformers.OPTForCausalLM(config).to(torch.bfloat16).eval()
    return TransformersNetwork.of(model)


def plan_of(lengths: list[int], vocabulary: int) -> Plan:
    """Batches of random token ids, the longest texts first."""
    generator = torch.Generator().manual_seed(0)
    batches: list[list[PlannedText]] = []
    for index, length in enumerate(sorted(lengths, reverse=True)):
        text = PlannedText(index, str(index), tuple(torch.randint(vocabulary, (length,), generator=generator).tolist()))
        if batches and len(batches[-1][0].tokens) * (len(batches[-1]) + 1) <= TOKENS_AT_ONCE:
            batches[-1].append(text)
        else:
            batches.append([text])
    return Plan.of(batches)


def bare(network: TransformersNetwork, plan: Plan, layers: tuple[str, ...]) -> None:
    """Only the forward passes, including the loss; results stay on the device."""
    for batch in filter(None, plan.batches):
        network.run(Batch.of([list(text.tokens) for text in batch]), layers, lambda *_: None, loss=True)


def measured(network: TransformersNetwork, plan: Plan, layers: tuple[str, ...], metrics: tuple[str, ...]) -> int:
    task = TextTask("model", "texts", layers=Layers(layers), metrics=metrics)
    return sum(len(rows) for _, rows in measure_batches(task, plan, network))


def synchronizations(function: Callable[[], object]) -> int:
    """How often the host waited for the device, according to CUDA's sync debug mode."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            function()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in seen)


def whole_runs(lengths: list[int]) -> None:
    network = opt_1b3()
    every = ("0", *(str(depth) for depth in range(1, 24)), "last")
    plan = plan_of(lengths, 50000)
    default = metric_names(default_only=True)
    few = Plan.of(plan.batches[:2])
    for layers in (("last",), every):
        measured(network, few, layers, default)
    tokens = sum(lengths)
    print(f"\nOPT-1.3B's shape, bfloat16, {len(lengths):,} texts, {tokens:,} tokens, {len(plan.batches)} batches")
    torch.cuda.reset_peak_memory_stats()
    bare(network, plan, ("last",))  # warm-up: attention kernels are chosen for each new shape
    times = {"forward passes alone": synchronized(lambda: bare(network, plan, ("last",)))}
    print(f"  peak memory, forward passes alone  {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    for name, layers, metrics in (
        ("Matrix Nuclear-Norm and loss, last layer", ("last",), ("matrix_nuclear_norm", "loss")),
        ("all metrics, last layer", ("last",), default),
        ("all metrics, all 25 layers", every, default),
    ):
        torch.cuda.reset_peak_memory_stats()
        times[name] = synchronized(lambda layers=layers, metrics=metrics: measured(network, plan, layers, metrics))
        print(f"  peak memory, {name}  {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    for name, seconds in times.items():
        share = seconds / times["forward passes alone"] - 1
        print(f"  {name:45} {seconds:7.2f} s  {tokens / seconds:9,.0f} tokens/s  +{100 * share:.1f} %")
    for name, layers in (("last", ("last",)), ("all", every)):
        bare_syncs = synchronizations(lambda layers=layers: bare(network, few, layers))
        syncs = synchronizations(lambda layers=layers: measured(network, few, layers, default))
        print(f"  synchronisations per batch, {name}: {syncs / 2:.1f}, in the forward pass {bare_syncs / 2:.1f}")
    texts = [batch[0] for batch in plan.batches[:: max(1, len(plan.batches) // 6)]]
    published = synchronized(lambda: [published_way(network, text) for text in texts]) / len(texts)
    print(
        f"  the released script's way on {len(texts)} texts: {published:.3f} s per text, "
        f"{published * len(lengths):,.0f} s for all"
    )


def published_way(network: TransformersNetwork, text: PlannedText) -> float:
    """Matrix entropy as in the released script: centre, unit rows, d x d covariance in float32, SVD with vectors."""
    kept: list[torch.Tensor] = []
    network.run(Batch.of([list(text.tokens)]), ("last",), lambda _, states: kept.extend(states), loss=False)
    hidden = kept[0].float()
    rows = torch.nn.functional.normalize(hidden - hidden.mean(dim=0), dim=1)
    covariance = rows.T @ rows / len(rows)
    _, values, _ = torch.linalg.svd(covariance / covariance.trace())
    return float(-(values * values.log()).nansum())


def shares() -> None:
    """Compares metrics of one layer with one block of a Llama-like model, by number of tokens and hidden size."""
    print("\nmetrics of one layer over one block's forward pass (and, over a whole model, of the last layer alone)")
    print(f"{'d':>6} {'N':>6} {'texts':>6} {'block ms':>9} {'metrics ms':>11} {'all layers':>11} {'last layer':>11}")
    for size, depth in SHAPES.items():
        config = transformers.LlamaConfig(
            hidden_size=size, intermediate_size=size * 11 // 4, num_hidden_layers=2, num_attention_heads=size // 128,
            num_key_value_heads=max(1, size // 512), vocab_size=1000, max_position_embeddings=4096,
        )  # fmt: skip
        with torch.device("cuda"):
            model = transformers.LlamaModel(config).to(torch.bfloat16).eval()
        for tokens in (64, 256, 512, 1024, 2048):
            texts = TOKENS_AT_ONCE // tokens
            ids = torch.randint(1000, (texts, tokens), device="cuda")
            with torch.no_grad():
                block = median(lambda ids=ids, model=model: model(input_ids=ids, use_cache=False)) / 2
            states = list(torch.randn(texts, tokens, size, device="cuda", dtype=torch.bfloat16))
            try:
                metrics = median(lambda states=states: one_layer(states))
            except torch.OutOfMemoryError:
                print(f"{size:6} {tokens:6} {texts:6} {block * 1e3:9.2f}   out of memory")
                continue
            print(
                f"{size:6} {tokens:6} {texts:6} {block * 1e3:9.2f} {metrics * 1e3:11.2f} "
                f"{100 * metrics / block:9.0f} % {100 * metrics / block / depth:9.1f} %"
            )
        del model


def one_layer(states: list[torch.Tensor]) -> torch.Tensor:
    """Decomposes the texts of one layer; the eigenvalues stay on the device."""
    found = Representations(states, computed_in=torch.bfloat16)
    waiting = Decompositions()
    found.decompose(waiting)
    waiting.run()
    return found.parts[0].spectrum.positive


def profile() -> None:
    """Prints the kernels in which the metrics of one layer spend their time."""
    states = list(torch.randn(64, 256, 2048, device="cuda", dtype=torch.bfloat16))
    one_layer(states)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        one_layer(states)
        torch.cuda.synchronize()
    print("\nkernels of one layer, 64 texts of 256 tokens, d = 2,048, in microseconds")
    for event in sorted(seen.key_averages(), key=lambda event: -event.self_device_time_total)[:16]:
        print(f"  {event.self_device_time_total:9.0f} {event.count:4} {event.key[:110]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=Path, help="file with the token counts of texts, one per line")
    parser.add_argument("--part", choices=["runs", "shares", "profile"], help="run only this part")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("not measured: no CUDA device")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {transformers.__version__}")
    if options.lengths is None:
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(32, 512, (512,), generator=generator).tolist()
    else:
        lengths = [int(line) for line in options.lengths.read_text(encoding="utf-8").split()]
    if options.part in (None, "runs"):
        whole_runs(lengths)
    if options.part in (None, "shares"):
        shares()
    if options.part in (None, "profile"):
        profile()


if __name__ == "__main__":
    main()
