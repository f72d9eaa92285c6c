"""All layerwise metrics of one pair, gathered batch by batch, so that the widest networks fit into memory."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmcbook.layerwise.additivity import are_opposite
from lmcbook.layerwise.inner_products import CombinationSums
from lmcbook.layerwise.lewc import exponent_of, lewc_prediction, llfc_prediction
from lmcbook.layerwise.running_sums import Mean, UnitSecondMoments, finite_or_none
from lmcbook.layerwise.unit_moments import (
    active_share,
    evenly_chosen,
    expected_overlap,
    histogram,
    overlap,
    quantiles,
)
from lmcbook.models import LayerTrace

MAX_UNITS = 1024
"""At most this many units' root second moments stand in a record; histogram and quantiles cover all units."""

METRICS: dict[str, str] = {
    "lewc_cosine": "cosine of the merged layer with the LEWC prediction, mean over examples (Fig. 3 at λ = ½)",
    "llfc_cosine": "cosine of the merged layer with the LLFC prediction, mean over examples; the same at λ = ½",
    "lewc_error": "distance of the merged layer from the LEWC prediction, relative to the prediction",
    "llfc_error": "distance of the merged layer from the LLFC prediction, relative to the prediction",
    "decay_exponent": "−log₂ of the merged layer's norm relative to ‖fᵃ + fᵇ‖, at λ = ½; LEWC says ℓ, LLFC says 1",
    "output_norm": "root mean square norm of the merged layer, relative to that of the two models' layers",
    "weak_additivity": "cosine of the two sides of Definition 5.1 at λ = ½, mean over examples (Fig. 4)",
    "weak_additivity_error": "distance of the two sides of Definition 5.1 at λ = ½, relative to the right side",
    "opposite_signs": "share of pre-activations with opposite signs in the two models",
    "positive_a": "share of positive pre-activations in model a",
    "positive_b": "share of positive pre-activations in model b",
    "reciprocal_orthogonality": "root mean square of the two directions below",
    "reciprocal_orthogonality_of_b_on_a": "‖W^b z^a‖ / ‖W^a z^a‖ (Definition 5.2, Fig. 8)",
    "reciprocal_orthogonality_of_a_on_b": "‖W^a z^b‖ / ‖W^b z^b‖ (Definition 5.2, Fig. 8)",
    "commutativity": "‖(W^a − W^b)(z^a − z^b)‖ / ‖W^a z^a + W^b z^b‖ (Definition C.1, Fig. 10)",
    "overlap": "Σ min(p, q) of the two models' normalised second moments of pre-activations",
    "expected_overlap": "the same for model b's units in random order, exact mean",
    "active_share_a": "share of units that carry 90 % of the second moment in model a",
    "active_share_b": "share of units that carry 90 % of the second moment in model b",
    "weight_norm_ratio": "‖W^b‖_F / ‖W^a‖_F",
    "stable_rank_a": "‖W^a‖_F² / ‖W^a‖₂²",
    "stable_rank_b": "‖W^b‖_F² / ‖W^b‖₂²",
    "effective_rank_a": "exponential of the entropy of W^a's normalised singular values",
    "effective_rank_b": "exponential of the entropy of W^b's normalised singular values",
    "relative_stable_rank_a": "stable rank of W^a relative to the smaller of its sides",
    "relative_stable_rank_b": "stable rank of W^b relative to the smaller of its sides",
    "relative_effective_rank_a": "effective rank of W^a relative to the smaller of its sides",
    "relative_effective_rank_b": "effective rank of W^b relative to the smaller of its sides",
}
"""Every metric that `measure_layers` writes, in words."""


class LayerAccumulator:
    """One layer of the two endpoints and of their merged models: the laws, the conditions, the active units.

    Args:
        depth: ℓ, counted from 1; None for a shortcut, of which only the conditions are measured.
        coefficients: λ of each merged model.
        activation: what follows the layer; None where nothing does.
        has_products: whether the conditions on the weights are measured.
    """

    def __init__(
        self,
        depth: int | None,
        coefficients: Sequence[float] = (),
        *,
        activation: Callable[[Tensor], Tensor] | None,
        has_products: bool,
    ) -> None:
        self.hidden, self.has_products = activation is not None, has_products
        self._activation = activation
        self._outputs = _laws(depth or 1, coefficients, hidden=self.hidden)
        self._products = _conditions()
        self._opposite, self._positive = Mean(), (Mean(), Mean())
        self._moments = UnitSecondMoments(), UnitSecondMoments()

    def add(self, trace_a: LayerTrace, trace_b: LayerTrace, merged_outputs: Sequence[Tensor] = ()) -> None:
        """Take in one batch: the endpoints' layer, and the outputs of each merged model's."""
        outputs = [trace_a.output, trace_b.output, *merged_outputs]
        if self._activation is not None:
            before_a, before_b = trace_a.pre_activation, trace_b.pre_activation
            # the right side of Definition 5.1 needs no activation: the outputs are there
            outputs.append(self._activation(llfc_prediction(before_a, before_b, 0.5)))
            self._opposite.add(are_opposite(before_a, before_b))
            for before, positive, moments in zip((before_a, before_b), self._positive, self._moments, strict=True):
                positive.add(before > 0)
                moments.add(before)
        self._outputs.add(outputs)

    def add_products(self, a_on_a: Tensor, b_on_b: Tensor, a_on_b: Tensor, b_on_a: Tensor) -> None:
        """Take in one batch of the four products; ``b_on_a`` is model b's weights on model a's input."""
        self._products.add([a_on_a, b_on_b, a_on_b, b_on_a])

    def metrics(self) -> dict[str, float | None]:
        """The endpoints' metrics over all batches."""
        found: dict[str, float] = {}
        if self.hidden:
            moments_a, moments_b = (moments.value for moments in self._moments)
            found |= {
                "weak_additivity": self._outputs.cosine("additivity"),
                "weak_additivity_error": self._outputs.ratio("additivity difference", "mean"),
                "opposite_signs": self._opposite.value,
                "positive_a": self._positive[0].value,
                "positive_b": self._positive[1].value,
                "overlap": overlap(moments_a, moments_b),
                "expected_overlap": expected_overlap(moments_a, moments_b),
                "active_share_a": active_share(moments_a),
                "active_share_b": active_share(moments_b),
            }
        if self.has_products:
            directions = self._products.ratio("b on a", "a on a"), self._products.ratio("a on b", "b on b")
            found |= {
                "reciprocal_orthogonality": (sum(ratio**2 for ratio in directions) / 2) ** 0.5,
                "reciprocal_orthogonality_of_b_on_a": directions[0],
                "reciprocal_orthogonality_of_a_on_b": directions[1],
                "commutativity": self._products.ratio("difference", "own"),
            }
        return {name: finite_or_none(value) for name, value in found.items()}

    def merged_metrics(self, coefficient: float) -> dict[str, float | None]:
        """The metrics of the merged model with this λ over all batches: how far the layer is from LEWC and LLFC."""
        outputs, merged = self._outputs, f"merged {coefficient}"
        found: dict[str, float] = {}
        for law in ("lewc", "llfc"):
            found[f"{law}_cosine"] = outputs.cosine(f"{law} {coefficient}")
            found[f"{law}_error"] = outputs.ratio(f"{law} {coefficient} difference", f"{law} {coefficient}")
        squares = outputs.ratio("a", merged) ** 2 + outputs.ratio("b", merged) ** 2
        found["output_norm"] = (2 / squares) ** 0.5 if squares else math.nan
        if coefficient == 0.5:
            # the LLFC prediction is half of fᵃ + fᵇ
            found["decay_exponent"] = exponent_of(outputs.ratio(merged, f"llfc {coefficient}") / 2)
        return {name: finite_or_none(value) for name, value in found.items()}

    def units(self) -> dict[str, Any]:
        """Root second moments for the figures: a fair sample of units, the same in both models, and all in brief."""
        result: dict[str, Any] = {}
        for model, moments in zip("ab", self._moments, strict=True):
            roots = moments.value.sqrt()
            counts, edges = histogram(roots)
            chosen = evenly_chosen(len(roots), MAX_UNITS)
            result[model] = {
                "num_units": len(roots),
                # six digits are more than a figure shows, and keep the records small
                "root_second_moments": [float(f"{value:.6g}") for value in roots[chosen].tolist()],
                "quantiles": {f"{quantile:g}": value for quantile, value in quantiles(roots).items()},
                "histogram": {"counts": counts.tolist(), "largest": edges[-1].item()},
            }
        return result


def entry(
    name: str, depth: int | None, metrics: Mapping[str, float | None], *, coefficient: float | None = None, **more: Any
) -> dict[str, Any]:
    """One entry of ``data["layers"]`` of a record; ``coefficient`` is λ of the merged model, if there is one."""
    return {"layer": name, "depth": depth, "coefficient": coefficient, "metrics": dict(metrics), **more}


def _laws(depth: int, coefficients: Sequence[float], *, hidden: bool) -> CombinationSums:
    # of the vectors fᵃ, fᵇ, one f̄ for each λ, and of a hidden layer the activation of the mean
    basis = torch.eye(2 + len(coefficients) + hidden, dtype=torch.float64)
    a, b = basis[0], basis[1]
    norms, cosines = {"a": a, "b": b}, {}
    for merged, coefficient in zip(basis[2:], coefficients, strict=False):
        norms[f"merged {coefficient}"] = merged
        laws = {
            "lewc": lewc_prediction(a, b, coefficient, depth),
            "llfc": llfc_prediction(a, b, coefficient),
        }
        for law, prediction in laws.items():
            name = f"{law} {coefficient}"
            norms |= {name: prediction, f"{name} difference": prediction - merged}
            cosines[name] = prediction, merged
    if hidden:
        mean, of_mean = llfc_prediction(a, b, 0.5), basis[-1]
        norms |= {"mean": mean, "additivity difference": mean - of_mean}
        cosines["additivity"] = mean, of_mean
    return CombinationSums(norms, cosines)


def _conditions() -> CombinationSums:
    # of the four products of the two models' weights and inputs
    products = dict(zip(("a on a", "b on b", "a on b", "b on a"), torch.eye(4, dtype=torch.float64), strict=True))
    own = products["a on a"] + products["b on b"]
    return CombinationSums(products | {"own": own, "difference": own - products["a on b"] - products["b on a"]})
