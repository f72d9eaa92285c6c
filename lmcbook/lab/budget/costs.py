"""What trainings and measurements cost on a device: from rates measured there, else from operations alone."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from lmcbook.data import describe
from lmcbook.errors import InputError
from lmcbook.lab import paths
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import Record
from lmcbook.training.config import TrainingConfig
from lmcbook.training.schedule import num_used

# Where nothing was measured yet: operations a second in training and in measuring, and seconds that each step costs.
# CPU: one thread of a server core; GPU: a large card without tuning. Both are only orders of magnitude.
_UNMEASURED = {"cpu": (3e10, 3e10, 8e-4), "cuda": (1e14, 1e14, 1.5e-3)}

_DECODED_PER_SECOND = 1500.0
"""Images in files that are decoded in a second, on some ten cores: what a pass over them takes at least."""

_SWEEPS = 48
"""Sweeps of a weight matching, all starts and shakes together: 140 assignments for the three groups of trained MLPs."""

_ASSIGNMENT = 1e-7
"""Seconds that a processor takes to assign units to each other, by the square of their number.

Measured by `benchmarks/matching_cost.py`.
"""

Point = tuple[float, float]
"""Operations, and the seconds that they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Time on one device."""

    device: str
    gpu: str | None = None
    """Name of the card that `benchmarks/gpu.py` measured the rates on, if it did."""
    trained_on: tuple[str, ...] = ()
    """Names of what the trainings ran on that the rates were taken from, if they were taken from records."""
    steps: Mapping[tuple[str, str], Sequence[Point]] = field(default_factory=dict)
    """(architecture, precision) → (operations, seconds) of a training step, ascending."""
    forwards: Mapping[tuple[str, str], Sequence[Point]] = field(default_factory=dict)
    """(architecture, precision of the training) → (operations, seconds) of measuring a batch of images, ascending."""

    @property
    def kind(self) -> str:
        return "cuda" if self.device.startswith("cuda") else "cpu"

    def _measured(
        self, rates: Mapping[tuple[str, str], Sequence[Point]], config: TrainingConfig
    ) -> Sequence[Point] | None:
        # a GPU has units of their own for bfloat16; of a CPU few rates are known, and another arithmetic's tell more
        # than none, although a processor without such units is up to fifty times slower in bfloat16
        precisions = (config.precision,) if self.kind == "cuda" else (config.precision, "float32", "bfloat16")
        return next((rates[key] for each in precisions if (key := (config.architecture, each)) in rates), None)

    def step_seconds(self, config: TrainingConfig) -> float:
        """Time of one step: forward once, backward twice as much, and the update."""
        operations = 3.0 * config.batch_size * forward_operations(config)
        points = self._measured(self.steps, config)
        rate, _, overhead = _UNMEASURED[self.kind]
        return between(points, operations) if points else overhead + operations / rate

    def forward_seconds(self, config: TrainingConfig, images: float) -> float:
        """Time of the forward passes of this many images."""
        operations = float(forward_operations(config))
        points = self._measured(self.forwards, config)
        rate = _UNMEASURED[self.kind][1]
        seconds = images * (between(points, operations) if points else operations / rate)
        return max(seconds, images / _DECODED_PER_SECOND if describe(config.dataset).streamed else 0.0)


def costs_of(
    device: str, gpu: str | None = None, folder: Path | None = None, *, records: Sequence[Record] = ()
) -> Costs:
    """The costs on ``device``: by rates that `benchmarks/gpu.py` measured, if there are any, of the card ``gpu``.

    Without a name, or for a card that nobody measured, those of the first card that was: the plan says which. Where
    there are none, on a CPU for example, by the time that the trainings in ``records`` took on this kind of device.

    Raises:
        InputError: the file of rates cannot be read.
    """
    if not device.startswith("cuda"):
        return costs_from_records(device, records)
    path = paths.rates() if folder is None else folder / "gpu.json"
    if not path.is_file():
        return costs_from_records(device, records)
    try:
        cards = json.loads(path.read_text())["cards"]
        card = next((one for one in cards if one["gpu"] == gpu), cards[0])
        points: dict[str, dict[tuple[str, str], list[Point]]] = {"step": {}, "forward": {}}
        for row in card["rows"]:
            if row["variant"] != "eager":  # what nobody asked for by an environment variable
                continue
            for what, found in points.items():
                if row.get(f"{what}_seconds") is not None:
                    at = (float(row[f"{what}_operations"]), float(row[f"{what}_seconds"]))
                    found.setdefault((row["architecture"], row["precision"]), []).append(at)
        steps, forwards = ({key: sorted(each) for key, each in points[what].items()} for what in ("step", "forward"))
        return Costs(device=device, gpu=card["gpu"], steps=steps, forwards=forwards)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as rates ({error!r}): write it anew with `python benchmarks/gpu.py`"
        ) from error


def costs_from_records(device: str, records: Sequence[Record]) -> Costs:
    """Costs by the trainings in ``records`` that ran on this kind of device; without any, by operations alone.

    Of each network the fastest training counts: slower trainings had neighbours. Measuring is taken to run at its rate.
    """
    kind = device.split(":")[0]
    names = set()
    steps: dict[tuple[str, str], dict[float, float]] = {}
    forwards: dict[tuple[str, str], dict[float, float]] = {}
    for record in records:
        config = record.config.training
        for training in record.provenance.get("training", []):
            if str(training["device"]).split(":")[0] != kind:
                continue
            names.add(_name_of(training))
            count = config.epochs * (num_used(config, describe(config.dataset).num_train) // config.batch_size)
            operations, seconds = float(forward_operations(config)), training["seconds"] / count
            for points, at, each in (
                (steps, 3.0 * config.batch_size * operations, seconds),
                (forwards, operations, seconds / config.batch_size / 3.0),
            ):
                known = points.setdefault((config.architecture, config.precision), {})
                known[at] = min(each, known.get(at, math.inf))
    ascending = [{key: sorted(points.items()) for key, points in found.items()} for found in (steps, forwards)]
    return Costs(device=device, trained_on=tuple(sorted(names)), steps=ascending[0], forwards=ascending[1])


def _name_of(training: Mapping[str, Any]) -> str:
    threads = training["threads"]
    return str(training["gpu"] or f"{training['processor']} ({threads} thread{'s' if threads != 1 else ''})")


def between(points: Sequence[Point], operations: float) -> float:
    """Seconds of this many operations: on a straight line between measured points, both in logarithms.

    Below the smallest point a step takes as long as there (it waits for launches), above the largest its rate holds.
    """
    if operations <= points[0][0]:
        return points[0][1]
    for (low, fast), (high, slow) in pairwise(points):
        if operations <= high:
            share = math.log(operations / low) / math.log(high / low)
            return math.exp((1 - share) * math.log(fast) + share * math.log(slow))
    return points[-1][1] * operations / points[-1][0]


def forward_operations(config: TrainingConfig) -> int:
    """Floating-point operations of the forward pass of one example."""
    return _operations(_network_of(config))[0]


def matching_operations(config: TrainingConfig) -> int:
    """Operations of a weight matching: in every sweep the similarity of all units of each group with all others."""
    return _operations(_network_of(config))[1]


def assignment_seconds(config: TrainingConfig) -> float:
    """Time of the assignments of a weight matching, which a GPU does not do."""
    return _ASSIGNMENT * _SWEEPS * _operations(_network_of(config))[2]


def _network_of(config: TrainingConfig) -> TrainingConfig:
    """The part of a configuration that decides the network: thousands of trainings have some dozens of networks."""
    kept = ("dataset", "architecture", "width_multiplier", "hidden_width", "num_layers", "bias", "activation")
    return TrainingConfig(epochs=1, batch_size=1, learning_rate=1.0, **{name: getattr(config, name) for name in kept})


@lru_cache(maxsize=1024)
def _operations(config: TrainingConfig) -> tuple[int, int, int]:
    """Of the forward pass of one example, of a weight matching, and the sum of the squares of the groups' sizes."""
    from lmcbook.models import build_model, forward_flops, permutation_spec

    facts = describe(config.dataset)
    # VGG-11 ×16 has 2.4 billion weights: count with them without making them
    model = build_model(config, input_shape=facts.input_shape, num_classes=facts.num_classes, device="meta")
    spec, state = permutation_spec(model), model.state_dict()
    sizes = spec.groups(state)
    entries = {group: sum(state[name].numel() for name, _ in spec.members(group)) for group in sizes}
    matching = 2 * _SWEEPS * sum(size * entries[group] for group, size in sizes.items())
    return forward_flops(model, facts.input_shape), matching, sum(size**2 for size in sizes.values())


def estimated_training_seconds(config: TrainingConfig, costs: Costs) -> float:
    """Time of one training."""
    facts = describe(config.dataset)
    steps = config.epochs * (num_used(config, facts.num_train) // config.batch_size)
    decoding = config.epochs * facts.num_train / _DECODED_PER_SECOND if facts.streamed else 0.0
    return max(steps * costs.step_seconds(config), decoding)


def estimated_measuring_seconds(planned: PlannedPair, costs: Costs) -> float:
    """Time of one measurement: its forward passes, and the search for a permutation if it begins with one."""
    pair = planned.pair
    facts = describe(pair.training.dataset)
    batch_norm = min(pair.batch_norm_examples, facts.num_train) if pair.training.has_batch_norm else 0
    fitted = facts.num_test + facts.num_calibration
    passes = {
        "interpolation": pair.num_coefficients * (fitted + batch_norm) + 4 * facts.num_test,
        "calibration": pair.num_coefficients * (fitted + batch_norm),
        # each of the pair once, three merged networks, and products with the other one's activations
        "layerwise": 7 * facts.num_test + 3 * batch_norm,
        # two passes, and three products more of each network
        "common_mode": 8 * facts.num_test,
        # three merges of each network and one of the pair, without and with repair, and a few images layer by layer
        "self_merge": 14 * (fitted + batch_norm) + 7 * 7 * min(2000, facts.num_test),
        "flatness": 2 * (pair.num_directions + 1) * pair.num_coefficients * (fitted + batch_norm),
        # four networks at each coefficient
        "repair": 4 * pair.num_coefficients * (fitted + pair.repair_examples) + pair.num_coefficients * batch_norm,
        # the networks, seven averages of them, and what repairs see
        "controls": 9 * (fitted + batch_norm),
        "many": 9 * (len(pair.more_seeds) + 1) * (fitted + batch_norm),
        # of up to 16 times the units, a third of the placements: 256 times the operations
        "placement": 1000 * 9 * fitted,
    }[pair.measurement]
    seconds = 1.0 + costs.forward_seconds(pair.training, passes)
    if pair.alignment.endswith("matching"):
        seconds += matching_operations(pair.training) / _UNMEASURED[costs.kind][1] + assignment_seconds(pair.training)
    return seconds
