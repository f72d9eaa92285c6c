"""The line between two networks: the logits of the merged networks on it, computed once for all that asks for them."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from lmcbook.errors import check_number
from lmcbook.errors.arguments import checked_but_classes
from lmcbook.evaluation.prediction import merged_logits, predict_logits, shares_first_layer
from lmcbook.merging import interpolate
from lmcbook.models.examples import as_examples, as_images
from lmcbook.states import StateDict, has_batch_norm

MOST_BYTES_KEPT = 2 * 1024**3
"""Logits are kept up to this: 25 λ of a million examples with 20 classes. Beyond it only those of 0, ½ and 1."""


class Logits(NamedTuple):
    """What a network answers to both sets of examples."""

    calibration: Float[Tensor, "calibration classes"]
    test: Float[Tensor, "test classes"]


def logits_of(model: nn.Module, state: StateDict, parts: Sequence[Tensor], *, batch_size: int = 1000) -> Logits:
    """What a network answers to the images of calibration and of test examples.

    Raises:
        InputError: as `predict_logits`.
    """
    return Logits(*(predict_logits(model, state, images, batch_size=batch_size) for images in parts))


class Line:
    """The networks λθᵃ + (1−λ)θᵇ, with the examples that their inverse temperature is fitted and measured on.

    What measures a pair takes a line. The logits of a λ are computed when they are first asked for and kept, so that
    curve, calibration, temperatures and flatness of one pair walk it once.

    Args:
        calibration: examples that neither network was trained on, in any form that `as_examples` takes.
        test: examples that nothing is fitted on.
        batch_norm_images: un-augmented training images, in any form that `as_images` takes, from which batch norm is
            recomputed at every λ, the ends included; needed if the network has batch norm.

    Raises:
        InputError: the examples or images have none of these forms.
    """

    @checked_but_classes
    def __init__(
        self,
        model: nn.Module,
        state_a: StateDict,
        state_b: StateDict,
        *,
        calibration: Any,
        test: Any,
        batch_norm_images: Any = None,
        batch_size: int = 1000,
    ) -> None:
        self.model, self.state_a, self.state_b = model, state_a, state_b
        self.calibration, self.test = as_examples("calibration", calibration), as_examples("test", test)
        self.batch_norm_images = None
        if batch_norm_images is not None:
            self.batch_norm_images = as_images("batch_norm_images", batch_norm_images)
        self.batch_size = batch_size
        self._kept: dict[float, Logits] = {}

    @property
    def labels(self) -> tuple[Tensor, Tensor]:
        """Of the calibration and of the test examples."""
        return self.calibration.labels, self.test.labels

    def walk(self, coefficients: Iterable[float]) -> Iterator[tuple[float, Logits]]:
        """λ and the logits there, in the order of ``coefficients``; what is not known is computed on the way.

        Raises:
            InputError: as `predict_logits_along`.
        """
        coefficients = list(coefficients)
        for coefficient in coefficients:
            check_number("coefficients", coefficient, minimum=0, maximum=1)
        logits_at = None
        for coefficient in coefficients:
            found = self._kept.get(coefficient)
            if found is None:
                logits_at = logits_at or merged_logits(
                    self.model,
                    self.state_a,
                    self.state_b,
                    self._images,
                    batch_norm_images=self.batch_norm_images,
                    batch_size=self.batch_size,
                )
                found = self._keep(coefficient, Logits(*logits_at(coefficient)))
            yield coefficient, found

    def logits(self, coefficient: float) -> Logits:
        """The logits at one λ.

        Raises:
            InputError: as `predict_logits_along`.
        """
        return next(self.walk([coefficient]))[1]

    def logits_of_weights(self, coefficient: float) -> Logits:
        """The logits of the merged weights themselves: those of `logits` but for rounding.

        They differ where the line shares the products of its first layer; elsewhere they are the same, and kept.

        Raises:
            InputError: as `predict_logits_along`.
        """
        if not shares_first_layer(self.model, self.state_a, self._images):
            return self.logits(coefficient)
        return self._predict(interpolate(self.state_a, self.state_b, coefficient))

    @cached_property
    def trained(self) -> tuple[Logits, Logits]:
        """The logits of a and of b with the batch-norm statistics that they were trained with."""
        if has_batch_norm(self.model):
            return self._predict(self.state_a), self._predict(self.state_b)
        return self.logits(1.0), self.logits(0.0)

    @property
    def _images(self) -> list[Tensor]:
        return [self.calibration.images, self.test.images]

    def _predict(self, state: StateDict) -> Logits:
        return logits_of(self.model, state, self._images, batch_size=self.batch_size)

    def _keep(self, coefficient: float, logits: Logits) -> Logits:
        size = sum(part.numel() * part.element_size() for part in logits)
        if coefficient in (0, 0.5, 1) or size * (len(self._kept) + 1) <= MOST_BYTES_KEPT:
            self._kept[coefficient] = logits
        return logits
