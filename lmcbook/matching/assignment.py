"""Linear assignment, solved again and again for one group whose similarities change little from time to time."""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

# Each round costs one pass over the matrix; four were the fastest on trained MLPs, whose assignments are the hardest.
RELAXATIONS = 4
# Below this number of units an assignment takes less time than what would speed it up.
WORTH_WARMING = 128


class RepeatedAssignment:
    r"""Maximise $\sum_i S_{i, \pi(i)}$ over permutations π, exactly, and remember what speeds up the next time.

    A solution comes with potentials, numbers for rows and columns whose subtraction from the costs leaves the optimal
    assignment unchanged and its entries at zero. scipy's solver takes no start, but costs from which the potentials of
    a similar problem are subtracted are solved in about half the time.
    """

    def __init__(self) -> None:
        self._potentials: NDArray[np.float32] | None = None

    def solve(self, similarity: Float[Tensor, "units units"]) -> Int[Tensor, " units"]:
        """The column of every row; the optimum is of ``similarity`` to the last bit of float64."""
        matrix = similarity.detach().cpu().numpy()
        if len(matrix) < WORTH_WARMING:
            return torch.from_numpy(linear_sum_assignment(matrix, maximize=True)[1]).long()
        cost = -matrix.astype(np.float32, copy=False)
        shifted = cost.astype(np.float64)
        if self._potentials is not None:
            shifted -= self._potentials
        shifted -= shifted.min(axis=1, keepdims=True)
        shifted -= shifted.min(axis=0)
        columns = linear_sum_assignment(shifted)[1]
        del shifted
        self._relax(cost, columns)
        return torch.from_numpy(columns).long()

    def _relax(self, cost: NDArray[np.float32], columns: NDArray[np.int64]) -> None:
        matched = cost[np.arange(len(cost)), columns]
        potentials = np.zeros(len(cost), np.float32) if self._potentials is None else self._potentials
        reduced = np.empty_like(cost)
        for _ in range(RELAXATIONS):
            rows = matched - potentials[columns]
            potentials = np.subtract(cost, rows[:, None], out=reduced).min(axis=0)
        self._potentials = potentials
