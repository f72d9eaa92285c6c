"""How large a network is, and what one forward pass costs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lmcbook.models.layered import LayeredModel
from lmcbook.states import evaluation_mode, with_state


def num_parameters(model: nn.Module) -> int:
    """The number of learnable parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def forward_flops(model: LayeredModel, input_shape: tuple[int, int, int]) -> int:
    """Floating-point operations of the forward pass of one example: two for every multiply-add of a linear map."""
    with torch.no_grad(), evaluation_mode(model), FlopCounterMode(display=False) as counter:
        _without_memory(model)(_image(model, input_shape))
    return counter.get_total_flops()


def trace_bytes(model: LayeredModel, input_shape: tuple[int, int, int]) -> int:
    """Memory that the trace of one example holds: every layer's input, linear output, pre-activation and output."""
    with torch.no_grad(), evaluation_mode(model):
        scan = _without_memory(model)(_image(model, input_shape), trace=True)
    held = {id(tensor): tensor for layer in scan for tensor in layer[2:]}
    return sum(tensor.numel() * tensor.element_size() for tensor in held.values())


def _without_memory(model: LayeredModel) -> Callable[..., Any]:
    return with_state(model, {name: tensor.to("meta") for name, tensor in model.state_dict().items()})


def _image(model: LayeredModel, input_shape: tuple[int, int, int]) -> Tensor:
    return torch.empty(1, *input_shape, device="meta", dtype=next(model.parameters()).dtype)
