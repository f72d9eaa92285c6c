"""Multi-layer perceptron: any depth, equal hidden layers, without bias, normalisation or skips unless asked for."""

import math
from itertools import pairwise

import torch
from torch import nn

from lmcbook.errors import InputError
from lmcbook.models.groups import chain_permutation_spec, spec_from_groups
from lmcbook.models.layered import ACTIVATIONS, Layer, LayeredModel, scaled_width
from lmcbook.permutation import PermutationSpec
from lmcbook.training.config import TrainingConfig


def mlp(config: TrainingConfig, input_shape: tuple[int, int, int], num_classes: int) -> LayeredModel:
    """Layers hidden1 … hidden{L−1} of round(hidden_width · width_multiplier) units, and the classifier.

    With ``skip`` each of hidden2 … hidden{L−1} is a residual block of one layer: what it reads is added to its
    normalised pre-activation. With ``centred_rows`` the initial weights are projected by `centre_rows_`.

    Raises:
        InputError: the configuration does not say how wide or how deep.
    """
    if config.hidden_width is None or config.num_layers is None:
        raise InputError(
            f"hidden_width and num_layers are {config.hidden_width} and {config.num_layers}; an mlp needs both, "
            "for example 512 units and 4 layers"
        )
    width = scaled_width(config.hidden_width, config.width_multiplier)
    widths = [math.prod(input_shape), *[width] * (config.num_layers - 1), num_classes]
    layers = {}
    for depth, (units_in, units_out) in enumerate(pairwise(widths), start=1):
        last = depth == config.num_layers
        skips = config.skip and not last and depth > 1
        layers["classifier" if last else f"hidden{depth}"] = Layer(
            nn.Linear(units_in, units_out, bias=config.bias),
            prepare=nn.Flatten() if depth == 1 else None,
            normalisation=None if last else _normalisation(config.normalisation, units_out),
            activation=None if last else ACTIVATIONS[config.activation],
            opens_skip=skips,
            closes_skip=skips,
        )
    model = LayeredModel(layers)
    if config.centred_rows:
        centre_rows_(model)
    return model


def _normalisation(kind: str, units: int) -> nn.Module | None:
    if kind == "none":
        return None
    return nn.BatchNorm1d(units) if kind == "batch" else nn.LayerNorm(units)


def centre_rows_(model: LayeredModel) -> None:
    r"""Project every weight that reads hidden units to rows that sum to 0, in place: $W \leftarrow W(I - 11^\top/n)$.

    Such a layer does not see what all units have in common. The first layer, which reads pixels, is not changed.
    """
    with torch.no_grad():
        for name in model.layer_names[1:]:
            weight = model.linear(name).weight
            weight.sub_(weight.mean(dim=1, keepdim=True))


def mlp_permutation_spec(model: LayeredModel) -> PermutationSpec:
    """One group per hidden layer; one for all of them where skips add their units to each other's."""
    names = model.layer_names
    if not any(model.layer(name).closes_skip for name in names):
        return chain_permutation_spec(model)
    middle = {name: ("stream", "stream") for name in names[1:-1]}
    return spec_from_groups(model, {names[0]: (None, "stream"), **middle, names[-1]: ("stream", None)})
