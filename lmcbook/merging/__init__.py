"""Merging networks: weighted means of state dictionaries, the merged network's batch norm, and its repair.

Everything here works on any `torch.nn.Module` and its state dictionary, not only on the networks of this package.
"""

from lmcbook.merging.batch_norm import recompute_batch_norm, recompute_batch_norm_
from lmcbook.merging.interpolation import interpolate, merge_many
from lmcbook.merging.merged import merge
from lmcbook.merging.repairing import REPAIRS, Repairer, add_biases, repair

__all__ = [
    "REPAIRS",
    "Repairer",
    "add_biases",
    "interpolate",
    "merge",
    "merge_many",
    "recompute_batch_norm",
    "recompute_batch_norm_",
    "repair",
]
