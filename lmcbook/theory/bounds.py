"""Approximate LEWC: a bound on every layer's error from the errors of the two conditions. Ours, not the paper's."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import check_number
from lmcbook.theory.networks import merged, run
from lmcbook.theory.pairs import Pair
from lmcbook.theory.repairing import MeansFrom, layer_cross_talk, repaired


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBudget:
    r"""What goes into the bound at each layer ℓ = 1…L: norms, as root mean squares over the examples, in float64."""

    additivity: Float[Tensor, " layers"]
    r"""$\delta_\ell$, what weak additivity lacks at the weights $\lambda^\ell$ and $(1-\lambda)^\ell$; 0 at ℓ = L."""
    orthogonality: Float[Tensor, " layers"]
    r"""What reciprocal orthogonality lacks, 0 at ℓ = 1:
    $\omega_\ell = \lVert\lambda^{\ell-1}(1-\lambda) W_\ell^b z^a
    + \lambda(1-\lambda)^{\ell-1} W_\ell^a z^b\rVert$."""
    bias: Float[Tensor, " layers"]
    r"""What biases add, 0 without them and at ℓ = 1:
    $\xi_\ell = \lVert(\lambda - \lambda^\ell) b_\ell^a + (1 - \lambda - (1-\lambda)^\ell) b_\ell^b\rVert$."""
    amplification: Float[Tensor, " layers"]
    """Spectral norm of the merged model's weights."""
    error: Float[Tensor, " layers"]
    """The measured distance of the merged layer from the LEWC prediction."""
    bound: Float[Tensor, " layers"]
    """The bound on that distance."""


def deficit(
    pre_activations_a: Float[Tensor, "examples units"],
    pre_activations_b: Float[Tensor, "examples units"],
    weight_a: float,
    weight_b: float,
    negative_slope: float = 0.0,
) -> Float[Tensor, "examples units"]:
    r"""$\sigma(pu) + \sigma(qv) - \sigma(pu + qv)$, which is $(1-s)\min(|pu|, |qv|)$ on opposite signs and 0 elsewhere.

    What weak additivity lacks, unit by unit, for leaky ReLU of slope s (ReLU: 0) and positive weights p, q. Ours.
    """
    first, second = weight_a * pre_activations_a, weight_b * pre_activations_b
    smaller = torch.minimum(first.abs(), second.abs())
    return (1 - negative_slope) * torch.where(torch.sign(first) * torch.sign(second) < 0, smaller, 0.0)


def error_budget(
    pair: Pair,
    coefficient: float,
    inputs: Float[Tensor, "examples inputs"],
    negative_slope: float = 0.0,
    *,
    repair: MeansFrom | None = None,
) -> ErrorBudget:
    r"""The bound $e_\ell \le \lVert W_\ell \rVert_2 e_{\ell-1} + \omega_\ell + \xi_\ell + \delta_\ell$, and the error.

    $e_\ell$ is the distance between the merged layer and its prediction by LEWC (Definition 4.1), and $W_\ell$ are
    the merged weights. For ReLU and leaky ReLU with a slope in [0, 1].

    Args:
        pair: the two networks.
        coefficient: λ.
        inputs: the examples.
        negative_slope: of the activation.
        repair: of the network that `repaired` makes of the pair with these inputs, if it is named how: $\omega_\ell$ is
            then the part of the cross-talk that varies over the inputs, and $\xi_\ell$ is 0.

    Raises:
        InputError: the slope or λ lies outside [0, 1].
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    check_number("negative_slope", negative_slope, minimum=0, maximum=1)
    activation = _LeakyReLU(negative_slope)
    if repair is None:
        network = merged(pair, (coefficient, 1 - coefficient))
    else:
        network = repaired(pair, coefficient, inputs, means_from=repair, activation=activation)
    traces_a, traces_b, traces = (run(each, inputs, activation) for each in (*pair, network))
    columns: dict[str, list[Tensor]] = {name: [] for name in ErrorBudget.__dataclass_fields__}
    bound = inputs.new_zeros(())
    for of_a, of_b, of_merged in zip(traces_a, traces_b, traces, strict=True):
        depth = of_a.depth
        power_a, power_b = coefficient**depth, (1 - coefficient) ** depth
        bias = additivity = inputs.new_zeros(())
        cross_talk = layer_cross_talk(pair, coefficient, of_a, of_b)
        if repair is not None:
            cross_talk = cross_talk - cross_talk.mean(0)
        orthogonality = _rms(cross_talk)
        if repair is None and pair.a.biases is not None and pair.b.biases is not None:
            excess_a = (coefficient - power_a) * pair.a.biases[depth - 1]
            bias = (excess_a + (1 - coefficient - power_b) * pair.b.biases[depth - 1]).norm()
        if depth < pair.a.num_layers:
            additivity = _rms(deficit(of_a.pre_activation, of_b.pre_activation, power_a, power_b, negative_slope))
        amplification = torch.linalg.matrix_norm(network.weights[depth - 1], ord=2)
        inherited = amplification * bound if depth > 1 else inputs.new_zeros(())
        bound = inherited + orthogonality + bias + additivity
        error = _rms(of_merged.output - power_a * of_a.output - power_b * of_b.output)
        found = {"additivity": additivity, "orthogonality": orthogonality, "bias": bias}
        found |= {"amplification": amplification, "error": error, "bound": bound}
        for name, value in found.items():
            columns[name].append(value)
    return ErrorBudget(**{name: torch.stack(values) for name, values in columns.items()})


class _LeakyReLU:
    def __init__(self, negative_slope: float) -> None:
        self.negative_slope = negative_slope

    def __call__(self, values: Tensor) -> Tensor:
        return F.leaky_relu(values, self.negative_slope)


def _rms(vectors: Tensor) -> Tensor:
    return vectors.square().sum(1).mean().sqrt()
