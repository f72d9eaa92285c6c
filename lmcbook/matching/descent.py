"""Block coordinate descent over linear assignments: one group after another until nothing moves."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from lmcbook.matching.assignment import RepeatedAssignment
from lmcbook.matching.similarity import Similarities
from lmcbook.permutation import Permutation

# Gains below this share of what a group contributes are rounding of the products in float32. The objective is the
# difference of gains of either sign, so that the bound must be on their absolute sum.
SMALLEST_GAIN = 1e-7


class Descent:
    """A permutation on its way, with all that makes the next step cheap.

    Attributes:
        permutation: where it is now.
        sweeps: passes over the groups so far; groups whose neighbours stand still are skipped in them.
        gains: of the objective, one for every accepted step of full weight since `restart`.
    """

    def __init__(self, similarities: Similarities, permutation: Permutation, tick: Callable[[], object]) -> None:
        self.similarities = similarities
        self.permutation = dict(permutation)
        self.sweeps = 0
        self.gains: list[float] = []
        self._tick = tick
        self._assignments = {group: RepeatedAssignment() for group in similarities.order}
        self._neighbours = {group: sorted(similarities.groups[group].neighbours) for group in similarities.order}
        self._moves = dict.fromkeys(similarities.order, 0)
        self._solved: dict[str, object] = {}

    def restart(self, permutation: Permutation) -> None:
        """Go on from another place."""
        for group in self.similarities.order:
            if not torch.equal(self.permutation[group], permutation[group]):
                self._moves[group] += 1
        self.permutation = dict(permutation)
        self.gains = []

    def polish(self, order: Callable[[], Sequence[str]]) -> None:
        """Sweep until no group can be improved: a fixed point, at which the objective has not fallen once."""
        while self.sweep(order()):
            pass

    def sweep(self, order: Sequence[str], *, out_weight: float = 1.0, in_weight: float = 1.0) -> bool:
        """Improve each group in turn; whether any moved. Weights other than 1 climb another objective."""
        self.sweeps += 1
        moved = [self._improve(group, out_weight, in_weight) for group in order]
        return any(moved)

    def _improve(self, group: str, out_weight: float, in_weight: float) -> bool:
        if self._solved.get(group) == self._position(group, out_weight, in_weight):
            return False
        similarities, before = self.similarities, self.permutation[group]
        similarity = similarities.similarity(group, self.permutation, out_weight=out_weight, in_weight=in_weight)
        found = self._assignments[group].solve(similarity)
        values = similarity.cpu().numpy()
        rows = np.arange(len(values))
        new, old = (values[rows, columns.numpy()].astype(np.float64) for columns in (found, before))
        gain, scale = float((new - old).sum()), float(np.abs(old).sum())
        quadratic = similarities.quadratic[group]
        if quadratic and gain > 0:
            gain, scale = self._exact_gain(group, found)
        moved = gain > SMALLEST_GAIN * scale
        if moved:
            self.permutation[group] = found
            self._moves[group] += 1
            if out_weight == in_weight == 1.0:
                self.gains.append(gain)
        self._solved[group] = self._position(group, out_weight, in_weight)
        self._tick()
        return moved

    def _exact_gain(self, group: str, found: torch.Tensor) -> tuple[float, float]:
        """A group on two axes of a tensor is linear in neither, so its step is taken only if it is one upwards."""
        names = list(dict.fromkeys(name for name, _ in self.similarities.spec.members(group)))
        names = [name for name in names if name in self.similarities.a]
        before = self.similarities.inner(names, self.permutation)
        after = self.similarities.inner(names, {**self.permutation, group: found})
        return after - before, abs(before)

    def _position(self, group: str, out_weight: float, in_weight: float) -> object:
        return (out_weight, in_weight, self._moves[group], *[self._moves[name] for name in self._neighbours[group]])
