"""The optimiser of a training: stochastic gradient descent with momentum and coupled L2 decay, or AdamW."""

import torch
from torch import nn

from lmcbook.states import batch_norm_modules
from lmcbook.training.config import TrainingConfig


def optimiser_of(model: nn.Module, config: TrainingConfig, *, fused: bool = True) -> torch.optim.Optimizer:
    """SGD or AdamW over all parameters; those of batch norm form their own group, so that the decay can leave them out.

    Args:
        fused: one kernel for the whole update, or (where tensors are spread over processes) one for each operation.
    """
    normalisation = [
        parameter
        for module in dict.fromkeys(batch_norm_modules(model).values())
        for parameter in module.parameters(recurse=False)
    ]
    known = set(map(id, normalisation))
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    groups = [{"params": others, "weight_decay": config.weight_decay}]
    if normalisation:
        decay = config.weight_decay if config.decay_normalisation else 0.0
        groups.append({"params": normalisation, "weight_decay": decay})
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate, fused=fused)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=fused)
