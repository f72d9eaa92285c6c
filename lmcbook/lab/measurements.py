"""What is measured of a pair of networks: functions of its session, each of which gives a record's data."""

from collections.abc import Callable
from typing import Any

from lmcbook.data import in_memory
from lmcbook.evaluation import (
    Midpoints,
    barriers,
    calibration_study,
    coefficients_grid,
    curve_along,
    ensemble_logits,
    repair_study,
    temperature_sweep,
)
from lmcbook.evaluation.flatness import flatness_study
from lmcbook.lab.config import PairConfig
from lmcbook.lab.control_measurements import (
    measure_controls,
    measure_many,
    measure_placement,
)
from lmcbook.lab.session import PairSession
from lmcbook.layerwise import MEASURED_COEFFICIENTS, measure_common_mode, measure_layers
from lmcbook.merging import merge
from lmcbook.models import build_model, permutation_spec, trace_bytes
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, has_batch_norm


def measure_interpolation(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """Losses, accuracies, inverse temperatures and barriers along the line between two states.

    Where model b is not permuted, also what the midpoint and the ensemble would be worth at other temperatures.
    """
    line = session.line(pair)
    curve = curve_along(line, coefficients=coefficients_grid(pair.num_coefficients))
    data = {"curve": curve.to_dict(), "barriers": barriers(curve)}
    if pair.alignment != "identity":
        return data
    middle = curve.coefficients.index(0.5)
    ensemble = ensemble_logits(line.trained[0].test, line.trained[1].test, 0.5)
    labels = line.test.labels
    return data | {
        "temperatures": {
            "merged": temperature_sweep(line.logits_of_weights(0.5).test, labels, curve.inverse_temperature[middle]),
            "ensemble": temperature_sweep(ensemble, labels, curve.ensemble.inverse_temperature[middle]),
        }
    }


# 500 images at once of all but the widest networks, on any device. A layer of five networks is held at a time, which is
# less than three networks' layers.
_MOST_BYTES_OF_TRACES = 32 * 1024**3


def measure_layerwise(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """LEWC, its conditions, active units and ranks of every layer, on the test images."""
    model, state_a, state_b = session.model, session.state_a, session.aligned(pair).state
    images = session.sample(pair.batch_norm_examples)
    merged_states = {
        coefficient: merge(model, state_a, state_b, coefficient, images) for coefficient in MEASURED_COEFFICIENTS
    }
    test_images = session.splits.test.images
    layers = measure_layers(model, state_a, state_b, merged_states, test_images, batch_size=_batch_size(session))
    return {"layers": layers}


def _batch_size(session: PairSession) -> int:
    fitting = _MOST_BYTES_OF_TRACES // (3 * trace_bytes(session.model, session.splits.input_shape))
    return min(500, max(1, fitting))


def measure_common_mode_of(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """Reciprocal orthogonality of every layer, its two parts, and its prediction from both networks and from either."""
    layers = measure_common_mode(
        session.model,
        session.splits.test.images,
        session.state_a,
        session.aligned(pair).state,
        spec=permutation_spec(session.model),
        batch_size=_batch_size(session),
    )
    return {"layers": _brief(layers)}


_DRAWS = 3
"""Shuffled copies of each network."""


def measure_self_merge(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """Each of the two networks averaged with shuffled copies of itself, and the two with each other, at λ = ½.

    Plain and repaired as LEWC says; with batch norm there is nothing to repair: recomputing it subtracts the
    means. All numbers of a record are of the same two networks, so that the prediction stands beside what it is of.
    """
    model, splits = session.model, session.splits
    spec = permutation_spec(model)
    kinds = {"none": session.sample(pair.batch_norm_examples)}
    if not has_batch_norm(model):
        kinds["lewc_mean"] = session.sample(pair.repair_examples)
    found: dict[str, Any] = {"a": {}, "b": {}, "pair": {}}
    midpoints = Midpoints(model, splits.calibration, splits.test)
    for kind, images in kinds.items():
        options: Any = {"images": in_memory(images), "repair": kind}
        for name, seed, state in zip("ab", pair.seeds, (session.state_a, session.state_b), strict=True):
            generators = [random_stream(seed, "self-merge", draw) for draw in range(_DRAWS)]
            found[name][kind] = midpoints.with_copies(state, spec, generators, **options)
        found["pair"][kind] = midpoints.of_pair(session.state_a, session.aligned(pair).state, **options)
    return _brief(found)


def _brief(data: Any) -> Any:
    """Numbers to six digits: more than any figure shows, and the arithmetic of single precision has no more."""
    if isinstance(data, dict):
        return {name: _brief(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_brief(value) for value in data]
    return float(f"{data:.6g}") if isinstance(data, float) else data


def measure_calibration(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """Reliability, one inverse temperature for all λ, and few calibration examples."""
    return calibration_study(
        session.line(pair),
        coefficients=coefficients_grid(pair.num_coefficients),
        generator=random_stream(pair.seeds[0], "calibration examples", pair.seeds[1]),
    )


def measure_flatness(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """Losses and accuracies along the line of the pair, along random directions and towards untrained networks."""
    splits = session.splits

    def untrained(index: int) -> StateDict:
        generator = random_stream(pair.seeds[0], "untrained", index)
        fresh = build_model(
            pair.training, input_shape=splits.input_shape, num_classes=splits.num_classes, generator=generator
        )
        return {name: tensor.to(session.device) for name, tensor in fresh.state_dict().items()}

    directions = range(pair.num_directions)
    return flatness_study(
        session.line(pair),
        [untrained(index) for index in directions],
        distances=coefficients_grid(pair.num_coefficients),
        generators=[random_stream(pair.seeds[0], "direction", index) for index in directions],
    )


def measure_repair(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """Losses, accuracies, inverse temperatures and barriers along the line, of each repair of the merged networks."""
    grid = coefficients_grid(pair.num_coefficients)
    return repair_study(session.line(pair), coefficients=grid, images=session.sample(pair.repair_examples))


MEASUREMENTS: dict[str, Callable[[PairConfig, PairSession], dict[str, Any]]] = {
    "interpolation": measure_interpolation,
    "layerwise": measure_layerwise,
    "calibration": measure_calibration,
    "flatness": measure_flatness,
    "repair": measure_repair,
    "common_mode": measure_common_mode_of,
    "self_merge": measure_self_merge,
    "controls": measure_controls,
    "many": measure_many,
    "placement": measure_placement,
}
