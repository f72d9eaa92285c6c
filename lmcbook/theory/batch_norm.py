"""What recomputed batch norm does to λ^ℓ: it forgets all of it but the last factor. Ours, not the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lmcbook.theory.networks import Network, sum_of
from lmcbook.theory.pairs import disjoint_networks


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedNetwork:
    r"""With batch norm: $z_\ell = \sigma(\gamma_\ell \odot \mathrm{norm}(W_\ell z_{\ell-1}) + \nu_\ell)$
    for ℓ < L; the logits are $W_L z_{L-1}$.
    """

    weights: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]
    """γ of the hidden layers 1…L−1."""
    shifts: tuple[Tensor, ...]
    """ν of the hidden layers 1…L−1."""
    skip: bool = False
    """Whether hidden layers 2…L−1 add their input before the activation, as residual networks do."""


def run_normalised(
    network: NormalisedNetwork, inputs: Float[Tensor, "examples inputs"], *, epsilon: float = 0.0
) -> list[Float[Tensor, "examples units"]]:
    """The outputs of all layers, the statistics of batch norm being those of ``inputs``: freshly recomputed.

    A unit that does not vary is normalised to 0, as torch does with its positive ``epsilon``.
    """
    outputs, signal = [], inputs
    for index, weight in enumerate(network.weights):
        linear_output = signal @ weight.T
        if index == len(network.weights) - 1:
            outputs.append(linear_output)
            break
        variance = linear_output.var(0, correction=0) + epsilon
        deviation = linear_output - linear_output.mean(0)
        normalised = torch.where(variance > 0, deviation / torch.where(variance > 0, variance, 1.0).sqrt(), 0.0)
        before = network.scales[index] * normalised + network.shifts[index]
        signal = torch.relu(before + signal if network.skip and index > 0 else before)
        outputs.append(signal)
    return outputs


def merged_normalised(networks: Sequence[NormalisedNetwork], coefficients: Sequence[float]) -> NormalisedNetwork:
    r"""$\sum_i \lambda_i \theta^i$, batch norm's scales and shifts included."""

    def mean(tensors: Sequence[Tensor]) -> Tensor:
        return sum_of(coefficient * tensor for coefficient, tensor in zip(coefficients, tensors, strict=True))

    return NormalisedNetwork(
        weights=tuple(mean(tensors) for tensors in zip(*(network.weights for network in networks), strict=True)),
        scales=tuple(mean(tensors) for tensors in zip(*(network.scales for network in networks), strict=True)),
        shifts=tuple(mean(tensors) for tensors in zip(*(network.shifts for network in networks), strict=True)),
        skip=networks[0].skip,
    )


def disjoint_normalised_networks(
    num_networks: int,
    *,
    num_layers: int,
    input_size: int,
    units: int,
    num_classes: int,
    generator: Generator,
    skip: bool = False,
) -> tuple[NormalisedNetwork, ...]:
    """`disjoint_networks` with batch norm: a unit's scale and shift are 0 in all networks but its own.

    Raises:
        InputError: as `disjoint_networks` raises it.
    """
    plain = disjoint_networks(
        num_networks,
        num_layers=num_layers,
        input_size=input_size,
        units=units,
        num_classes=num_classes,
        generator=generator,
    )
    return tuple(_normalised(network, index, units, generator, skip) for index, network in enumerate(plain))


def _normalised(network: Network, index: int, units: int, generator: Generator, skip: bool) -> NormalisedNetwork:
    scales, shifts = [], []
    for weight in network.weights[:-1]:
        own = slice(index * units, (index + 1) * units)
        scale, shift = (torch.zeros(len(weight), dtype=torch.float64) for _ in range(2))
        scale[own] = 0.5 + torch.rand(units, generator=generator, dtype=torch.float64)
        shift[own] = torch.randn(units, generator=generator, dtype=torch.float64)
        scales.append(scale)
        shifts.append(shift)
    return NormalisedNetwork(weights=network.weights, scales=tuple(scales), shifts=tuple(shifts), skip=skip)
