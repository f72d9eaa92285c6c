"""A few vectors of every example, and the norms and cosines of their combinations, read off their inner products."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, float64

from lmcbook.layerwise.running_sums import root_of_ratio

LITTLE_LEFT = 1e-3
"""Where less than this share of the terms' squares is left of a combination's, its digits have cancelled."""


class Gram:
    r"""The inner products of $k$ vectors of each example: one product of matrices instead of several passes per norm.

    The layerwise metrics of a layer are norms of two dozen combinations of a few vectors, such as
    $\lambda^\ell f_\ell^a + (1-\lambda)^\ell f_\ell^b - \bar f_\ell$. With $G$ the matrix of inner
    products, $\lVert \sum_i c_i v_i \rVert^2 = c^\top G c$, in float64. Where the terms cancel (`LITTLE_LEFT`), the
    combination itself is added up, so that a law that holds exactly is seen to hold exactly.

    Args:
        vectors: tensors of one shape (examples, units, positions…); of each example, all units and positions are one
            vector. Inner products are computed in their precision.
    """

    def __init__(self, vectors: Sequence[Float[Tensor, "examples units *positions"]]) -> None:
        self._vectors = torch.stack([each.flatten(1) for each in vectors], dim=1)
        self._products = (self._vectors @ self._vectors.mT).double()

    def norms(self, combinations: Float[Tensor, "combinations vectors"]) -> Float[Tensor, "examples combinations"]:
        """The norm of each combination of the vectors, given by its coefficients; float64."""
        combinations = combinations.to(self._products)
        squares = self._forms(combinations, combinations)
        terms = self._products.diagonal(dim1=1, dim2=2) @ combinations.square().T
        norms = squares.clamp(min=0).sqrt()
        cancelled = squares < LITTLE_LEFT * terms
        for index in cancelled.any(0).nonzero().flatten().tolist():
            examples = cancelled[:, index].nonzero().flatten()
            norms[examples, index] = self._added_up(examples, combinations[index].expand(len(examples), -1))
        return norms

    def cosines(
        self, first: Float[Tensor, "pairs vectors"], second: Float[Tensor, "pairs vectors"]
    ) -> Float[Tensor, "examples pairs"]:
        r"""The cosine between the two combinations of each pair; float64.

        Near 1, where a quotient of an inner product and two norms has lost its digits, it is
        $1 - \lVert u/\lVert u\rVert - v/\lVert v\rVert \rVert^2 / 2$. The lengths may be of any ratio: in layer 20 the
        LEWC prediction may be $2^{20}$ times smaller than the merged layer. Where both vectors are zero they agree: 1.
        Where only one is, there is no direction to agree with: 0.
        """
        first, second = first.to(self._products), second.to(self._products)
        norms, other_norms = self.norms(first), self.norms(second)
        lengths = norms * other_norms
        cosines = self._forms(first, second) / torch.where(lengths == 0, 1.0, lengths)
        near = (1 - cosines < LITTLE_LEFT) & (lengths != 0)
        for index in near.any(0).nonzero().flatten().tolist():
            examples = near[:, index].nonzero().flatten()
            units = first[index] / norms[examples, index, None] - second[index] / other_norms[examples, index, None]
            cosines[examples, index] = 1 - self._added_up(examples, units).square() / 2
        agree = ((norms == 0) & (other_norms == 0)).double()
        return torch.where(lengths == 0, agree, cosines.clamp(-1, 1))

    def _forms(self, first: Tensor, second: Tensor) -> Tensor:
        # of all examples and pairs of combinations at once
        forms = (first.unsqueeze(2) * second.unsqueeze(1)).flatten(1)
        return self._products.flatten(1) @ forms.T

    def _added_up(self, examples: Tensor, coefficients: Tensor) -> Tensor:
        vectors = self._vectors if len(examples) == len(self._vectors) else self._vectors[examples]
        sums = torch.bmm(coefficients.to(vectors).unsqueeze(1), vectors)
        return torch.linalg.vector_norm(sums.squeeze(1), dim=1).to(float64)


class CombinationSums:
    """Norms and cosines of named combinations of a few vectors, summed over the examples, batch by batch.

    Args:
        norms: name → coefficients of a combination whose norm is wanted.
        cosines: name → the two combinations whose cosine is wanted.
    """

    def __init__(self, norms: Mapping[str, Tensor], cosines: Mapping[str, tuple[Tensor, Tensor]] | None = None) -> None:
        cosines = cosines or {}
        self._norm_index = {name: index for index, name in enumerate(norms)}
        self._cosine_index = {name: index for index, name in enumerate(cosines)}
        self._combinations = torch.stack(list(norms.values()))
        self._pairs = [torch.stack([pair[side] for pair in cosines.values()]) for side in (0, 1)] if cosines else None
        self._squares = torch.zeros(len(norms), dtype=float64)
        self._cosines = torch.zeros(len(cosines), dtype=float64)
        self._examples = 0

    def add(self, vectors: Sequence[Tensor]) -> None:
        """Take in one batch of the vectors, in the order of the coefficients."""
        gram = Gram(vectors)
        # on the device of the batch until they are read: a GPU need not wait for sums
        self._squares = self._squares.to(vectors[0].device) + gram.norms(self._combinations).square().sum(0)
        if self._pairs is not None:
            self._cosines = self._cosines.to(vectors[0].device) + gram.cosines(*self._pairs).sum(0)
        self._examples += len(vectors[0])

    def ratio(self, numerator: str, denominator: str) -> float:
        """Root mean square norm of one combination over that of another; NaN or infinite where it does not exist."""
        over, under = (self._squares[self._norm_index[name]].item() for name in (numerator, denominator))
        return root_of_ratio(over, under)

    def cosine(self, name: str) -> float:
        """The mean over the examples of the cosines of a pair; NaN without examples."""
        return self._cosines[self._cosine_index[name]].item() / self._examples if self._examples else float("nan")
