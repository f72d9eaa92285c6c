"""Permutations of hidden units: a network's symmetry as data, and what can be done with it.

Units that must move together form a *group*: a hidden layer of an MLP, or all the layers that write into one residual
stream. A `PermutationSpec` is a table: for every tensor of the state dict, the group of each of its axes. A
`Permutation` gives each group one index vector, read as a gather: new unit ``i`` is old unit ``permutation[group][i]``.
Nothing here knows an architecture: the tables of ours are in `lmcbook.models`, and `derive_spec` derives one for any
network.
"""

from lmcbook.permutation.actions import apply, compose, gather, identity, invert, random_permutation
from lmcbook.permutation.axes import Axis, Part, Permutation, Stretch, gather_indices, groups_of, stretches
from lmcbook.permutation.preservation import check_function_preserved
from lmcbook.permutation.spec import PermutationSpec
from lmcbook.permutation.tracing import derive_spec

__all__ = [
    "Axis",
    "Part",
    "Permutation",
    "PermutationSpec",
    "Stretch",
    "apply",
    "check_function_preserved",
    "compose",
    "derive_spec",
    "gather",
    "gather_indices",
    "groups_of",
    "identity",
    "invert",
    "random_permutation",
    "stretches",
]
