"""What one network loses when it is averaged with a shuffled copy of itself: the sibling that nobody has to train.

The order of a network's units means nothing to it. If the units of two networks are exchangeable, a network and a copy
of it with its units in random order are to each other what two independent trainings are, as far as their cross-talk
goes. So the average of the two tells of a merge before there is anything to merge with. This is ours, not the paper's.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from torch import Generator, nn

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.errors import InputError, check_choice, check_number
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.metrics import accuracy, loss
from lmcbook.evaluation.prediction import predict_logits
from lmcbook.layerwise import measure_layers, symmetry_of
from lmcbook.merging import REPAIRS, add_biases, merge
from lmcbook.models.examples import Examples, as_examples, as_images
from lmcbook.permutation import PermutationSpec, apply, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, has_batch_norm

_BARRED = ("accuracy", "calibrated_loss")
_EXAMPLES_OF_LAYERS = 2000
_OF_LAYERS = ("decay_exponent", "reciprocal_orthogonality")


@checked
def self_merge(
    model: nn.Module,
    state: StateDict,
    *,
    calibration: Any,
    test: Any,
    images: Any = None,
    spec: PermutationSpec | None = None,
    repair: str = "none",
    draws: int = 3,
    generators: Sequence[Generator] | None = None,
) -> dict[str, Any]:
    r"""The merge at λ = ½ of a network with copies of itself whose units stand in random order.

    The result has ``"own"``, of the network itself, ``"merged"``, a list with the same of each merge, and
    ``"accuracy_barrier"`` and ``"calibrated_loss_barrier"``, what the merges lose in the mean (a fraction, nats). Of a
    network: ``accuracy`` and ``loss`` on the test examples, ``inverse_temperature`` β fitted on the calibration
    examples, and ``calibrated_loss``, the test loss with it; losses in nats. Of a merge that is not repaired also
    ``layers``, with ``decay_exponent`` and ``reciprocal_orthogonality`` of each layer on at most 2,000 test images, or
    None where there is none.

    Args:
        model: the network; its own weights do not count.
        state: the network's weights.
        calibration: examples that it was not trained on, in any form that `lmcbook.models.examples.as_examples` takes.
        test: examples that nothing is fitted on.
        images: un-augmented training images, without labels; needed for batch norm and for a repair.
        spec: the table of the network's symmetry; by default that of its architecture, or what
            `lmcbook.derive_spec` finds.
        repair: one of `lmcbook.merging.REPAIRS`.
        draws: how many orders are drawn.
        generators: one for each draw; by default random streams that are the same in every call.

    Raises:
        InputError: as `lmcbook.merge`, there are no ``draws``, or not one generator for each of them.
    """
    check_choice("repair", repair, REPAIRS)
    check_number("draws", draws, minimum=1, integer=True)
    if generators is None:
        generators = [random_stream(0, "self-merge", draw) for draw in range(draws)]
    if len(generators) != draws:
        raise InputError(f"generators holds {len(generators)}; give one for each of {draws} draws")
    fitted, judged = as_examples("calibration", calibration), as_examples("test", test)
    if images is not None:
        images = as_images("images", images)
    spec = symmetry_of(model, judged.images) if spec is None else spec
    return Midpoints(model, fitted, judged).with_copies(state, spec, generators, images=images, repair=repair)


class Midpoints:
    """Merges at λ = ½ on the same examples; a network by itself is measured once for all its merges.

    Args:
        model: the networks' module; its own weights do not count.
        calibration: examples that inverse temperatures are fitted on.
        test: examples that everything else is measured on.
    """

    def __init__(self, model: nn.Module, calibration: Examples, test: Examples) -> None:
        self._model, self._calibration, self._test = model, calibration, test
        self._known: dict[tuple[int, int | None], tuple[StateDict, Any, dict[str, Any]]] = {}

    def with_copies(
        self,
        state: StateDict,
        spec: PermutationSpec,
        generators: Sequence[Generator],
        *,
        images: Any = None,
        repair: str = "none",
    ) -> dict[str, Any]:
        """A network with copies of itself, one for each generator: what `self_merge` returns."""
        copies = (apply(spec, random_permutation(spec, state, generator), state) for generator in generators)
        merged = [self._average(state, copy, images, repair) for copy in copies]
        own = self._own(state, images)
        return {"own": own, "merged": merged, **_barriers([own], merged)}

    def of_pair(
        self, state_a: StateDict, state_b: StateDict, *, images: Any = None, repair: str = "none"
    ) -> dict[str, Any]:
        """Two networks, in the words of `self_merge`: what that is a prediction of.

        ``"own"`` is a list of both networks, ``"merged"`` one of their merge; barriers are against the mean of the two.
        """
        merged = [self._average(state_a, state_b, images, repair)]
        own = [self._own(state, images) for state in (state_a, state_b)]
        return {"own": own, "merged": merged, **_barriers(own, merged)}

    def _own(self, state: StateDict, images: Any) -> dict[str, Any]:
        # at an end of the line the network is itself, with its batch norm recomputed as that of a merge is
        key = (id(state), id(images) if has_batch_norm(self._model) else None)
        if key not in self._known:
            end = merge(self._model, state, state, 1, images)
            self._known[key] = (state, images, self._worth(self._model, end))  # what is held keeps its id
        return self._known[key][-1]

    def _average(self, state_a: StateDict, state_b: StateDict, images: Any, repair: str) -> dict[str, Any]:
        average = merge(self._model, state_a, state_b, 0.5, images, repair=repair)
        if repair != "none":
            return self._worth(add_biases(self._model), average)
        layers = _layers(self._model, state_a, state_b, average, self._test.images[:_EXAMPLES_OF_LAYERS])
        return {**self._worth(self._model, average), "layers": layers}

    def _worth(self, model: nn.Module, state: StateDict) -> dict[str, Any]:
        calibration, test = self._calibration, self._test
        fit = fit_inverse_temperature(predict_logits(model, state, calibration.images), calibration.labels)
        logits = predict_logits(model, state, test.images)
        beta = fit.inverse_temperature
        return {
            "accuracy": accuracy(logits, test.labels),
            "loss": loss(logits, test.labels),
            "inverse_temperature": beta,
            "calibrated_loss": loss(logits, test.labels, inverse_temperature=beta),
        }


def _barriers(own: Sequence[dict[str, Any]], merged: Sequence[dict[str, Any]]) -> dict[str, float]:
    means = [{name: fmean(each[name] for each in group) for name in _BARRED} for group in (own, merged)]
    return {
        "accuracy_barrier": means[0]["accuracy"] - means[1]["accuracy"],
        "calibrated_loss_barrier": means[1]["calibrated_loss"] - means[0]["calibrated_loss"],
    }


def _layers(
    model: nn.Module, state: StateDict, shuffled: StateDict, average: StateDict, images: Any
) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for entry in measure_layers(model, state, shuffled, {0.5: average}, images, ranks=False):
        of_layer = found.setdefault(entry["layer"], {"layer": entry["layer"], "depth": entry["depth"]})
        of_layer |= {name: entry["metrics"][name] for name in _OF_LAYERS if name in entry["metrics"]}
    return [dict.fromkeys(_OF_LAYERS) | each for each in found.values()]
