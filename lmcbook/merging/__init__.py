"""Merging networks: weighted means of state dictionaries, and the batch-norm statistics of the merged network.

Everything here works on any `torch.nn.Module` and its state dictionary, not only on the networks of this package.
"""

from lmcbook.merging.batch_norm import has_batch_norm, merge, recompute_batch_norm, recompute_batch_norm_
from lmcbook.merging.interpolation import interpolate, merge_many
from lmcbook.merging.states import check_same_tensors, fit_state

__all__ = [
    "check_same_tensors",
    "fit_state",
    "has_batch_norm",
    "interpolate",
    "merge",
    "merge_many",
    "recompute_batch_norm",
    "recompute_batch_norm_",
]
