"""Is it flatness? The loss along random directions as long as the line between two networks, and beside that line."""

from lmcbook.evaluation.flatness.directions import (
    RESCALINGS,
    difference,
    displaced,
    gaussian_direction,
    length_of,
    rescaled,
)
from lmcbook.evaluation.flatness.study import KINDS, flatness_study

__all__ = [
    "KINDS",
    "RESCALINGS",
    "difference",
    "displaced",
    "flatness_study",
    "gaussian_direction",
    "length_of",
    "rescaled",
]
