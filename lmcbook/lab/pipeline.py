"""The whole story of one measurement, in order: train, align, merge, calibrate, measure, record."""

import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmcbook.data import Splits, in_memory, load
from lmcbook.errors import InputError
from lmcbook.evaluation import (
    barriers,
    calibration_study,
    coefficients_grid,
    ensemble_logits,
    interpolation_curve,
    lewc_exponent,
    predict_logits,
    temperature_sweep,
)
from lmcbook.evaluation.flatness import flatness_study
from lmcbook.lab import paths
from lmcbook.lab.config import PairConfig
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.provenance import provenance
from lmcbook.lab.records import Record, RecordIndex, check_writable, write_record
from lmcbook.lab.store import Run, ensure_many
from lmcbook.layerwise import MEASURED_COEFFICIENTS, measure_layers
from lmcbook.matching import Matching, activation_matching, observe_layers, weight_matching
from lmcbook.merging import merge
from lmcbook.models import LayeredModel, build_model, permutation_spec, trace_bytes
from lmcbook.permutation import apply, check_function_preserved, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from lmcbook.training import TrainingsDiverged, arithmetic, uses_tf32
from lmcbook.training.config import TrainingConfig, trains_together


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


_CHECKED_WIDTH = 0.125


@lru_cache(maxsize=64)
def _check_table(training: TrainingConfig, input_shape: tuple[int, int, int], num_classes: int) -> None:
    """Try the table of an architecture's symmetry on a narrow network, in float64.

    Width does not come into the table; there the check is cheap and rounding, which 50 layers of batch norm or TF32
    would blow up, cannot be taken for a fault.
    """
    narrow = replace(training, width_multiplier=min(training.width_multiplier, _CHECKED_WIDTH))
    model = build_model(narrow, input_shape=input_shape, num_classes=num_classes).double()
    images = torch.randn(16, *input_shape, generator=random_stream(0, "check images"), dtype=torch.float64)
    check_function_preserved(model, permutation_spec(model), model.state_dict(), images, random_stream(0, "check"))


def align(
    pair: PairConfig, model: LayeredModel, run_a: Run, run_b: Run, splits: Splits, *, progress: bool
) -> tuple[StateDict, StateDict, dict[str, Any], float]:
    """Both models' states on the data's device, b's after the alignment of ``pair``.

    Also what is to be told of the alignment in the record, and how many CPU seconds the search for it took.
    """
    device = splits.test.images.device
    state_a, state_b = ({name: tensor.to(device) for name, tensor in run.state.items()} for run in (run_a, run_b))
    if pair.alignment == "identity":
        return state_a, state_b, {}, 0.0
    spec = permutation_spec(model)
    if pair.alignment == "random":
        generator = random_stream(pair.seeds[1], "permutation", pair.seeds[0])
        return state_a, apply(spec, random_permutation(spec, state_b, generator), state_b), {}, 0.0
    _check_table(replace(pair.training, seed=0), splits.input_shape, splits.num_classes)
    networks = (run_a.weights_sha256, run_b.weights_sha256, str(device))
    search = (pair.alignment, pair.seeds[0], pair.matching_examples)
    if networks not in _searched:
        _searched.clear()
        _searched[networks] = {}
    if search not in _searched[networks]:
        started = time.process_time()
        if pair.alignment == "weight_matching":
            matching = weight_matching(spec, state_a, state_b, model=None, seed=pair.seeds[0], progress=progress)
        else:
            images = in_memory(batch_norm_sample(splits, pair.matching_examples))
            matching = activation_matching(
                spec, state_a, state_b, observe=observe_layers(model), images=images, model=None, progress=progress
            )
        _searched[networks][search] = matching, time.process_time() - started
    matching, seconds = _searched[networks][search]
    told = {name: getattr(matching, name) for name in ("objective", "l2_distance", "identity_objective", "sweeps")}
    return state_a, apply(spec, matching.permutation, state_b), told, seconds


# A pair is measured in several ways, one after the other, and a search in wide networks takes a processor many minutes.
_searched: dict[tuple[str, ...], dict[tuple[str, int, int], tuple[Matching, float]]] = {}


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
            "ensemble": temperature_sweep(ensemble, labels, curve.ensemble.inverse_temperature[middle]),
        }
    }


# 500 images at once of all but the widest networks, on any device. A layer of five networks is held at a time, which is
# less than three networks' layers.
_MOST_BYTES_OF_TRACES = 32 * 1024**3


def measure_layerwise(
    pair: PairConfig, model: LayeredModel, state_a: StateDict, state_b: StateDict, splits: Splits
) -> dict[str, Any]:
    """LEWC, its conditions, active units and ranks of every layer, on the test images."""
    images = batch_norm_sample(splits, pair.batch_norm_examples)
    merged_states = {
        coefficient: merge(model, state_a, state_b, coefficient, images) for coefficient in MEASURED_COEFFICIENTS
    }
    fitting = _MOST_BYTES_OF_TRACES // (3 * trace_bytes(model, splits.input_shape))
    return {
        "layers": measure_layers(
            model, state_a, state_b, merged_states, splits.test.images, batch_size=min(500, max(1, fitting))
        )
    }


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


def measure_flatness(
    pair: PairConfig, model: LayeredModel, state_a: StateDict, state_b: StateDict, splits: Splits
) -> dict[str, Any]:
    """Losses and accuracies along the line of the pair, along random directions and towards untrained networks."""

    def untrained(index: int) -> StateDict:
        generator = random_stream(pair.seeds[0], "untrained", index)
        fresh = build_model(
            pair.training, input_shape=splits.input_shape, num_classes=splits.num_classes, generator=generator
        )
        return {name: tensor.to(splits.test.images.device) for name, tensor in fresh.state_dict().items()}

    directions = range(pair.num_directions)
    return flatness_study(
        model,
        state_a,
        state_b,
        [untrained(index) for index in directions],
        distances=coefficients_grid(pair.num_coefficients),
        generators=[random_stream(pair.seeds[0], "direction", index) for index in directions],
        calibration=splits.calibration,
        test=splits.test,
        batch_norm_images=batch_norm_sample(splits, pair.batch_norm_examples),
    )


_MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "interpolation": measure_interpolation,
    "layerwise": measure_layerwise,
    "calibration": measure_calibration,
    "flatness": measure_flatness,
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
        TrainingsDiverged: there is no such network, for the loss of its training is not finite.
    """
    device = resolve_device(device)
    pair = planned.pair
    splits = _load_data(pair.training.dataset, device)
    run_a, run_b = ensure_many(
        (pair.training_a, pair.training_b),
        device=device,
        require_cached=require_cached,
        progress=progress,
        splits=splits,
        deadline=deadline,
    )
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)  # what the record tells is its own peak
    started = time.monotonic()
    # of the network itself only the structure is used: its tensors are the pair's
    model = build_model(pair.training, input_shape=splits.input_shape, num_classes=splits.num_classes, device="meta")
    with arithmetic(pair.training.precision, device):
        state_a, state_b, alignment, searching = align(pair, model, run_a, run_b, splits, progress=progress)
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
        lewc_exponent=lewc_exponent(model),
        data={**data, "alignment": alignment},
        provenance={
            **provenance(device),
            "precision": pair.training.precision,
            "tf32": uses_tf32(pair.training.precision, device),
            "seconds": time.monotonic() - started,
            "alignment_cpu_seconds": searching,
            "training": [_training_summary(run) for run in (run_a, run_b)],
        },
    )


def _training_summary(run: Run) -> dict[str, Any]:
    origin = run.manifest["provenance"]
    return {
        "seconds": run.manifest["seconds"],
        "final_loss": run.manifest["history"]["loss"][-1],
        "final_accuracy": run.manifest["history"]["accuracy"][-1],
        "execution": run.manifest.get("execution", {}),
        **{
            name: origin[name]
            for name in ("device", "gpu", "processor", "threads", "commit", "date", "peak_memory_bytes")
        },
    }


def release_memory() -> None:
    """Give back what failed work still holds: its tensors refer to each other, and so outlive it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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

    Each record is written as soon as it is measured, so nothing is lost when the process dies. Narrow networks are all
    trained before the first measurement, for they are trained together.

    Raises:
        InputError: before any training, where ``folder`` cannot be written or the device is not there.
        TrainingsDiverged: some losses are not finite; all other pairs were measured before it is raised.
    """
    folder = paths.fresh_records() if folder is None else folder
    check_writable(folder)
    device = resolve_device(device)
    options: dict[str, Any] = {
        "device": device,
        "require_cached": require_cached,
        "progress": progress,
        "deadline": deadline,
    }
    index = RecordIndex(folder)
    found = [(one, index.find(one.pair)) for one in planned]
    diverged = train_narrow([one for one, record in found if record is None], **options)
    records = []
    for one, record in found:
        if record is None and diverged.keys().isdisjoint({one.pair.training_a, one.pair.training_b}):
            try:
                record = measure(one, **options)
            except TrainingsDiverged as error:
                diverged |= error.messages
                continue
            write_record(record, folder)
        if record is not None:
            records.append(record)
    if diverged:
        raise TrainingsDiverged(diverged)
    return records


def train_narrow(
    planned: Iterable[PlannedPair],
    *,
    device: str = "cpu",
    require_cached: bool = False,
    progress: bool = True,
    deadline: float | None = None,
) -> dict[TrainingConfig, str]:
    """Train all networks of ``planned`` that train together, at once; returns those that diverged, and what is said.

    Networks that are trained one by one are left for the moment at which they are measured.

    Raises:
        InputError: as `measure`.
        TimeIsUp: the deadline came during the trainings, whose checkpoints are kept.
    """
    device = resolve_device(device)
    by_dataset: dict[str, list[TrainingConfig]] = {}
    for one in planned:
        if trains_together(one.pair.training):
            by_dataset.setdefault(one.pair.training.dataset, []).extend((one.pair.training_a, one.pair.training_b))
    diverged: dict[TrainingConfig, str] = {}
    for dataset, configs in by_dataset.items():
        splits = _load_data(dataset, device)
        try:
            ensure_many(
                configs,
                device=device,
                require_cached=require_cached,
                progress=progress,
                splits=splits,
                deadline=deadline,
            )
        except TrainingsDiverged as error:
            diverged |= error.messages
    return diverged
