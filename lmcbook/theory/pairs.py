"""Constructed networks that satisfy the conditions of the theorems exactly, or break exactly one of them."""

import math
from itertools import pairwise
from typing import NamedTuple, TypedDict, Unpack

import torch
from torch import Generator, Tensor

from lmcbook.errors import InputError, check_number
from lmcbook.theory.networks import Network


class Sizes(TypedDict):
    """What makes a pair of disjoint networks, as `disjoint_networks` takes it."""

    num_layers: int
    input_size: int
    units: int
    num_classes: int
    generator: Generator


class Pair(NamedTuple):
    """Two networks of the same shapes."""

    a: Network
    b: Network


def disjoint_networks(
    num_networks: int,
    *,
    num_layers: int,
    input_size: int,
    units: int,
    num_classes: int,
    generator: Generator,
    shared_units: int = 0,
    bias: bool = False,
) -> tuple[Network, ...]:
    """Networks that each own ``units`` hidden units of every layer, in which the others' weights are zero.

    Hidden layers have ``num_networks · units + shared_units`` units. Every two networks satisfy weak additivity
    (Definition 5.1) and reciprocal orthogonality (Definition 5.2) exactly and for every input: where one of them is
    active, the other's pre-activation is 0. With ``shared_units`` they have that many more, fed by the input and by
    each other, with the same weights in all networks: weak additivity still holds, reciprocal orthogonality does not.

    Weights are standard normal, scaled to keep the size of activations from layer to layer.

    Raises:
        InputError: a size is not a positive whole number, or ``num_layers`` is below 2.
    """
    sizes = {"num_networks": num_networks, "input_size": input_size, "units": units, "num_classes": num_classes}
    for name, size in sizes.items():
        check_number(name, size, minimum=1, integer=True)
    check_number("num_layers", num_layers, minimum=2, integer=True)
    check_number("shared_units", shared_units, minimum=0, integer=True)
    width = num_networks * units + shared_units
    common = slice(num_networks * units, width)
    widths = [input_size, *[width] * (num_layers - 1), num_classes]
    shared = [torch.zeros(rows, columns, dtype=torch.float64) for columns, rows in pairwise(widths)]
    for depth, weight in enumerate(shared, start=1):
        block = (slice(None) if depth == num_layers else common, slice(None) if depth == 1 else common)
        weight[block] = _normal(weight[block], generator)
    networks = []
    for index in range(num_networks):
        own = slice(index * units, (index + 1) * units)
        weights = [weight.clone() for weight in shared]
        biases = [torch.zeros(len(weight), dtype=torch.float64) for weight in weights]
        for depth, (weight, offset) in enumerate(zip(weights, biases, strict=True), start=1):
            rows = slice(None) if depth == num_layers else own
            block = (rows, slice(None) if depth == 1 else own)
            weight[block] = _normal(weight[block], generator)
            if bias:
                offset[rows] = torch.randn(offset[rows].shape, generator=generator, dtype=torch.float64)
        networks.append(Network(weights=tuple(weights), biases=tuple(biases) if bias else None))
    return tuple(networks)


def disjoint_pair(
    *, num_layers: int, input_size: int, units: int, num_classes: int, generator: Generator, bias: bool = False
) -> Pair:
    """`disjoint_networks` for two."""
    return Pair(
        *disjoint_networks(
            2,
            num_layers=num_layers,
            input_size=input_size,
            units=units,
            num_classes=num_classes,
            generator=generator,
            bias=bias,
        )
    )


def break_orthogonality(pair: Pair, depth: int, strength: float, generator: Generator) -> Pair:
    r"""A `disjoint_pair` whose model b also reads model a's units in one layer: $W_\ell^b z_{\ell-1}^a \neq 0$.

    Nothing else changes. The new weights meet zeros in model b itself, so that every layer of both models computes what
    it did, and weak additivity holds as before. The merged model's pre-activation is off by exactly
    $\lambda^{\ell-1}(1-\lambda) W_\ell^b z_{\ell-1}^a$ at layer ℓ.

    Raises:
        InputError: ``depth`` is not one of the layers 2…L.
    """
    _check_depth(depth, 2, pair.a.num_layers)
    weights = list(pair.b.weights)
    units = len(pair.a.weights[0]) // 2
    weight = weights[depth - 1].clone()
    rows = slice(None) if depth == pair.b.num_layers else slice(units, None)
    weight[rows, :units] = strength * _normal(weight[rows, :units], generator)
    weights[depth - 1] = weight
    return Pair(pair.a, Network(weights=tuple(weights), biases=pair.b.biases))


def break_additivity(pair: Pair, depth: int, strength: float, generator: Generator) -> Pair:
    r"""A `disjoint_pair` with two more units in hidden layer ``depth`` whose signs differ between the models.

    Model a computes the same in both units and reads neither; model b computes two different things and reads their
    difference. So $W_{\ell+1}^b z_\ell^a = 0$ and $W_{\ell+1}^a z_\ell^b = 0$ all the same: reciprocal
    orthogonality holds in every layer, and weak additivity in every layer but this. For networks without bias.

    Raises:
        InputError: ``depth`` is not one of the hidden layers 1…L−1, or the networks have biases.
    """
    _check_depth(depth, 1, pair.a.num_layers - 1)
    if pair.a.biases is not None:
        raise InputError("pair has biases; make it with bias=False")
    units = len(pair.a.weights[0]) // 2
    changed = []
    for index, network in enumerate(pair):
        weights = list(network.weights)
        incoming, outgoing = weights[depth - 1], weights[depth]
        own = slice(index * units, (index + 1) * units)
        rows = incoming.new_zeros(2, incoming.shape[1])
        block = (slice(None), slice(None) if depth == 1 else own)
        rows[block] = strength * _normal(rows[block], generator)
        columns = outgoing.new_zeros(len(outgoing), 2)
        if index == 0:
            rows[1] = rows[0]
        else:
            reading = slice(None) if depth + 1 == network.num_layers else own
            columns[reading, 0] = _normal(columns[reading, :1], generator)[:, 0]
            columns[reading, 1] = -columns[reading, 0]
        weights[depth - 1] = torch.cat([incoming, rows])
        weights[depth] = torch.cat([outgoing, columns], dim=1)
        changed.append(Network(weights=tuple(weights)))
    return Pair(*changed)


def broken_pairs(pair: Pair, depth: int, generator: Generator) -> dict[str, Pair]:
    """A `disjoint_pair` and the two that break one condition each in layer ``depth`` (2…L−1), by name.

    Raises:
        InputError: ``depth`` is not one of the layers 2…L−1, or the networks have biases.
    """
    _check_depth(depth, 2, pair.a.num_layers - 1)
    return {
        "both conditions hold": pair,
        "orthogonality broken": break_orthogonality(pair, depth, 1.0, generator),
        "additivity broken": break_additivity(pair, depth, 1.0, generator),
    }


def commuting_pair(*, num_layers: int, input_size: int, units: int, num_classes: int, generator: Generator) -> Pair:
    r"""A pair that satisfies weak additivity and commutativity (Definition C.1) exactly and is far from orthogonal.

    Every hidden layer has ``units`` units that compute the same in both models and ``units`` that do not; the latter
    are read with the same weights in both models, so that $(W_\ell^a - W_\ell^b)(z^a - z^b) = 0$. The
    weights into a unit of layers 2…L−1 have one sign, the same in both models; those of layer 1 differ by a positive
    factor. So no unit has opposite signs.

    Raises:
        InputError: a size is not a positive whole number, or ``num_layers`` is below 2.
    """
    for name, size in {"input_size": input_size, "units": units, "num_classes": num_classes}.items():
        check_number(name, size, minimum=1, integer=True)
    check_number("num_layers", num_layers, minimum=2, integer=True)

    def normal(rows: int, columns: int) -> Tensor:
        return _normal(torch.empty(rows, columns, dtype=torch.float64), generator)

    alike, unlike = slice(0, units), slice(units, 2 * units)
    first = normal(2 * units, input_size)
    factors = torch.ones(2 * units, 1, dtype=torch.float64)
    factors[unlike] = 0.5 + torch.rand(units, 1, generator=generator, dtype=torch.float64)
    weights_a, weights_b = [first], [factors * first]
    for depth in range(2, num_layers + 1):
        last = depth == num_layers
        rows = num_classes if last else 2 * units
        a = normal(rows, 2 * units)
        b = a.clone()
        if last:
            b[:, alike] = normal(rows, units)
        else:
            b[unlike, alike] = normal(units, units)
            signs = torch.ones(rows, 1, dtype=torch.float64)
            signs[2::3] = -1
            a, b = signs * a.abs(), signs * b.abs()
            a[alike, unlike] = b[alike, unlike] = 0
        weights_a.append(a)
        weights_b.append(b)
    return Pair(Network(weights=tuple(weights_a)), Network(weights=tuple(weights_b)))


def both_mechanisms(**sizes: Unpack[Sizes]) -> dict[str, Pair]:
    """A `disjoint_pair` and a `commuting_pair` of the same ``sizes``, which are those that both take, by name."""
    return {"orthogonal": disjoint_pair(**sizes), "commuting": commuting_pair(**sizes)}


def _normal(like: Tensor, generator: Generator) -> Tensor:
    """He's initialisation of a block: standard normal times √(2 / inputs)."""
    scale = math.sqrt(2 / max(like.shape[1], 1))
    return scale * torch.randn(like.shape, generator=generator, dtype=torch.float64)


def _check_depth(depth: int, first: int, last: int) -> None:
    check_number("depth", depth, minimum=first, maximum=last, integer=True)
