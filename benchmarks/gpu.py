"""How fast this card trains each network: images/s, TFLOP/s, share of its own ceilings, memory; rates for the plan.

    python benchmarks/gpu.py                       # every network and width of the paper's scale, some minutes
    python benchmarks/gpu.py --recipe resnet20-cifar10 --width 1 --variant eager graphs compiled
    python benchmarks/gpu.py --device cpu --quick  # a minute on a CPU: does it run?

The ceilings are measured here: a product of two 8192×8192 bfloat16 matrices of random numbers, and a copy within the
card's memory, bytes read and written both counted. Then the very steps of `lmcbook.training` are timed, batches and
augmentation included, on noise images of each dataset's shape. Operations are those that torch's counter finds in the
forward and backward pass. For the MLP, whose update rivals its products, the roofline is the time of both at their
ceilings, one after the other: operations, and 24 bytes a weight (the backward pass writes the gradient, the update
reads weight, gradient and momentum and writes weight and momentum). What does not fit into memory is said in one line.

With ``--write`` the rates go into benchmarks/results/gpu.json, where `python -m lmcbook plan` finds them. Marks, on a
GPU: half of the ceiling at the two widest of each convolutional network, 70 % of its roofline for MLP ×16; it exits
with 1 where one is missed.
"""

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lmcbook.data import Dataset, Split, Splits, describe
from lmcbook.errors import one_line
from lmcbook.evaluation import predict_logits
from lmcbook.lab import plan
from lmcbook.lab.plan.planned import paper_precision
from lmcbook.lab.provenance import provenance
from lmcbook.models import LayeredModel, build_model, forward_flops, num_parameters
from lmcbook.training import DoesNotFit, arithmetic
from lmcbook.training.batches import training_batches
from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution
from lmcbook.training.loop import prepare_step
from lmcbook.training.memory import memory_explained
from lmcbook.training.step import check_micro_batch
from lmcbook.training.team import SingleProcess

OUT = Path(__file__).resolve().parent / "results" / "gpu.json"
RECIPES = ("mlp-mnist", "resnet20-cifar10", "vgg11-cifar10")
UPDATE_BYTES = 24
CONVOLUTIONAL_MARK, MLP_MARK = 0.5, 0.7
VARIANTS = {
    "eager": Execution(),
    "graphs": Execution(graphs=True),
    "compiled": Execution(compiled=True),
    "compiled+graphs": Execution(compiled=True, graphs=True),
    "half": Execution(half_weights=True),
    "half+graphs": Execution(half_weights=True, graphs=True),
    "recompute": Execution(recompute=True),
}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], Any], device: torch.device, *, least: float, quick: bool) -> float:
    """Median time of one call over several groups of calls, each of them ``least`` seconds long or one call."""
    work()
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    calls = max(1, math.ceil(least / max(time.perf_counter() - started, 1e-6)))
    groups = []
    for _ in range(1 if quick else 5):
        started = time.perf_counter()
        for _ in range(calls):
            work()
        wait(device)
        groups.append((time.perf_counter() - started) / calls)
    return statistics.median(groups)


def ceilings(device: torch.device, *, quick: bool) -> tuple[float, float]:
    """Operations and bytes a second: a bfloat16 matrix product, and a copy in memory."""
    size, numbers = (512, 2**22) if quick else (8192, 2**31)
    a, b = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    product = seconds_of(lambda: a @ b, device, least=0.02 if quick else 0.3, quick=quick)
    source = torch.rand(numbers, device=device)
    target = torch.empty_like(source)
    copy = seconds_of(lambda: target.copy_(source), device, least=0.02 if quick else 0.3, quick=quick)
    return 2 * size**3 / product, 2 * source.nbytes / copy


def noise(facts: Dataset, examples: int, device: torch.device) -> Splits:
    generator = torch.Generator(device).manual_seed(0)
    split = Split(
        images=torch.randn(examples, *facts.input_shape, generator=generator, device=device),
        labels=torch.randint(facts.num_classes, (examples,), generator=generator, device=device),
    )
    channels = facts.input_shape[0]
    return Splits(
        name=facts.name,
        train=split,
        calibration=split,
        test=split,
        num_classes=facts.num_classes,
        class_names=facts.class_names,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        sha256="",
    )


def network(config: TrainingConfig, facts: Dataset, device: torch.device) -> LayeredModel:
    """The network with weights of the usual size, drawn on its device: billions of numbers take a CPU half a minute."""
    model = build_model(config, input_shape=facts.input_shape, num_classes=facts.num_classes, device="meta")
    model.to_empty(device=device)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return model


def train_row(
    config: TrainingConfig, execution: Execution, device: torch.device, *, quick: bool
) -> dict[str, float | int | None]:
    """Time and memory of a training step, and its operations."""
    facts = describe(config.dataset)
    splits = noise(facts, 2 * config.batch_size if quick else 5_000, device)
    model = network(config, facts, device)
    check_micro_batch(model, config, execution)
    operations = 3 * config.batch_size * forward_flops(model, facts.input_shape)
    with memory_explained(config, model, execution, device, alone=True):
        # counted where nothing is recorded or compiled, and on a few images: they all cost the same
        counted = counted_operations(config, model, splits, device) * config.batch_size
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        step = prepare_step(config, model, SingleProcess(config), execution, device)
        batches = training_batches(config, splits, device=device)

        def one() -> None:
            images, labels, _ = next(batches)
            step(images, labels, 1e-4)

        for _ in range(1 if quick else 5):
            one()
        seconds = seconds_of(one, device, least=0.01 if quick else 0.5, quick=quick)
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {
        "step_operations": operations,
        "counted_operations": counted,
        "step_seconds": seconds,
        "weights": num_parameters(model),
        "peak_memory_bytes": peak,
    }


def counted_operations(config: TrainingConfig, model: LayeredModel, splits: Splits, device: torch.device) -> float:
    """Of the forward and backward pass of one image, by torch's counter."""
    few = 4
    with FlopCounterMode(display=False) as counter:
        model(splits.train.images[:few]).logsumexp(dim=1).sum().backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() / few


def measure_row(config: TrainingConfig, device: torch.device, *, quick: bool) -> dict[str, float | int | None]:
    """Time of one image in a measurement: forward pass, weights in float32."""
    facts = describe(config.dataset)
    model = network(config, facts, device)
    state = dict(model.state_dict())
    batch = 8 if quick else 1_000
    images = noise(facts, batch, device).test.images
    with memory_explained(config, model, Execution(), device, alone=True):
        seconds = seconds_of(
            lambda: predict_logits(model, state, images, batch_size=batch),
            device,
            least=0.01 if quick else 0.3,
            quick=quick,
        )
    return {"forward_operations": forward_flops(model, facts.input_shape), "forward_seconds": seconds / batch}


def row_of(
    name: str, width: float, variant: str, device: torch.device, options: argparse.Namespace
) -> dict[str, Any] | None:
    chosen = plan.recipe(name)
    config = replace(chosen.training, width_multiplier=width, epochs=1_000_000)
    usual = paper_precision(config) if device.type == "cuda" else "float32"
    config = replace(config, precision=options.precision or usual)
    if options.quick:
        config = replace(config, batch_size=8)
    row: dict[str, Any] = {
        **{"recipe": name, "architecture": config.architecture, "width_multiplier": width, "variant": variant},
        **{"precision": config.precision, "batch_size": config.batch_size},
    }
    try:
        with arithmetic(config.precision, device):
            row |= train_row(config, VARIANTS[variant], device, quick=options.quick)
            free(device)
            if variant == "eager":
                row |= measure_row(config, device, quick=options.quick)
    except DoesNotFit as problem:
        print(f"{name} ×{width:g} {variant}: {problem}")
        return None
    except Exception as problem:  # a compiler's or a kernel's, of any kind: the other rows must not be lost with it
        print(f"{name} ×{width:g} {variant}: FAILED, {one_line(problem, kind=True, first_line=True)}")
        return None
    finally:
        free(device)
    return row


def free(device: torch.device) -> None:
    if "torch._dynamo" in sys.modules:  # which takes seconds to load, and has nothing to forget where it is not
        torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def report(row: dict[str, Any], operations_a_second: float, bytes_a_second: float) -> dict[str, Any]:
    """Print the row; the row with its shares of the ceilings."""
    seconds = row["step_seconds"]
    products = row["counted_operations"] / operations_a_second
    update = UPDATE_BYTES * row["weights"] / bytes_a_second
    row = {**row, "share_of_ceiling": products / seconds, "share_of_roofline": (products + update) / seconds}
    peak = "" if row["peak_memory_bytes"] is None else f"{row['peak_memory_bytes'] / 2**30:7.1f} GiB"
    measuring = "" if "forward_seconds" not in row else f"{1 / row['forward_seconds']:12,.0f} measured/s"
    roofline = ""
    if row["architecture"] == "mlp":
        roofline = (
            f"  roofline {1e3 * (products + update):.3f} ms (products {1e3 * products:.3f}, update {1e3 * update:.3f}):"
            f" {row['share_of_roofline']:.0%}"
        )
    print(
        f"{row['recipe'] + ' ×' + format(row['width_multiplier'], 'g'):<24}{row['variant']:<16}{row['precision']:<9}"
        f"{1e3 * seconds:10.2f} ms{row['batch_size'] / seconds:12,.0f} images/s"
        f"{row['counted_operations'] / seconds / 1e12:10.3g} TFLOP/s {row['share_of_ceiling']:5.0%}"
        f"{peak}{measuring}{roofline}",
        flush=True,
    )
    return row


def marks(rows: list[dict[str, Any]]) -> int:
    """Print whether the marks are kept by the best variant; the process's exit code."""
    broken = 0
    for name in {row["recipe"] for row in rows}:
        best: dict[float, float] = {}
        is_mlp = name.startswith("mlp")
        for row in rows:
            if row["recipe"] == name:
                share = row["share_of_roofline" if is_mlp else "share_of_ceiling"]
                best[row["width_multiplier"]] = max(share, best.get(row["width_multiplier"], 0.0))
        wanted = plan.recipe(name).width_multipliers[-1 if is_mlp else -2 :]
        for width in wanted:
            if width in best:
                mark, of = (MLP_MARK, "roofline") if is_mlp else (CONVOLUTIONAL_MARK, "ceiling")
                kept = best[width] >= mark
                broken |= not kept
                print(
                    f"{name} ×{width:g}: {best[width]:.0%} of the {of}, mark {mark:.0%}: {'kept' if kept else 'MISSED'}"
                )
    return int(broken)


def write(path: Path, card: dict[str, Any]) -> None:
    """Put the card into the file of rates, in place of what was known of it."""
    known = json.loads(path.read_text())["cards"] if path.is_file() else []
    cards = [card, *(one for one in known if one["gpu"] != card["gpu"])]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cards": cards}, indent=1, sort_keys=True) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="the narrowest widths and tiny batches: does it run?")
    parser.add_argument("--recipe", action="append", help="NETWORK-DATASET (may be given several times)")
    parser.add_argument("--width", type=float, action="append", help="width multiplier (default: the recipe's)")
    parser.add_argument("--variant", nargs="+", default=["eager"], choices=[*VARIANTS, "all"])
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), help="default: the paper scale's, on a CPU float32"
    )
    parser.add_argument("--max-minutes", type=float, help="begin with no further network after this many minutes")
    parser.add_argument("--write", nargs="?", type=Path, const=OUT, help=f"file of rates (default: {OUT.name})")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU here, so nothing is measured; --device cpu --quick tries the benchmark itself")
        return 0
    started = time.monotonic()
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    operations_a_second, bytes_a_second = ceilings(device, quick=options.quick)
    free(device)
    print(
        f"{gpu or provenance()['processor']}: {operations_a_second / 1e12:.3g} TFLOP/s in a bfloat16 product, "
        f"{bytes_a_second / 1e12:.3g} TB/s in a copy"
    )
    variants = list(VARIANTS) if "all" in options.variant else options.variant
    rows: list[dict[str, Any]] = []
    measured = {"operations_a_second": operations_a_second, "bytes_a_second": bytes_a_second}
    card = {"gpu": gpu, **measured, "provenance": provenance(options.device), "rows": rows}
    for name in options.recipe or RECIPES:
        for width in options.width or plan.recipe(name).width_multipliers[: 1 if options.quick else None]:
            for variant in variants:
                if options.max_minutes is not None and time.monotonic() - started > 60 * options.max_minutes:
                    print(f"{name} ×{width:g} {variant}: left out, the time is up")
                    continue
                row = row_of(name, width, variant, device, options)
                if row is not None:
                    rows.append(report(row, operations_a_second, bytes_a_second))
                    if options.write is not None:  # after each row: whoever stops it keeps what was measured
                        write(options.write, card)
    if options.write is not None:
        print(f"written: {options.write}")
    return 0 if options.quick or device.type == "cpu" else marks(rows)


if __name__ == "__main__":
    sys.exit(main())
