"""How far constructed networks are from what a theorem says: the numbers of the chapters on theory."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import check_choice
from lmcbook.layerwise import commutativity, reciprocal_orthogonality, relative_error, weak_additivity_error
from lmcbook.theory.networks import Activation, BiasExponent, Network, merged, run, sum_of
from lmcbook.theory.pairs import Pair

Exponent = Literal["depth", "one"]


def connectivity_errors(
    networks: Sequence[Network],
    coefficients: Sequence[Sequence[float]],
    inputs: Float[Tensor, "examples inputs"],
    *,
    exponent: Exponent = "depth",
    activation: Activation = F.relu,
    bias_exponent: BiasExponent = "one",
) -> Float[Tensor, "coefficients layers"]:
    r"""Relative error of $f_\ell(x; \sum_i \lambda_i\theta_i) = \sum_i \lambda_i^e f_\ell(x; \theta_i)$.

    Args:
        networks: two or more of the same shapes.
        coefficients: several tuples (λ_1, λ_2, …), one row of the result for each.
        inputs: the examples.
        exponent: e: ``depth`` is ℓ, LEWC (Definition 4.1); ``one`` is LLFC.
        activation: of the hidden layers.
        bias_exponent: as `merged` takes it.
    """
    check_choice("exponent", exponent, ("depth", "one"))
    traces = [run(network, inputs, activation) for network in networks]
    rows = []
    for row in coefficients:
        of_merged = run(merged(networks, row, bias_exponent=bias_exponent), inputs, activation)
        errors = []
        for layer, *layers in zip(of_merged, *traces, strict=True):
            power = layer.depth if exponent == "depth" else 1
            prediction = sum_of(each**power * of.output for each, of in zip(row, layers, strict=True))
            errors.append(relative_error(layer.output, prediction))
        rows.append(errors)
    return torch.tensor(rows, dtype=torch.float64)


def two_networks(coefficients: Sequence[float]) -> list[tuple[float, float]]:
    """λ ↦ (λ, 1 − λ), for functions that take any number of networks."""
    return [(coefficient, 1 - coefficient) for coefficient in coefficients]


def condition_errors(
    pair: Pair, inputs: Float[Tensor, "examples inputs"], activation: Activation = F.relu
) -> dict[str, Float[Tensor, " layers"]]:
    """Weak additivity (λ = ½), reciprocal orthogonality (both directions in one) and commutativity, by layer.

    All relative: 0 where a condition holds; NaN where it says nothing, the first in layer L and the others in layer 1.
    """
    columns: dict[str, list[float]] = {name: [] for name in ("additivity", "orthogonality", "commutativity")}
    for of_a, of_b in zip(run(pair.a, inputs, activation), run(pair.b, inputs, activation), strict=True):
        last = of_a.depth == pair.a.num_layers
        before = of_a.pre_activation, of_b.pre_activation
        columns["additivity"].append(float("nan") if last else weak_additivity_error(*before, 0.5, activation))
        if of_a.depth == 1:
            columns["orthogonality"].append(float("nan"))
            columns["commutativity"].append(float("nan"))
            continue
        weight_a, weight_b = (network.weights[of_a.depth - 1] for network in pair)
        b_on_a, a_on_b = of_a.input @ weight_b.T, of_b.input @ weight_a.T
        own_a, own_b = of_a.linear_output, of_b.linear_output
        directions = reciprocal_orthogonality(b_on_a, own_a), reciprocal_orthogonality(a_on_b, own_b)
        columns["orthogonality"].append((sum(ratio**2 for ratio in directions) / 2) ** 0.5)
        columns["commutativity"].append(commutativity(own_a, own_b, a_on_b, b_on_a))
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()}
