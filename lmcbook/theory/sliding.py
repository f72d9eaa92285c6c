"""Two constructed networks of which some units are the same: between LEWC's theorem and LLFC's; ours."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lmcbook.errors import check_number
from lmcbook.layerwise import decay_exponent
from lmcbook.theory.checks import condition_errors, law_errors
from lmcbook.theory.networks import Network, merged, run
from lmcbook.theory.pairs import Pair


def sliding_pair(dense: Pair, shared_units: int) -> Pair:
    r"""Two networks of n hidden units per layer, ``shared_units`` of them in common, made from two dense networks.

    The common units read the input and each other with the first network's weights; each network's other units read
    the input and each other with its own. So for 0 shared units both conditions of Theorem 5.3 hold exactly, and for n
    the two networks are one; a unit, once shared, stays the same as more are shared. Hidden layers have
    2n − ``shared_units`` units: a's own, the common units, b's own.

    Args:
        dense: two networks without biases, of n hidden units in every layer.
        shared_units: 0…n.

    Raises:
        InputError: ``shared_units`` is not one of these.
    """
    units = len(dense.a.weights[0])
    check_number("shared_units", shared_units, minimum=0, maximum=units, integer=True)
    common, own = slice(0, shared_units), slice(shared_units, units)
    places_a, places = slice(0, units - shared_units), slice(units - shared_units, units)
    places_b = slice(units, 2 * units - shared_units)
    width = 2 * units - shared_units
    weights: tuple[list[Tensor], list[Tensor]] = ([], [])
    last = dense.a.num_layers
    for depth, weight_a in enumerate(dense.a.weights, start=1):
        rows, columns = weight_a.shape
        for index, (network, own_places) in enumerate(zip(dense, (places_a, places_b), strict=True)):
            weight = weight_a.new_zeros(rows if depth == last else width, columns if depth == 1 else width)
            for of_network, of_pair, from_network in ((dense.a, places, common), (network, own_places, own)):
                size = from_network.stop - from_network.start
                # fewer inputs, larger weights: units keep their size, and each unit contributes equally to the logits
                scale = 1.0 if depth in (1, last) or size == 0 else math.sqrt(units / size)
                block = (
                    slice(None) if depth == last else of_pair,
                    slice(None) if depth == 1 else of_pair,
                )
                source = (
                    slice(None) if depth == last else from_network,
                    slice(None) if depth == 1 else from_network,
                )
                weight[block] = scale * of_network.weights[depth - 1][source]
            weights[index].append(weight)
    return Pair(*(Network(weights=tuple(each)) for each in weights))


def dense_pair(*, num_layers: int, input_size: int, units: int, num_classes: int, generator: Generator) -> Pair:
    """Two networks without biases whose weights are standard normal times √(2 / inputs), He's initialisation.

    Raises:
        InputError: a size is not a positive whole number, or ``num_layers`` is below 2.
    """
    for name, size in {"input_size": input_size, "units": units, "num_classes": num_classes}.items():
        check_number(name, size, minimum=1, integer=True)
    check_number("num_layers", num_layers, minimum=2, integer=True)
    sizes = [input_size, *[units] * (num_layers - 1), num_classes]

    def network() -> Network:
        shapes = zip(sizes[1:], sizes[:-1], strict=True)
        return Network(
            weights=tuple(
                math.sqrt(2 / columns) * torch.randn(rows, columns, generator=generator, dtype=torch.float64)
                for rows, columns in shapes
            )
        )

    return Pair(network(), network())


def slide(dense: Pair, shared_units: Iterable[int], inputs: Float[Tensor, "examples inputs"]) -> list[dict[str, float]]:
    """What becomes of both laws and their conditions at λ = ½ while two networks come to share their units.

    A row for each number of shared units and layer: ``shared_units``, ``units`` (of each network), ``depth``,
    ``decay_exponent`` (LEWC says ``depth``, LLFC says 1), ``off_lewc`` and ``off_llfc`` (the distance from each law,
    relative to the merged layer), ``orthogonality`` and ``commutativity`` (0 where they hold, NaN in layer 1).

    Raises:
        InputError: a number of shared units lies outside 0 and the networks' own.
    """
    rows = []
    for shared in shared_units:
        pair = sliding_pair(dense, shared)
        traces = [run(network, inputs) for network in (*pair, merged(pair, (0.5, 0.5)))]
        conditions, laws = condition_errors(pair, inputs), law_errors(pair, inputs)
        for index, (of_a, of_b, of_merged) in enumerate(zip(*traces, strict=True)):
            rows.append(
                {
                    "shared_units": shared,
                    "units": len(dense.a.weights[0]),
                    "depth": index + 1,
                    "decay_exponent": decay_exponent(of_merged.output, of_a.output, of_b.output),
                    "off_lewc": laws["LEWC"][index].item(),
                    "off_llfc": laws["LLFC"][index].item(),
                    "orthogonality": conditions["orthogonality"][index].item(),
                    "commutativity": conditions["commutativity"][index].item(),
                }
            )
    return rows
