"""Networks small enough to prove things about: a tuple of weights in float64, run layer by layer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import InputError, check_choice
from lmcbook.models import LayerTrace

Activation = Callable[[Tensor], Tensor]
BiasExponent = Literal["one", "depth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    r"""$z_\ell = \sigma(W_\ell z_{\ell-1} + b_\ell)$ for ℓ < L, and the logits $f_L = W_L z_{L-1} + b_L$.

    Raises:
        InputError: there are no weights, or not one bias for each of them.
    """

    weights: tuple[Tensor, ...]
    """$W_1 … W_L$, each (outputs, inputs)."""
    biases: tuple[Tensor, ...] | None = None
    """$b_1 … b_L$, or None: Theorem 5.3 is about networks without."""

    def __post_init__(self) -> None:
        if not self.weights:
            raise InputError("weights is empty; a network has at least one layer")
        if self.biases is not None and len(self.biases) != len(self.weights):
            raise InputError(f"biases holds {len(self.biases)} vectors for {len(self.weights)} weights; give as many")

    @property
    def num_layers(self) -> int:
        """$L$."""
        return len(self.weights)


def run(
    network: Network, inputs: Float[Tensor, "examples inputs"], activation: Activation = F.relu
) -> tuple[LayerTrace, ...]:
    """All layers of the network on ``inputs``, as `lmcbook.models.trace` gives them for trained networks."""
    traces: list[LayerTrace] = []
    signal = inputs
    for depth, weight in enumerate(network.weights, start=1):
        linear_output = signal @ weight.T
        pre_activation = linear_output if network.biases is None else linear_output + network.biases[depth - 1]
        last = depth == network.num_layers
        output = pre_activation if last else activation(pre_activation)
        name = "classifier" if last else f"hidden{depth}"
        traces.append(LayerTrace(name, depth, signal, linear_output, pre_activation, output))
        signal = output
    return tuple(traces)


def merged(
    networks: Sequence[Network], coefficients: Sequence[float], *, bias_exponent: BiasExponent = "one"
) -> Network:
    r"""$\sum_i \lambda_i \theta^i$ for any number of networks; λ and 1 − λ for two.

    Args:
        networks: of the same shapes.
        coefficients: one λ_i for every network.
        bias_exponent: ``one`` merges biases like weights, $\sum_i \lambda_i b_\ell^{(i)}$; ``depth`` as
            $\sum_i \lambda_i^\ell b_\ell^{(i)}$, with which LEWC survives biases.

    Raises:
        InputError: there is not one coefficient for each network, or only some networks have biases.
    """
    check_choice("bias_exponent", bias_exponent, ("one", "depth"))
    if len(networks) != len(coefficients) or not networks:
        raise InputError(f"coefficients holds {len(coefficients)} numbers for {len(networks)} networks; give as many")
    if len({network.biases is None for network in networks}) > 1:
        raise InputError("networks are some with and some without biases; they must be alike")
    depths = range(1, networks[0].num_layers + 1)
    weights = tuple(
        sum_of(
            coefficient * network.weights[depth - 1]
            for network, coefficient in zip(networks, coefficients, strict=True)
        )
        for depth in depths
    )
    if networks[0].biases is None:
        return Network(weights=weights)
    biases = tuple(
        sum_of(
            coefficient ** (depth if bias_exponent == "depth" else 1) * network.biases[depth - 1]
            for network, coefficient in zip(networks, coefficients, strict=True)
            if network.biases is not None
        )
        for depth in depths
    )
    return Network(weights=weights, biases=biases)


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """The sum of tensors of one shape, without the integer 0 that `sum` starts from."""
    first, *others = terms
    for other in others:
        first = first + other
    return first
