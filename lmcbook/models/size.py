"""How large a network is, and what one forward pass costs."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lmcbook.models.layered import LayeredModel
from lmcbook.permutation import evaluation_mode


def num_parameters(model: nn.Module) -> int:
    """The number of learnable parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def forward_flops(model: LayeredModel, input_shape: tuple[int, int, int]) -> int:
    """Floating-point operations of the forward pass of one example: two for every multiply-add of a linear map."""
    state = {name: tensor.to("meta") for name, tensor in model.state_dict().items()}
    images = torch.empty(1, *input_shape, device="meta", dtype=next(model.parameters()).dtype)
    with torch.no_grad(), evaluation_mode(model), FlopCounterMode(display=False) as counter:
        torch.func.functional_call(model, state, (images,))
    return counter.get_total_flops()
