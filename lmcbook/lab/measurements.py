"""What is measured of a pair of networks: functions of its session, each of which gives a record's data."""

from collections.abc import Callable
from typing import Any

from lmcbook.evaluation import (
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
from lmcbook.lab.session import PairSession
from lmcbook.layerwise import MEASURED_COEFFICIENTS, measure_layers
from lmcbook.merging import merge
from lmcbook.models import build_model, trace_bytes
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict


def measure_interpolation(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """Losses, accuracies, inverse temperatures and barriers along the line between two states.

    Where model b stays as it is, also what the midpoint and the ensemble would be worth at other temperatures.
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
    fitting = _MOST_BYTES_OF_TRACES // (3 * trace_bytes(model, session.splits.input_shape))
    batch_size = min(500, max(1, fitting))
    test_images = session.splits.test.images
    return {"layers": measure_layers(model, state_a, state_b, merged_states, test_images, batch_size=batch_size)}


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
}
