"""All layerwise metrics of one pair, gathered batch by batch, so that the widest networks fit into memory."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, relu

from lmcbook.layerwise.lewc import (
    cosines_of_norms,
    cosines_of_unequal,
    exponent_of,
    lewc_prediction,
    llfc_prediction,
)
from lmcbook.layerwise.second_moments import (
    active_share,
    evenly_chosen,
    expected_overlap,
    histogram,
    overlap,
    quantiles,
)
from lmcbook.layerwise.streaming import Mean, RatioOfNorms, UnitSecondMoments, example_norms, finite_or_none
from lmcbook.layerwise.weak_additivity import are_opposite
from lmcbook.models import LayerTrace

MAX_UNITS = 1024
"""At most so many units' root second moments stand in a record; histogram and quantiles are of all of them."""

METRICS: dict[str, str] = {
    "lewc_cosine": "cosine of the merged layer with the LEWC prediction, mean over examples (Fig. 3 at λ = ½)",
    "llfc_cosine": "cosine of the merged layer with the LLFC prediction, mean over examples; the same at λ = ½",
    "lewc_error": "distance of the merged layer from the LEWC prediction, relative to the prediction",
    "llfc_error": "distance of the merged layer from the LLFC prediction, relative to the prediction",
    "decay_exponent": "−log₂ of the merged layer's norm relative to ‖f(a) + f(b)‖, at λ = ½; LEWC says ℓ, LLFC says 1",
    "output_norm": "root mean square norm of the merged layer, relative to that of the two models' layers",
    "weak_additivity": "cosine of the two sides of Definition 5.1 at λ = ½, mean over examples (Fig. 4)",
    "weak_additivity_error": "distance of the two sides of Definition 5.1 at λ = ½, relative to the right side",
    "opposite_signs": "share of pre-activations with opposite signs in the two models",
    "positive_a": "share of positive pre-activations in model a",
    "positive_b": "share of positive pre-activations in model b",
    "reciprocal_orthogonality": "root mean square of the two directions below",
    "reciprocal_orthogonality_of_b_on_a": "‖W_b z_a‖ / ‖W_a z_a‖ (Definition 5.2, Fig. 8)",
    "reciprocal_orthogonality_of_a_on_b": "‖W_a z_b‖ / ‖W_b z_b‖ (Definition 5.2, Fig. 8)",
    "commutativity": "‖(W_a − W_b)(z_a − z_b)‖ / ‖W_a z_a + W_b z_b‖ (Definition C.1, Fig. 10)",
    "overlap": "Σ min(p, q) of the two models' normalised second moments of pre-activations",
    "expected_overlap": "the same for model b's units in random order, exact mean",
    "active_share_a": "share of units that carry 90 % of the second moment in model a",
    "active_share_b": "share of units that carry 90 % of the second moment in model b",
    "weight_norm_ratio": "‖W_b‖_F / ‖W_a‖_F",
    "stable_rank_a": "‖W_a‖_F² / ‖W_a‖₂²",
    "stable_rank_b": "‖W_b‖_F² / ‖W_b‖₂²",
    "effective_rank_a": "exponential of the entropy of W_a's normalised singular values",
    "effective_rank_b": "exponential of the entropy of W_b's normalised singular values",
    "relative_stable_rank_a": "stable rank of W_a relative to the smaller of its sides",
    "relative_stable_rank_b": "stable rank of W_b relative to the smaller of its sides",
    "relative_effective_rank_a": "effective rank of W_a relative to the smaller of its sides",
    "relative_effective_rank_b": "effective rank of W_b relative to the smaller of its sides",
}
"""Every metric that `measure_layers` writes, in words."""


class ConnectivityAccumulator:
    """One layer of one merged model: how far it is from LEWC and from LLFC."""

    def __init__(self, depth: int, coefficient: float) -> None:
        self.depth = depth
        self.coefficient = coefficient
        self._cosines = {"lewc": Mean(), "llfc": Mean()}
        self._errors = {"lewc": RatioOfNorms(), "llfc": RatioOfNorms()}
        self._linear = RatioOfNorms()
        self._norm_a, self._norm_b = RatioOfNorms(), RatioOfNorms()

    def add(self, merged: Tensor, output_a: Tensor, output_b: Tensor, norms_a: Tensor, norms_b: Tensor) -> None:
        """Take in one batch of the layer's outputs, with the `example_norms` of the two models' own."""
        norms = example_norms(merged)
        for name, exponent in (("lewc", self.depth), ("llfc", 1)):
            if name == "lewc" or self.depth > 1:  # in layer 1 both laws say the same
                prediction = lewc_prediction(output_a, output_b, self.coefficient, exponent)
                predicted_norms = example_norms(prediction)
                cosines = cosines_of_unequal(merged, prediction, norms, predicted_norms)
                differences = example_norms(prediction.sub_(merged))
            self._cosines[name].add(cosines)
            self._errors[name].add(differences, predicted_norms)
        self._linear.add(norms, predicted_norms)
        self._norm_a.add(norms_a, norms)
        self._norm_b.add(norms_b, norms)

    def metrics(self) -> dict[str, float | None]:
        """The layer's metrics over all batches."""
        found = {f"{name}_cosine": mean.value for name, mean in self._cosines.items()}
        found |= {f"{name}_error": ratio.value for name, ratio in self._errors.items()}
        squares = self._norm_a.value**2 + self._norm_b.value**2
        found["output_norm"] = (2 / squares) ** 0.5 if squares else math.nan
        if self.coefficient == 0.5:
            # the LLFC prediction is half of f(a) + f(b)
            found["decay_exponent"] = exponent_of(self._linear.value / 2)
        return {name: finite_or_none(value) for name, value in found.items()}


class LayerAccumulator:
    """One layer of the two endpoints: the conditions, and which units are active."""

    def __init__(self, name: str, depth: int, *, hidden: bool, activation: Callable[[Tensor], Tensor] = relu) -> None:
        self.name, self.depth, self._hidden, self._activation = name, depth, hidden, activation
        self._additivity_cosine, self._additivity_error = Mean(), RatioOfNorms()
        self._opposite, self._positive = Mean(), (Mean(), Mean())
        self._moments = UnitSecondMoments(), UnitSecondMoments()
        self._b_on_a, self._a_on_b, self._commutativity = RatioOfNorms(), RatioOfNorms(), RatioOfNorms()

    def add(self, trace_a: LayerTrace, trace_b: LayerTrace) -> None:
        """Take in one batch of a hidden layer's pre-activations; the classifier has no activation to be additive."""
        if not self._hidden:
            return
        before_a, before_b = trace_a.pre_activation, trace_b.pre_activation
        # the right side of Definition 5.1 needs no activation: the outputs are there
        of_mean = self._activation(llfc_prediction(before_a, before_b, 0.5))
        mean = llfc_prediction(trace_a.output, trace_b.output, 0.5)
        norms, mean_norms = example_norms(of_mean), example_norms(mean)
        differences = example_norms(mean.sub_(of_mean))
        self._additivity_cosine.add(cosines_of_norms(norms, mean_norms, differences))
        self._additivity_error.add(differences, mean_norms)
        self._opposite.add(are_opposite(before_a, before_b))
        for before, positive, moments in zip((before_a, before_b), self._positive, self._moments, strict=True):
            positive.add(before > 0)
            moments.add(before)

    def add_products(self, a_on_a: Tensor, b_on_b: Tensor, a_on_b: Tensor, b_on_a: Tensor) -> None:
        """Take in one batch of the four products; ``b_on_a`` is model b's weights on model a's input."""
        if self.depth == 1:
            return
        self._b_on_a.add(example_norms(b_on_a), example_norms(a_on_a))
        self._a_on_b.add(example_norms(a_on_b), example_norms(b_on_b))
        own = a_on_a + b_on_b
        own_norms = example_norms(own)
        self._commutativity.add(example_norms(own.sub_(a_on_b).sub_(b_on_a)), own_norms)

    def metrics(self) -> dict[str, float | None]:
        """The layer's metrics over all batches."""
        found: dict[str, float] = {}
        if self._hidden:
            moments_a, moments_b = (moments.value for moments in self._moments)
            found |= {
                "weak_additivity": self._additivity_cosine.value,
                "weak_additivity_error": self._additivity_error.value,
                "opposite_signs": self._opposite.value,
                "positive_a": self._positive[0].value,
                "positive_b": self._positive[1].value,
                "overlap": overlap(moments_a, moments_b),
                "expected_overlap": expected_overlap(moments_a, moments_b),
                "active_share_a": active_share(moments_a),
                "active_share_b": active_share(moments_b),
            }
        if self.depth > 1:
            directions = self._b_on_a.value, self._a_on_b.value
            found |= {
                "reciprocal_orthogonality": (sum(ratio**2 for ratio in directions) / 2) ** 0.5,
                "reciprocal_orthogonality_of_b_on_a": directions[0],
                "reciprocal_orthogonality_of_a_on_b": directions[1],
                "commutativity": self._commutativity.value,
            }
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

    @property
    def hidden(self) -> bool:
        """Whether an activation follows."""
        return self._hidden


def entry(
    name: str, depth: int | None, metrics: Mapping[str, float | None], *, coefficient: float | None = None, **more: Any
) -> dict[str, Any]:
    """One entry of ``data["layers"]`` of a record; ``coefficient`` is λ of the merged model, if there is one."""
    return {"layer": name, "depth": depth, "coefficient": coefficient, "metrics": dict(metrics), **more}
