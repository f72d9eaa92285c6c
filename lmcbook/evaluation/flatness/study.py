"""The loss on the way to another network, along random directions as long, and on the way to untrained networks."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, loss, predict_logits
from lmcbook.evaluation.curve import Examples
from lmcbook.evaluation.flatness.directions import (
    RESCALINGS,
    difference,
    displaced,
    gaussian_direction,
    length_of,
    rescaled,
)
from lmcbook.evaluation.temperatures import rounded
from lmcbook.merging import interpolate, recompute_batch_norm_
from lmcbook.states import StateDict, has_batch_norm, weight_names

KINDS: tuple[str, ...] = ("pair", *RESCALINGS, "untrained")
"""What stands at the end of a line from network a: network b; a random direction's end, rescaled in three ways; an
untrained network."""

_Place = Callable[[float, StateDict], StateDict]
"""Distance t and a state to write into → the state at that place of a line."""


def flatness_study(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    untrained: Sequence[StateDict],
    *,
    distances: Sequence[float],
    generators: Sequence[Generator],
    calibration: Examples,
    test: Examples,
    batch_norm_images: Float[Tensor, "others ..."] | None = None,
    batch_size: int = 1000,
) -> dict[str, Any]:
    r"""What network a becomes on the way to network b, in random directions, and on the way to untrained networks.

    A distance t is a share of the way: $\theta_a + t(\theta_b - \theta_a)$ is the line of the pair, where t = ½ is
    the merge and t is 1 − λ. A random direction is a Gaussian one, made as long as $\theta_b - \theta_a$ as a whole,
    in each tensor, or in the weights of each output unit; the same Gaussian numbers serve all three. The lines to
    untrained networks end there, whatever their length. On every line an inverse temperature is fitted at every
    distance, on ``calibration``, and batch norm is recomputed, at 0 too; losses (nats) and accuracies are on ``test``.

    The result has ``"distances"``, ``"norm"`` (the length of a's parameters as one vector) and ``"curves"``: of each
    line its ``kind``, of `KINDS`, its ``length``, and over the distances ``loss``, ``accuracy``,
    ``inverse_temperature`` and ``calibrated_loss``, rounded to six digits.

    Args:
        untrained: networks as they are initialised.
        distances: t, from 0 to 1.
        generators: one for each random direction.
        batch_norm_images: un-augmented training images; needed if the network has batch norm.

    Raises:
        InputError: a distance lies outside of [0, 1], the states do not fit, or a network with batch norm is given no
            ``batch_norm_images``.
    """
    if not distances or not all(0 <= distance <= 1 for distance in distances):
        raise InputError(f"distances is {tuple(distances)}; they must be shares of the way, from 0 to 1")
    if batch_norm_images is None and has_batch_norm(model):
        raise InputError(
            "batch_norm_images is None, but the network has batch norm; give training images to recompute it"
        )
    names = set(weight_names(model))
    to_b = difference(state_a, state_b, names)
    scratch = {name: torch.empty_like(tensor) for name, tensor in state_a.items()}

    def measure(place: _Place, distance: float) -> dict[str, float]:
        state = place(distance, scratch)
        if batch_norm_images is not None:
            recompute_batch_norm_(model, state, batch_norm_images)
        logits = [predict_logits(model, state, part.images, batch_size=batch_size) for part in (calibration, test)]
        fitted = fit_inverse_temperature(logits[0], calibration.labels).inverse_temperature
        return {
            "loss": rounded(loss(logits[1], test.labels)),
            "accuracy": rounded(accuracy(logits[1], test.labels)),
            "inverse_temperature": rounded(fitted),
            "calibrated_loss": rounded(loss(logits[1], test.labels, inverse_temperature=fitted)),
        }

    # all lines begin at the same place
    start = measure(lambda _, out: displaced(state_a, {}, 0, out=out), 0)

    def walk(kind: str, length: float, place: _Place) -> dict[str, Any]:
        points = [start if distance == 0 else measure(place, distance) for distance in distances]
        return {"kind": kind, "length": rounded(length), **{name: [each[name] for each in points] for name in start}}

    def line_to(target: StateDict) -> _Place:
        return lambda distance, out: interpolate(state_a, target, 1 - distance, out=out)

    def along(direction: StateDict) -> _Place:
        return lambda distance, out: displaced(state_a, direction, distance, out=out)

    curves = [walk("pair", length_of(to_b), line_to(state_b))]
    for generator in generators:
        gaussian = gaussian_direction(to_b, generator)
        for rescaling in RESCALINGS:
            direction = rescaled(gaussian, to_b, rescaling)
            curves.append(walk(rescaling, length_of(direction), along(direction)))
    for target in untrained:
        curves.append(walk("untrained", length_of(difference(state_a, target, names)), line_to(target)))
    norm = length_of({name: tensor for name, tensor in state_a.items() if name in names})
    return {"distances": [float(distance) for distance in distances], "norm": rounded(norm), "curves": curves}
