"""Which units of one network are those of another: by their weights, by their activations, for two networks or many."""

from lmcbook.matching.weight_matching import EFFORTS, STARTS, Matching, weight_matching

__all__ = ["EFFORTS", "STARTS", "Matching", "weight_matching"]
