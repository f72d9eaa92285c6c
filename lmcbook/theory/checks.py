"""How far constructed networks are from what a theorem says: the numbers of the chapters on theory."""

from collections.abc import Sequence
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.errors import check_choice
from lmcbook.evaluation import ensemble_logits, lewc_ensemble_weight, predicted_inverse_temperature
from lmcbook.layerwise import (
    commutativity,
    decay_exponent,
    reciprocal_orthogonality,
    relative_error,
    weak_additivity_error,
)
from lmcbook.theory.batch_norm import NormalisedNetwork, disjoint_normalised_networks, merged_normalised, run_normalised
from lmcbook.theory.networks import Activation, BiasExponent, Network, merged, run, sum_of
from lmcbook.theory.pairs import Pair, Sizes, disjoint_networks

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
    r"""Error of $f_\ell(x; \sum_i \lambda_i\theta^i) = \sum_i \lambda_i^e f_\ell(x; \theta^i)$, relative to that layer.

    Args:
        networks: two or more of the same shapes.
        coefficients: several tuples (λ_1, λ_2, …), one row of the result for every tuple.
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
            errors.append(_relative_to_the_layer(layer.output, prediction))
        rows.append(errors)
    return torch.tensor(rows, dtype=torch.float64)


def law_errors(pair: Pair, inputs: Float[Tensor, "examples inputs"]) -> dict[str, Float[Tensor, " layers"]]:
    """Error of both laws, LEWC and LLFC, in every layer of the merged model at λ = ½, relative to that layer."""
    half = two_networks([0.5])
    return {
        "LEWC": connectivity_errors(pair, half, inputs)[0],
        "LLFC": connectivity_errors(pair, half, inputs, exponent="one")[0],
    }


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


def shared_decay(
    shared_units: int,
    units: int,
    inputs: Float[Tensor, "examples inputs"],
    *,
    num_layers: int,
    input_size: int,
    num_classes: int,
    generator: Generator,
) -> Float[Tensor, " layers"]:
    """The decay exponent of every layer of a pair that shares ``shared_units`` of the ``units`` of each network; ours.

    Raises:
        InputError: a network has no unit of its own, or a size is not a positive whole number.
    """
    pair = disjoint_networks(
        2,
        num_layers=num_layers,
        input_size=input_size,
        units=units - shared_units,
        num_classes=num_classes,
        generator=generator,
        shared_units=shared_units,
    )
    return halfway_exponents(pair, inputs)


def halfway_exponents(pair: Sequence[Network], inputs: Float[Tensor, "examples inputs"]) -> Float[Tensor, " layers"]:
    """The decay exponent of every layer of a merged pair at λ = ½."""
    layers = zip(*(run(network, inputs) for network in (*pair, merged(pair, (0.5, 0.5)))), strict=True)
    exponents = [decay_exponent(of_merged.output, of_a.output, of_b.output) for of_a, of_b, of_merged in layers]
    return torch.tensor(exponents, dtype=torch.float64)


def normalised_errors(
    networks: Sequence[NormalisedNetwork],
    coefficients: Sequence[float],
    inputs: Float[Tensor, "examples inputs"],
    *,
    exponent: Exponent = "one",
    last_exponent: int = 2,
    epsilon: float = 0.0,
) -> Float[Tensor, " layers"]:
    r"""Error of $f_\ell = \sum_i \lambda_i^e f_\ell^i$ with recomputed batch norm, relative to the merged layer; ours.

    Args:
        networks: two or more of the same shapes.
        coefficients: λ_i, one for every network.
        inputs: the examples, which also give the statistics.
        exponent: e of the hidden layers: ``one`` is our theorem, ``depth`` LEWC.
        last_exponent: e of the classifier: 2 is our theorem, L is LEWC.
        epsilon: of batch norm.
    """
    check_choice("exponent", exponent, ("depth", "one"))
    outputs = [run_normalised(network, inputs, epsilon=epsilon) for network in networks]
    of_merged = run_normalised(merged_normalised(networks, coefficients), inputs, epsilon=epsilon)
    errors = []
    for depth, (layer, *layers) in enumerate(zip(of_merged, *outputs, strict=True), start=1):
        power = last_exponent if depth == len(of_merged) else depth if exponent == "depth" else 1
        prediction = sum_of(each**power * of for each, of in zip(coefficients, layers, strict=True))
        errors.append(_relative_to_the_layer(layer, prediction))
    return torch.tensor(errors, dtype=torch.float64)


def _relative_to_the_layer(layer: Tensor, prediction: Tensor) -> float:
    """The distance between the two over the layer's norm: one denominator for all laws, whatever size they predict."""
    return relative_error(prediction, layer)


def batch_norm_errors(
    inputs: Float[Tensor, "examples inputs"], **sizes: Unpack[Sizes]
) -> dict[str, dict[str, Float[Tensor, " layers"]]]:
    """Errors at λ = ½ of our law for batch norm and of LEWC, for disjoint networks without and with skips.

    They are relative to the merged layer. ``sizes`` are those of `disjoint_pair`.
    """
    found = {}
    for name, skip in (("plain", False), ("residual", True)):
        networks = disjoint_normalised_networks(2, **sizes, skip=skip)
        found[name] = {
            "one factor per layer": normalised_errors(networks, (0.5, 0.5), inputs),
            "LEWC": normalised_errors(
                networks, (0.5, 0.5), inputs, exponent="depth", last_exponent=sizes["num_layers"]
            ),
        }
    return found


def bias_errors(
    coefficient: float, inputs: Float[Tensor, "examples inputs"], **sizes: Unpack[Sizes]
) -> dict[str, Float[Tensor, " layers"]]:
    """Errors of LEWC, relative to the layer, for disjoint networks with biases, merged in two ways.

    ``sizes`` are those of `disjoint_pair`.
    """
    pair = disjoint_networks(2, **sizes, bias=True)
    rows = two_networks([coefficient])
    return {
        "merged like weights": connectivity_errors(pair, rows, inputs)[0],
        "merged with powers": connectivity_errors(pair, rows, inputs, bias_exponent="depth")[0],
    }


def fitted_and_predicted(
    pair: Pair, coefficients: Sequence[float], inputs: Float[Tensor, "examples inputs"], generator: Generator
) -> list[dict[str, float]]:
    """Inverse temperatures of merged models, fitted and predicted by LEWC: rows layers, coefficient, fitted, predicted.

    ``layers`` is L. The labels are drawn from the softmax of the two networks' mean logits, so that β is finite. Where
    LEWC is exact the two agree, because the same loss is minimised under a scaling.
    """
    logits_a, logits_b = (run(network, inputs)[-1].output for network in pair)
    labels = torch.multinomial(((logits_a + logits_b) / 2).softmax(1), 1, generator=generator)[:, 0]
    rows = []
    for coefficient in coefficients:
        logits = run(merged(pair, (coefficient, 1 - coefficient)), inputs)[-1].output
        weight = lewc_ensemble_weight(coefficient, pair.a.num_layers)
        ensemble = fit_inverse_temperature(ensemble_logits(logits_a, logits_b, weight), labels).inverse_temperature
        predicted = predicted_inverse_temperature(ensemble, coefficient, pair.a.num_layers)
        fitted = fit_inverse_temperature(logits, labels).inverse_temperature
        rows.append({"layers": pair.a.num_layers, "coefficient": coefficient, "fitted": fitted, "predicted": predicted})
    return rows
