"""How alike the units of two networks are, group by group, kept up to date while the other groups move."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import InputError
from lmcbook.permutation import (
    Axis,
    Permutation,
    PermutationSpec,
    Stretch,
    gather,
    gather_indices,
    groups_of,
    stretches,
)
from lmcbook.states import StateDict, weight_names

# tensors with fewer elements are measured together
SMALL = 1 << 16
# with fewer, finding what has changed takes longer than computing everything anew
WORTH_UPDATING = 1 << 16


def inner_product(first: Tensor, second: Tensor, rows: int = 1 << 22) -> float:
    """⟨first, second⟩ in float64, without a float64 copy of either if they are large."""
    first, second = first.reshape(-1), second.reshape(-1)
    if len(first) <= rows:
        return float(torch.dot(first.double(), second.double()))
    pairs = zip(first.split(rows), second.split(rows), strict=True)
    return sum(inner_product(left, right, rows) for left, right in pairs)


class Term:
    """One stretch of one axis of one tensor: what it says about the likeness of the units of its group.

    Both tensors are laid out once so that an index of the other moving axis is a block of memory and the product is a
    plain matrix product.
    """

    def __init__(self, name: str, axes: tuple[Axis, ...], axis: int, stretch: Stretch, a: Tensor, b: Tensor) -> None:
        self.name = name
        self.axis = axis
        self.rows = stretch.rows
        moving = [k for k, at in enumerate(axes) if k != axis and groups_of(at)]
        still = [k for k, at in enumerate(axes) if k != axis and not groups_of(at)]
        self.others = tuple((axes[k], a.shape[k]) for k in moving)

        def laid_out(tensor: Tensor) -> Tensor:
            if tensor.ndim == 1 and stretch.units == tensor.shape[0]:
                return tensor[None]
            shape = [*[size for _, size in self.others], -1, stretch.units]
            if stretch.units == tensor.shape[axis]:
                return tensor.permute([*moving, *still, axis]).reshape(shape).contiguous()
            rows = tensor.narrow(axis, stretch.start, stretch.rows).unflatten(axis, (stretch.units, stretch.block))
            # unflattening has moved the later axes by one; the units' axis is `axis`, the block's the next
            order = [*[k + (k > axis) for k in (*moving, *still)], axis + 1, axis]
            return rows.permute(order).reshape(shape).contiguous()

        self.a, self.b = laid_out(a), laid_out(b)
        self._similarity: Tensor | None = None
        self._indices: tuple[Tensor, ...] = ()
        # one other axis, of one group, is what nearly every tensor has
        only = self.others[0][0] if len(self.others) == 1 else None
        self._only = only if isinstance(only, str) else None

    def similarity(self, permutation: Permutation) -> Float[Tensor, "units units"]:
        """⟨row i of a, row j of b⟩ with the other axes of b permuted."""
        if self._only is not None:
            indices: tuple[Tensor, ...] = (permutation[self._only],)
        else:
            indices = tuple(gather_indices(at, rows, permutation) for at, rows in self.others)
        known, before = self._similarity, self._indices
        if known is not None and all(new is old for new, old in zip(indices, before, strict=True)):
            return known
        self._indices = indices
        units = self.a.shape[-1]
        if known is None:
            known = self._similarity = self.a.reshape(-1, units).T @ self._permuted(indices)
        elif len(indices) == 1 and self.b.numel() >= WORTH_UPDATING:
            changed = torch.nonzero(indices[0] != before[0]).reshape(-1)
            # two small gathers and a small product beat the whole matrices up to about half of the rows
            if 2 * changed.shape[0] >= indices[0].shape[0]:
                torch.mm(self.a.reshape(-1, units).T, self._permuted(indices), out=known)
            elif changed.shape[0]:
                new, old = (each[0][changed].to(self.b.device) for each in (indices, before))
                difference = self.b[new].sub_(self.b[old]).reshape(-1, units)
                known.addmm_(self.a[changed.to(self.a.device)].reshape(-1, units).T, difference)
        else:
            torch.mm(self.a.reshape(-1, units).T, self._permuted(indices), out=known)
        return known

    def _permuted(self, indices: tuple[Tensor, ...]) -> Tensor:
        permuted = self.b
        for axis, index in enumerate(indices):
            permuted = permuted.index_select(axis, index.to(permuted.device))
        return permuted.reshape(-1, permuted.shape[-1])


@dataclass
class Group:
    """The terms of one group; a convolution's or linear layer's axis 0 is its outputs, the others are its inputs."""

    name: str
    terms: list[Term]
    constant_out: Tensor | None
    constant_in: Tensor | None
    neighbours: frozenset[str]
    """Groups whose moves change this group's similarities; itself, if a tensor has it on two axes."""

    @classmethod
    def of(cls, name: str, terms: list[Term]) -> "Group":
        """Terms in which nothing else moves are the same for good: one product for all of them."""

        def constant(chosen: list[Term]) -> Tensor | None:
            if not chosen:
                return None
            rows_a, rows_b = (torch.cat([getattr(term, side) for term in chosen]) for side in ("a", "b"))
            return rows_a.T @ rows_b

        fixed = [term for term in terms if not term.others]
        moving = [term for term in terms if term.others]
        return cls(
            name=name,
            terms=moving,
            constant_out=constant([term for term in fixed if term.axis == 0]),
            constant_in=constant([term for term in fixed if term.axis != 0]),
            neighbours=frozenset(group for term in moving for at, _ in term.others for group in groups_of(at)),
        )

    def similarity(self, permutation: Permutation, out_weight: float, in_weight: float) -> Tensor:
        """The weighted sum of all terms: row i is unit i of a, column j unit j of b."""
        parts = [(self.constant_out, out_weight), (self.constant_in, in_weight)]
        for term in self.terms:
            weight = out_weight if term.axis == 0 else in_weight
            parts.append((term.similarity(permutation) if weight else None, weight))
        counted = [(part, weight) for part, weight in parts if part is not None and weight]
        if not counted:  # all it has is of weight 0
            return self.similarity(permutation, 1.0, 1.0)
        total = counted[0][0] * counted[0][1]
        for part, weight in counted[1:]:
            total.add_(part, alpha=weight)
        return total


class Similarities:
    """All groups of a pair of networks, and the objective."""

    def __init__(self, spec: PermutationSpec, state_a: StateDict, state_b: StateDict) -> None:
        self.spec = spec
        self.sizes = check_pair(spec, state_a, state_b)
        # running statistics move with their units, but they are no evidence of likeness
        self.names = weight_names(state_a)
        self.a = {name: state_a[name].detach().float() for name in self.names}
        self.b = {name: state_b[name].detach().float() for name in self.names}
        self.quadratic: dict[str, list[str]] = {group: [] for group in self.sizes}
        """Group → tensors that have it on two axes: there its own move counts twice."""
        self._terms: dict[str, list[Term]] = {group: [] for group in self.sizes}
        # ⟨a, πb⟩ of a tensor is what is still, and the trace of the terms of an axis along which all moves
        self._still = 0.0
        self._traced: list[tuple[str, Term]] = []
        self._direct: list[str] = []
        for name in self.names:
            self._add_terms(name)
        self.groups = {group: Group.of(group, terms) for group, terms in self._terms.items() if terms}
        del self._terms
        self.order = tuple(self.groups)

    def _add_terms(self, name: str) -> None:
        axes, a, b = self.spec.axes[name], self.a[name], self.b[name]
        moving = [axis for axis, at in enumerate(axes) if groups_of(at)]
        if not moving:
            self._still += inner_product(a, b)
        traced = False
        for axis in moving:
            own = []
            for stretch in stretches(axes[axis], a.shape[axis], self.sizes):
                if stretch.group is not None:
                    own.append((stretch.group, Term(name, axes, axis, stretch, a, b)))
                elif len(moving) == 1:
                    stays = [each.narrow(axis, stretch.start, stretch.rows) for each in (a, b)]
                    self._still += inner_product(stays[0], stays[1])
            for group, term in own:
                self._terms[group].append(term)
            if len(moving) > 1 and not traced and sum(term.rows for _, term in own) == a.shape[axis]:
                self._traced += own
                traced = True
        if len(moving) > 1 and not traced:
            self._direct.append(name)
        groups = [group for axis in moving for group in groups_of(axes[axis])]
        for group in dict.fromkeys(groups):
            if groups.count(group) > 1:
                self.quadratic[group].append(name)

    def identity(self) -> Permutation:
        """The permutation that moves nothing."""
        return {group: torch.arange(size) for group, size in self.sizes.items()}

    def similarity(
        self, group: str, permutation: Permutation, *, out_weight: float = 1.0, in_weight: float = 1.0
    ) -> Float[Tensor, "units units"]:
        """What the objective gains for every pair of units of ``group``, all other groups where they are."""
        return self.groups[group].similarity(permutation, out_weight, in_weight)

    def inner(self, names: list[str], permutation: Permutation) -> float:
        """Σ ⟨a, πb⟩ over some tensors, in float64."""
        return sum(
            inner_product(self.a[name], gather(self.b[name], self.spec.axes[name], permutation)) for name in names
        )

    def quick_objective(self, permutation: Permutation) -> float:
        """The objective from the products in float32 that exist already, added up in float64.

        With the exact objective in its place a search takes up to 1.4 times as long (`benchmarks/matching.py
        --objective`).
        """
        columns = {group: indices.cpu().numpy() for group, indices in permutation.items()}
        rows = {group: np.arange(len(indices)) for group, indices in columns.items()}

        def trace(matrix: Tensor, group: str) -> float:
            return float(matrix.cpu().numpy()[rows[group], columns[group]].sum(dtype=np.float64))

        total = self._still + self.inner(self._direct, permutation)
        for name, group in self.groups.items():
            total += sum(
                trace(matrix, name) for matrix in (group.constant_out, group.constant_in) if matrix is not None
            )
        return total + sum(trace(term.similarity(permutation), name) for name, term in self._traced)


def plain_objective(state_a: StateDict, state_b: StateDict) -> float:
    r"""$\sum_t \langle A_t, B_t \rangle$ over the weights, in float64: the objective of the identity.

    Raises:
        InputError: a value is not finite.
    """
    pairs = [(state_a[name].detach(), state_b[name].detach()) for name in weight_names(state_a)]
    objective = sum(inner_product(a, b) for a, b in _in_chunks(pairs))
    if not math.isfinite(objective):
        check_finite_states({"state_a": state_a, "state_b": state_b})
    return objective


def check_finite_states(states: Mapping[str, StateDict]) -> None:
    """Refuse states, by their names in the errors, of which a tensor is infinite or not a number somewhere.

    Raises:
        InputError: names the state and the tensor.
    """
    for label, state in states.items():
        for name, tensor in state.items():
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(f"{label}'s {name} holds values that are not finite; there is nothing to match")


def objective_and_distance(
    spec: PermutationSpec, state_a: StateDict, state_b: StateDict, permutation: Permutation
) -> tuple[float, float]:
    r"""$\sum_t \langle A_t, \pi B_t \rangle$ and ‖A − πB‖ over the weights, in float64 throughout."""
    objective, squared_distance = 0.0, 0.0
    names = weight_names(state_a)
    pairs = ((state_a[name].detach(), gather(state_b[name].detach(), spec.axes[name], permutation)) for name in names)
    for a, b in _in_chunks(pairs):
        objective += inner_product(a, b)
        # b is a copy of its own
        difference = b.sub_(a)
        squared_distance += inner_product(difference, difference)
    return objective, math.sqrt(squared_distance)


def _in_chunks(pairs: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The same as fewer pairs of vectors, for each pair costs more than the arithmetic of a small pair."""
    small: list[tuple[Tensor, Tensor]] = []
    gathered = 0
    for a, b in pairs:
        if a.numel() >= SMALL:
            yield a.reshape(-1), b.reshape(-1)
            continue
        small.append((a.reshape(-1), b.reshape(-1)))
        gathered += a.numel()
        if gathered >= SMALL:
            yield torch.cat([each for each, _ in small]), torch.cat([each for _, each in small])
            small, gathered = [], 0
    if small:
        yield torch.cat([each for each, _ in small]), torch.cat([each for _, each in small])


def check_pair(spec: PermutationSpec, state_a: StateDict, state_b: StateDict) -> dict[str, int]:
    """The sizes of the groups, if the two states can be matched."""
    sizes = spec.groups(state_a)
    if state_a.keys() != state_b.keys():
        spec.groups(state_b)  # tells which tensor is missing
    for name, tensor in state_a.items():
        other = state_b[name]
        if tensor.shape != other.shape:
            raise InputError(
                f"state_b's {name} has shape {tuple(other.shape)}; state_a's has {tuple(tensor.shape)}, and both must "
                "be of one network. Were they trained with the same width_multiplier?"
            )
    if not any(size > 1 for size in sizes.values()):
        why = next(iter(spec.unproved.items()), None)
        reason = f": {why[0]} stays because {why[1]} (see its unproved)" if why else ""
        raise InputError(f"spec has no group of two or more units, so there is nothing to match{reason}")
    return sizes
