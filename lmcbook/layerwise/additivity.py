"""Weak additivity for ReLU (Definition 5.1): does the activation of a mean equal the mean of the activations?"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, relu

from lmcbook.errors import InputError, described, one_line
from lmcbook.errors.machine import of_the_machine
from lmcbook.errors.tensors import checked_tensors
from lmcbook.layerwise.lewc import llfc_prediction, mean_cosine, relative_error
from lmcbook.layerwise.running_sums import Mean

Activation = Callable[[Tensor], Tensor]


@checked_tensors
def weak_additivity_sides(
    pre_activations_a: Float[Tensor, "examples units *positions"],
    pre_activations_b: Float[Tensor, "examples units *positions"],
    coefficient: float = 0.5,
    activation: Activation = relu,
) -> tuple[Float[Tensor, "examples units *positions"], Float[Tensor, "examples units *positions"]]:
    r"""Both sides of Definition 5.1: $\sigma(\lambda \tilde z^a + (1-\lambda) \tilde z^b)$ and
    $\lambda\sigma(\tilde z^a) + (1-\lambda)\sigma(\tilde z^b)$.

    Raises:
        InputError: ``activation`` is no function of the entries of a tensor.
    """
    mean = llfc_prediction(pre_activations_a, pre_activations_b, coefficient)
    of_a, of_b, of_mean = (_activated(activation, each) for each in (pre_activations_a, pre_activations_b, mean))
    return of_mean, llfc_prediction(of_a, of_b, coefficient)


def _activated(activation: Activation, pre_activations: Tensor) -> Tensor:
    try:
        found = activation(pre_activations)
    except Exception as error:
        if of_the_machine(error):
            raise
        raise InputError(f"activation fails ({one_line(error, 200)}); it must take a tensor") from error
    if not isinstance(found, Tensor) or found.shape != pre_activations.shape:
        raise InputError(f"activation gives {described(found)}; it must give a tensor of the shape that it was given")
    return found


@checked_tensors
def weak_additivity(
    pre_activations_a: Float[Tensor, "examples units *positions"],
    pre_activations_b: Float[Tensor, "examples units *positions"],
    coefficient: float = 0.5,
    activation: Activation = relu,
) -> float:
    """The mean cosine between the two sides of Definition 5.1 (Fig. 4, at λ = ½); 1 where it holds.

    Independent standard Gaussians give 0.9304 (Theorem 5.4, `lmcbook.theory.gaussian_cosine`).
    """
    return mean_cosine(*weak_additivity_sides(pre_activations_a, pre_activations_b, coefficient, activation))


@checked_tensors
def weak_additivity_error(
    pre_activations_a: Float[Tensor, "examples units *positions"],
    pre_activations_b: Float[Tensor, "examples units *positions"],
    coefficient: float = 0.5,
    activation: Activation = relu,
) -> float:
    """The norm of the difference of the two sides of Definition 5.1, relative to the right side; 0 where it holds."""
    return relative_error(*weak_additivity_sides(pre_activations_a, pre_activations_b, coefficient, activation))


@checked_tensors
def opposite_signs(
    pre_activations_a: Float[Tensor, "examples units *positions"],
    pre_activations_b: Float[Tensor, "examples units *positions"],
) -> float:
    """The share of units (and positions, and examples) whose pre-activations have opposite signs in the two models.

    For ReLU, Definition 5.1 holds for one λ inside (0, 1), and then for all, exactly if this is 0. Two random signs
    give ½, however little the units matter: read it beside the cosine.
    """
    return Mean().add(are_opposite(pre_activations_a, pre_activations_b)).value


def are_opposite(pre_activations_a: Tensor, pre_activations_b: Tensor) -> Tensor:
    """Where one of the two is positive and the other negative."""
    # weight decay leaves units of 1e-25 behind, whose plain product would round to 0; an overflow keeps its sign
    return (pre_activations_a * 1e30).mul_(pre_activations_b) < 0
