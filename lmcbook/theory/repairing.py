"""The merged network with a bias in each layer that takes constant cross-talk out of it; ours, not the paper's."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

from lmcbook.errors import check_choice, check_number
from lmcbook.layerwise import relative_error
from lmcbook.models import LayerTrace
from lmcbook.theory.networks import Activation, Network, merged, run
from lmcbook.theory.overlapping import constant, mixed, overlapping_pair
from lmcbook.theory.pairs import Pair

MeansFrom = Literal["parents", "merged"]


def layer_cross_talk(
    pair: Pair, coefficient: float, of_a: LayerTrace, of_b: LayerTrace
) -> Float[Tensor, "examples outputs"]:
    r"""$C_\ell = \lambda(1-\lambda)^{\ell-1} W_\ell^a z_{\ell-1}^b + (1-\lambda)\lambda^{\ell-1} W_\ell^b
    z_{\ell-1}^a$, 0 at ℓ = 1: what LEWC lacks in one layer, for layers of a and b of one depth.
    """
    depth = of_a.depth
    if depth == 1:
        return torch.zeros_like(of_a.linear_output)
    a_on_b, b_on_a = of_b.input @ pair.a.weights[depth - 1].T, of_a.input @ pair.b.weights[depth - 1].T
    power_a, power_b = coefficient ** (depth - 1), (1 - coefficient) ** (depth - 1)
    return coefficient * power_b * a_on_b + (1 - coefficient) * power_a * b_on_a


def repaired(
    pair: Pair,
    coefficient: float,
    inputs: Float[Tensor, "examples inputs"],
    *,
    means_from: MeansFrom = "parents",
    activation: Activation = F.relu,
) -> Network:
    r"""The merged network with the biases $\lambda^\ell b^a + (1-\lambda)^\ell b^b - \mathbb{E}\,C_\ell$.

    Args:
        pair: two networks, with biases or without.
        coefficient: λ.
        inputs: the images over which the means are taken; no labels.
        means_from: ``parents`` is the formula above, which needs the two networks alone. ``merged`` gives each unit the
            mean pre-activation that LEWC says, layer after layer:
            $\lambda^\ell\,\mathbb{E}\tilde z^a + (1-\lambda)^\ell\,\mathbb{E}\tilde z^b
            - \bar W_\ell\,\mathbb{E}\bar z_{\ell-1}$, and so takes out the mean of what goes wrong in the layers
            before as well.
        activation: of the hidden layers.

    Raises:
        InputError: λ lies outside [0, 1].
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    check_choice("means_from", means_from, ("parents", "merged"))
    weights = merged(pair, (coefficient, 1 - coefficient)).weights
    biases: list[Tensor] = []
    signal = inputs
    for of_a, of_b in zip(*(run(network, inputs, activation) for network in pair), strict=True):
        depth = of_a.depth
        power_a, power_b = coefficient**depth, (1 - coefficient) ** depth
        linear_output = signal @ weights[depth - 1].T
        if means_from == "merged":
            target = power_a * of_a.pre_activation + power_b * of_b.pre_activation
            biases.append((target - linear_output).mean(0))
        else:
            own = power_a * (of_a.pre_activation - of_a.linear_output)
            own = own + power_b * (of_b.pre_activation - of_b.linear_output)
            biases.append((own - layer_cross_talk(pair, coefficient, of_a, of_b)).mean(0))
        signal = activation(linear_output + biases[-1])
    return Network(weights=weights, biases=tuple(biases))


def repair_errors(
    pair: Pair, coefficient: float, inputs: Float[Tensor, "examples inputs"]
) -> dict[str, Float[Tensor, " layers"]]:
    """How far the direction of every layer is from LEWC's, of the merged network and of both repaired networks.

    The distance of LEWC's prediction from the nearest multiple of the layer, relative to the prediction: 0…1, and 0 if
    the layer differs from it by a factor, which a temperature would mend.
    """
    networks = {"plain": merged(pair, (coefficient, 1 - coefficient))}
    networks["repaired, from the parents"] = repaired(pair, coefficient, inputs)
    networks["repaired, from the merged network"] = repaired(pair, coefficient, inputs, means_from="merged")
    layers_a, layers_b = (run(network, inputs) for network in pair)
    errors: dict[str, list[float]] = {name: [] for name in networks}
    for name, network in networks.items():
        for of_a, of_b, layer in zip(layers_a, layers_b, run(network, inputs), strict=True):
            prediction = coefficient**layer.depth * of_a.output + (1 - coefficient) ** layer.depth * of_b.output
            nearest = (prediction * layer.output).sum() / layer.output.square().sum() * layer.output
            errors[name].append(relative_error(nearest, prediction))
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in errors.items()}


def repair_checks(
    inputs: Float[Tensor, "examples inputs"],
    *,
    num_layers: int,
    units: int,
    num_classes: int,
    generator: Generator,
) -> dict[str, dict[str, Float[Tensor, " layers"]]]:
    """`repair_errors` at λ = ½ of three pairs whose networks use the same units.

    Their cross-talk is the same for all inputs; the same and a tenth of it that varies; all of the signal, as LLFC has
    it.
    """
    ones = [1.0] * (num_layers - 1)
    answers = {
        "constant cross-talk": constant(0.5, generator),
        "constant and varying": constant(0.5, generator, varying=0.05),
        "commuting": mixed(ones, [0.0] * (num_layers - 1)),
    }
    sizes: Any = {"num_layers": num_layers, "units": units, "num_classes": num_classes, "generator": generator}
    return {name: repair_errors(overlapping_pair(inputs, of, **sizes), 0.5, inputs) for name, of in answers.items()}
