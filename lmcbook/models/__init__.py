"""Networks of named layers: MLP, VGG-11, ResNet-20, ResNet-50, and a table to which a reader adds another."""

from lmcbook.models.architectures import ARCHITECTURES, Architecture, build_model, permutation_spec
from lmcbook.models.groups import chain_permutation_spec, spec_from_groups
from lmcbook.models.layered import ACTIVATIONS, Layer, LayeredModel, LayerTrace, Shortcut, scaled_width
from lmcbook.models.scan import (
    layer_outputs,
    linear_map,
    pre_activations,
    steps,
    trace,
)
from lmcbook.models.size import forward_flops, num_parameters, trace_bytes

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURES",
    "Architecture",
    "Layer",
    "LayerTrace",
    "LayeredModel",
    "Shortcut",
    "build_model",
    "chain_permutation_spec",
    "forward_flops",
    "layer_outputs",
    "linear_map",
    "num_parameters",
    "permutation_spec",
    "pre_activations",
    "scaled_width",
    "spec_from_groups",
    "steps",
    "trace",
    "trace_bytes",
]
