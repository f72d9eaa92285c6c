"""The whole story of one measurement, in order: train, align, merge, calibrate, measure, record."""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmcbook import paths
from lmcbook.config import PairConfig
from lmcbook.data import Splits, load
from lmcbook.errors import InputError
from lmcbook.evaluation import (
    barriers,
    calibration_study,
    coefficients_grid,
    ensemble_logits,
    interpolation_curve,
    predict_logits,
    temperature_sweep,
)
from lmcbook.layerwise import MEASURED_COEFFICIENTS, measure_layers
from lmcbook.matching import activation_matching, observe_layers, weight_matching
from lmcbook.merging import merge
from lmcbook.models import LayeredModel, build_model, permutation_spec
from lmcbook.permutation import StateDict, apply, random_permutation
from lmcbook.plan import PlannedPair
from lmcbook.provenance import provenance
from lmcbook.randomness import random_stream
from lmcbook.records import Record, check_writable, find_record, write_record
from lmcbook.store import Run, ensure


def resolve_device(device: str) -> str:
    """``auto`` is the GPU where there is one, else the CPU.

    Raises:
        InputError: the device is unknown or not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device is {device!r}; it may be one of: auto, cpu, cuda, cuda:0, cuda:1, …")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device is {device!r}, but torch sees no GPU here: give device cpu, or auto to take what there is"
        )
    return device


@lru_cache(maxsize=1)
def _load_data(name: str, device: str) -> Splits:
    return load(name, device=device)


def batch_norm_sample(splits: Splits, num_examples: int) -> Tensor:
    """The fixed sample of un-augmented training images that recomputes batch-norm statistics.

    Examples stand in the order of their hashes, so the first ones are a fair sample.
    """
    return splits.train.images[:num_examples]


def align(
    pair: PairConfig, model: LayeredModel, state_a: StateDict, state_b: StateDict, splits: Splits, *, progress: bool
) -> tuple[StateDict, dict[str, Any]]:
    """Model b's state after the alignment of ``pair``, and what is to be told of it in the record."""
    if pair.alignment == "identity":
        return state_b, {}
    spec = permutation_spec(model)
    if pair.alignment == "random":
        generator = random_stream(pair.seeds[1], "permutation", pair.seeds[0])
        return apply(spec, random_permutation(spec, state_b, generator), state_b), {}
    images = batch_norm_sample(splits, pair.matching_examples)
    if pair.alignment == "weight_matching":
        matching = weight_matching(
            spec, state_a, state_b, model=model, images=images[:4], seed=pair.seeds[0], progress=progress
        )
    else:
        matching = activation_matching(
            spec, state_a, state_b, observe=observe_layers(model), images=images, model=model, progress=progress
        )
    told = {name: getattr(matching, name) for name in ("objective", "l2_distance", "identity_objective", "sweeps")}
    return apply(spec, matching.permutation, state_b), told


def measure_interpolation(
    pair: PairConfig, model: LayeredModel, state_a: StateDict, state_b: StateDict, splits: Splits
) -> dict[str, Any]:
    """Losses, accuracies, inverse temperatures and barriers along the line between two states.

    Where model b stays as it is, also what the midpoint and the ensemble would be worth at other temperatures.
    """
    images = batch_norm_sample(splits, pair.batch_norm_examples)
    curve = interpolation_curve(
        model,
        state_a,
        state_b,
        coefficients=coefficients_grid(pair.num_coefficients),
        calibration=splits.calibration,
        test=splits.test,
        batch_norm_images=images,
    )
    data = {"curve": curve.to_dict(), "barriers": barriers(curve)}
    if pair.alignment != "identity":
        return data
    middle = curve.coefficients.index(0.5)
    merged = predict_logits(model, merge(model, state_a, state_b, 0.5, images), splits.test.images)
    logits_a, logits_b = (predict_logits(model, state, splits.test.images) for state in (state_a, state_b))
    ensemble = ensemble_logits(logits_a, logits_b, 0.5)
    labels = splits.test.labels
    return data | {
        "temperatures": {
            "merged": temperature_sweep(merged, labels, curve.inverse_temperature[middle]),
            "ensemble": temperature_sweep(ensemble, labels, curve.ensemble_inverse_temperature[middle]),
        }
    }


def measure_layerwise(
    pair: PairConfig, model: LayeredModel, state_a: StateDict, state_b: StateDict, splits: Splits
) -> dict[str, Any]:
    """LEWC, its conditions, active units and ranks of every layer, on the test images."""
    images = batch_norm_sample(splits, pair.batch_norm_examples)
    merged_states = {
        coefficient: merge(model, state_a, state_b, coefficient, images) for coefficient in MEASURED_COEFFICIENTS
    }
    return {"layers": measure_layers(model, state_a, state_b, merged_states, splits.test.images)}


def measure_calibration(
    pair: PairConfig, model: LayeredModel, state_a: StateDict, state_b: StateDict, splits: Splits
) -> dict[str, Any]:
    """Reliability, one inverse temperature for all λ, and few calibration examples."""
    return calibration_study(
        model,
        state_a,
        state_b,
        coefficients=coefficients_grid(pair.num_coefficients),
        calibration=splits.calibration,
        test=splits.test,
        generator=random_stream(pair.seeds[0], "calibration examples", pair.seeds[1]),
        batch_norm_images=batch_norm_sample(splits, pair.batch_norm_examples),
    )


_MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "interpolation": measure_interpolation,
    "layerwise": measure_layerwise,
    "calibration": measure_calibration,
}


def measure(
    planned: PlannedPair,
    *,
    device: str = "cpu",
    require_cached: bool = False,
    progress: bool = True,
    deadline: float | None = None,
) -> Record:
    """Do one measurement of the plan; its two networks are trained if the store does not hold them.

    Raises:
        InputError: bad device, missing data, or with ``require_cached`` a network that is not in the store.
        TimeIsUp: the deadline came during a training, whose checkpoint is kept.
    """
    device = resolve_device(device)
    pair = planned.pair
    splits = _load_data(pair.training.dataset, device)
    run_a, run_b = (
        ensure(
            config, device=device, require_cached=require_cached, progress=progress, splits=splits, deadline=deadline
        )
        for config in (pair.training_a, pair.training_b)
    )
    started = time.monotonic()
    model = build_model(pair.training, input_shape=splits.input_shape, num_classes=splits.num_classes).to(device)
    state_a, state_b = ({name: tensor.to(device) for name, tensor in run.state.items()} for run in (run_a, run_b))
    aligning = time.process_time()
    state_b, alignment = align(pair, model, state_a, state_b, splits, progress=progress)
    aligning = time.process_time() - aligning
    data = _MEASUREMENTS[pair.measurement](pair, model, state_a, state_b, splits)
    return Record(
        scale=planned.scale,
        recipe=planned.recipe,
        measurement=pair.measurement,
        config=pair,
        digest=pair.digest,
        dataset_sha256=splits.sha256,
        run_keys=(run_a.key, run_b.key),
        short=planned.short,
        data={**data, "alignment": alignment},
        provenance={
            **provenance(device),
            "precision": pair.training.precision,
            "seconds": time.monotonic() - started,
            "alignment_cpu_seconds": aligning,
            "training": [_training_summary(run) for run in (run_a, run_b)],
        },
    )


def _training_summary(run: Run) -> dict[str, Any]:
    origin = run.manifest["provenance"]
    return {
        "seconds": run.manifest["seconds"],
        "final_loss": run.manifest["history"]["loss"][-1],
        "final_accuracy": run.manifest["history"]["accuracy"][-1],
        **{
            name: origin[name]
            for name in ("device", "gpu", "processor", "threads", "commit", "date", "peak_memory_bytes")
        },
    }


def measure_missing(
    planned: Iterable[PlannedPair],
    *,
    folder: Path | None = None,
    device: str = "cpu",
    require_cached: bool = False,
    progress: bool = True,
    deadline: float | None = None,
) -> list[Record]:
    """The records of ``planned``, in its order: read from ``folder`` where they are there, else measured and written.

    Each record is written as soon as it is measured, so nothing is lost when the process dies.

    Raises:
        InputError: before any training, where ``folder`` cannot be written or the device is not there.
    """
    folder = paths.fresh_records() if folder is None else folder
    check_writable(folder)
    device = resolve_device(device)
    records = []
    for one in planned:
        record = find_record(one.pair.digest, folder)
        if record is None:
            record = measure(one, device=device, require_cached=require_cached, progress=progress, deadline=deadline)
            write_record(record, folder)
        records.append(record)
    return records
