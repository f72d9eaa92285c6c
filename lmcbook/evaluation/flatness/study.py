"""The loss on the way to another network, along random directions as long, and on the way to untrained networks."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, loss, predict_logits
from lmcbook.evaluation.flatness.directions import (
    RESCALINGS,
    difference,
    displaced,
    gaussian_direction,
    length_of,
    rescaled,
)
from lmcbook.evaluation.line import Line
from lmcbook.evaluation.sweeping_temperatures import rounded
from lmcbook.merging import interpolate, recompute_batch_norm_
from lmcbook.states import StateDict, has_batch_norm, weight_names

KINDS: tuple[str, ...] = ("pair", *RESCALINGS, "untrained")
"""What stands at the end of a line from network a: network b; a random direction's end, rescaled in three ways; an
untrained network."""


def flatness_study(
    line: Line, untrained: Sequence[StateDict], *, distances: Sequence[float], generators: Sequence[Generator]
) -> dict[str, Any]:
    r"""What network a becomes on the way to network b, in random directions, and on the way to untrained networks.

    A distance t is a share of the way: $\theta^a + t(\theta^b - \theta^a)$ is the line of the pair, where t = ½ is
    the merge and t is 1 − λ. A random direction is Gaussian, made as long as $\theta^b - \theta^a$ as a whole,
    in each tensor, or in the weights of each output unit; the same Gaussian numbers serve all three. The lines to
    untrained networks end there, whatever their length. On every line an inverse temperature is fitted at every
    distance, on the line's calibration examples, and batch norm is recomputed, at 0 too; losses (nats) and accuracies
    are on its test examples.

    The result has ``"distances"``, ``"norm"`` (the length of a's parameters as one vector) and ``"curves"``: of each
    line its ``kind``, of `KINDS`, its ``length``, and over the distances ``loss``, ``accuracy``,
    ``inverse_temperature`` and ``calibrated_loss``, rounded to six digits.

    Args:
        untrained: networks after their initialisation.
        distances: t, from 0 to 1.
        generators: one for each random direction.

    Raises:
        InputError: a distance lies outside [0, 1], the states do not fit, or a network with batch norm is given no
            ``batch_norm_images``.
    """
    if not distances or not all(0 <= distance <= 1 for distance in distances):
        raise InputError(f"distances is {tuple(distances)}; they must be shares of the way, from 0 to 1")
    model, state_a = line.model, line.state_a
    names = set(weight_names(model))
    to_b = difference(state_a, line.state_b, names)
    scratch = {name: torch.empty_like(tensor) for name, tensor in state_a.items()}

    def logits_at(state: StateDict) -> Sequence[Tensor]:
        if has_batch_norm(model) and line.batch_norm_images is not None:
            recompute_batch_norm_(model, state, line.batch_norm_images)
        parts = (line.calibration.images, line.test.images)
        return [predict_logits(model, state, images, batch_size=line.batch_size) for images in parts]

    def measure(logits: Sequence[Tensor]) -> dict[str, float]:
        calibration, test = line.labels
        fitted = fit_inverse_temperature(logits[0], calibration).inverse_temperature
        return {
            "loss": rounded(loss(logits[1], test)),
            "accuracy": rounded(accuracy(logits[1], test)),
            "inverse_temperature": rounded(fitted),
            "calibrated_loss": rounded(loss(logits[1], test, inverse_temperature=fitted)),
        }

    # all lines begin at the same place, where the line of the pair ends
    start = measure(line.logits_of_weights(1.0))

    def walk(kind: str, length: float, logits: Callable[[float], Sequence[Tensor]]) -> dict[str, Any]:
        points = [start if distance == 0 else measure(logits(distance)) for distance in distances]
        return {"kind": kind, "length": rounded(length), **{name: [each[name] for each in points] for name in start}}

    def to_network(target: StateDict) -> Callable[[float], Sequence[Tensor]]:
        return lambda distance: logits_at(interpolate(state_a, target, 1 - distance, out=scratch))

    def along(direction: StateDict) -> Callable[[float], Sequence[Tensor]]:
        return lambda distance: logits_at(displaced(state_a, direction, distance, out=scratch))

    curves = [walk("pair", length_of(to_b), lambda distance: line.logits_of_weights(1 - distance))]
    for generator in generators:
        gaussian = gaussian_direction(to_b, generator)
        for rescaling in RESCALINGS:
            direction = rescaled(gaussian, to_b, rescaling)
            curves.append(walk(rescaling, length_of(direction), along(direction)))
    for target in untrained:
        curves.append(walk("untrained", length_of(difference(state_a, target, names)), to_network(target)))
    norm = length_of({name: tensor for name, tensor in state_a.items() if name in names})
    return {"distances": [float(distance) for distance in distances], "norm": rounded(norm), "curves": curves}
