"""Pairs of networks that use the same units, with their cross-talk made to order; ours, not the paper's."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lmcbook.errors import InputError, check_number
from lmcbook.layerwise import relative_error
from lmcbook.theory.checks import halfway_exponents, two_networks
from lmcbook.theory.networks import Network, merged, run
from lmcbook.theory.one_law import line_factors
from lmcbook.theory.pairs import Pair

Answers = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]
r"""(depth, $\tilde z^a$, $\tilde z^b$) ↦ ($W^a z^b$, $W^b z^a$), all (examples, outputs)."""


def overlapping_pair(
    inputs: Float[Tensor, "examples inputs"],
    answers: Answers,
    *,
    num_layers: int,
    units: int,
    num_classes: int,
    generator: Generator,
) -> Pair:
    r"""Two networks whose hidden units are on or off together, with the given cross-talk on the given inputs.

    For every input, half of the units are on in both networks (at random) and the others off in both, so that weak
    additivity holds exactly. The weights solve $W^a z^a = \tilde z^a$ and $W^a z^b =$ ``answers``
    for all inputs at once, plus a random part that no input reaches. With answers of 0 the weights of each network are
    orthogonal to the other's features as vectors: no unit is silent in either.

    Raises:
        InputError: a size is not a positive whole number, or there are too many inputs for the equations to be solved:
            at most as many as ``input_size``, and a quarter of the ``units``.
    """
    for name, size in {"num_classes": num_classes, "units": units}.items():
        check_number(name, size, minimum=1, integer=True)
    check_number("num_layers", num_layers, minimum=2, integer=True)
    examples, input_size = inputs.shape
    most = min(input_size, units // 4)
    if examples > most:
        raise InputError(f"inputs holds {examples} examples; at most {most} can be told apart with these sizes")
    widths = [input_size, *[units] * (num_layers - 1), num_classes]
    weights: tuple[list[Tensor], list[Tensor]] = ([], [])
    signals = inputs, inputs
    for depth, (columns, rows) in enumerate(pairwise(widths), start=1):
        own_a, own_b = _pre_activations(examples, rows, generator)
        if depth == 1:
            read, wanted = inputs, (own_a, own_b)
        else:
            a_on_b, b_on_a = answers(depth, own_a, own_b)
            read = torch.cat(signals)
            wanted = torch.cat([own_a, a_on_b.expand_as(own_a)]), torch.cat([b_on_a.expand_as(own_b), own_b])
        inverse = torch.linalg.pinv(read)
        unread = torch.eye(columns, dtype=torch.float64) - inverse @ read
        for of_network, target in zip(weights, wanted, strict=True):
            free = torch.randn(rows, columns, generator=generator, dtype=torch.float64) / columns**0.5
            of_network.append((inverse @ target).T + free @ unread)
        signals = own_a.relu(), own_b.relu()
    return Pair(*(Network(weights=tuple(each)) for each in weights))


def silent(depth: int, own_a: Tensor, own_b: Tensor) -> tuple[Tensor, Tensor]:
    """Answers for `overlapping_pair`: reciprocal orthogonality."""
    return torch.zeros_like(own_b), torch.zeros_like(own_a)


def mixed(others: Sequence[float], owns: Sequence[float]) -> Answers:
    r"""Answers for `overlapping_pair`: $W^a z^b = \kappa'\,\tilde z^b + \kappa''\,\tilde z^a$, and mirrored.

    Args:
        others: $\kappa'_2, \dots, \kappa'_L$.
        owns: $\kappa''_2, \dots, \kappa''_L$.
    """

    def answers(depth: int, own_a: Tensor, own_b: Tensor) -> tuple[Tensor, Tensor]:
        of_owner, of_reader = others[depth - 2], owns[depth - 2]
        return of_owner * own_b + of_reader * own_a, of_owner * own_a + of_reader * own_b

    return answers


def constant(strength: float, generator: Generator, varying: float = 0.0) -> Answers:
    """Answers for `overlapping_pair`: random, the same for all inputs; plus ``varying`` that differs between them."""

    def answers(depth: int, own_a: Tensor, own_b: Tensor) -> tuple[Tensor, Tensor]:
        def drawn(rows: int) -> Tensor:
            return torch.randn(rows, own_a.shape[1], generator=generator, dtype=torch.float64)

        a_on_b, b_on_a = (strength * drawn(1) + varying * drawn(len(own_a)) for _ in range(2))
        return a_on_b, b_on_a

    return answers


def mixed_exponents(
    kappa: float,
    inputs: Float[Tensor, "examples inputs"],
    *,
    num_layers: int,
    units: int,
    num_classes: int,
    generator: Generator,
) -> Float[Tensor, " layers"]:
    """The decay exponent of every layer of a merged pair whose cross-talk adds up to κ times the signal, at λ = ½.

    Half of it is what the features' owner makes of them, half is the reader's own.
    """
    halves = [kappa / 2] * (num_layers - 1)
    pair = overlapping_pair(
        inputs,
        mixed(halves, halves),
        num_layers=num_layers,
        units=units,
        num_classes=num_classes,
        generator=generator,
    )
    return halfway_exponents(pair, inputs)


def line_checks(
    coefficient: float,
    inputs: Float[Tensor, "examples inputs"],
    *,
    num_layers: int,
    units: int,
    num_classes: int,
    generator: Generator,
) -> dict[str, dict[str, Float[Tensor, " layers"]]]:
    """How far three pairs with the same κ = ½ are from the law along the line at one λ; ours.

    The pairs differ in whose answers the cross-talk resembles. For each the errors of every layer, relative to the
    layer: of the law with the pair's own κ' and κ'', and of the law with the two exchanged, which has the same sums.
    """
    found = {}
    for of_owner, of_reader in ((0.5, 0.0), (0.4, 0.1), (0.0, 0.5)):
        others, owns = [of_owner] * (num_layers - 1), [of_reader] * (num_layers - 1)
        pair = overlapping_pair(
            inputs,
            mixed(others, owns),
            num_layers=num_layers,
            units=units,
            num_classes=num_classes,
            generator=generator,
        )
        layers = list(
            zip(*(run(each, inputs) for each in (*pair, merged(pair, two_networks([coefficient])[0]))), strict=True)
        )
        found[f"κ′ = {of_owner:g}, κ″ = {of_reader:g}"] = {
            said: torch.tensor(
                [
                    relative_error(share_a * of_a.output + share_b * of_b.output, of_merged.output)
                    for (share_a, share_b), (of_a, of_b, of_merged) in zip(factors.tolist(), layers, strict=True)
                ],
                dtype=torch.float64,
            )
            for said, factors in (
                ("the proposition", line_factors(coefficient, others, owns)),
                ("the same with κ′ and κ″ exchanged", line_factors(coefficient, owns, others)),
            )
        }
    return found


def _pre_activations(examples: int, rows: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Random weights of both networks with the same signs and, in each unit, different sizes."""
    first, second = torch.randn(2, examples, rows, generator=generator, dtype=torch.float64)
    return first, first.sign() * second.abs()
