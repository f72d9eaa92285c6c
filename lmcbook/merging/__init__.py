"""Merging networks: weighted means of state dictionaries, and the batch-norm statistics of the merged network.

Everything here works on any `torch.nn.Module` and its state dictionary, not only on the networks of this package.
"""

from lmcbook.merging.batch_norm import merge, recompute_batch_norm, recompute_batch_norm_
from lmcbook.merging.interpolation import interpolate, merge_many

__all__ = [
    "interpolate",
    "merge",
    "merge_many",
    "recompute_batch_norm",
    "recompute_batch_norm_",
]
