"""Which units of one network are those of another: by their weights, by their activations, for two networks or many."""

from lmcbook.matching.by_activations import Observe, activation_matching, observe_layers, observe_modules
from lmcbook.matching.by_weights import EFFORTS, STARTS, Matching, weight_matching
from lmcbook.matching.many import ManyMatching, merge_many_matching

__all__ = [
    "EFFORTS",
    "STARTS",
    "ManyMatching",
    "Matching",
    "Observe",
    "activation_matching",
    "merge_many_matching",
    "observe_layers",
    "observe_modules",
    "weight_matching",
]
