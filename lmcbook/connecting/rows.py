"""One row of the answer: how good a network is, and what it lost against its parents, with a standard error."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import hypot
from statistics import fmean, stdev
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.connecting.inputs import Inputs
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, loss
from lmcbook.evaluation.line import Logits
from lmcbook.randomness import random_stream

RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How good one network, or the ensemble, is on the test examples.

    Losses are mean cross-entropies in nats (of a regression, mean squared errors), accuracies fractions. β and the
    calibrated loss are fitted on the calibration examples. What a regression has not is None.
    """

    name: str
    label: str
    """What stands in the table."""
    coefficient: float | None
    """λ, the weight of a; None for the parents."""
    loss: float
    accuracy: float | None = None
    calibrated_loss: float | None = None
    inverse_temperature: float | None = None
    lost: float | None = None
    """The parents' accuracy, weighted by λ and 1−λ, minus this row's: a fraction, below 0 for a gain."""
    standard_error: float | None = None
    """Of ``lost`` (of ``loss_gained`` in a regression), by resampling images; the same images in all rows."""
    loss_gained: float | None = None
    """This row's loss minus the parents', in the mean with the same weights."""
    loss_standard_error: float | None = None
    calibrated_loss_gained: float | None = None
    """The same of calibrated losses, calibrated parents included."""
    over_better: float | None = None
    """This row's accuracy minus that of the better parent: a fraction."""
    over_better_error: float | None = None
    """Standard error of ``over_better``, of the same images."""
    seconds: float = 0.0
    passes: int = 0
    """Images that went forward through a network for it."""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A row, with the outcome of every image."""

    row: Row
    right: Float[Tensor, " examples"] | None
    losses: Float[Tensor, " examples"]


def score(
    inputs: Inputs,
    logits: Logits,
    *,
    name: str,
    label: str,
    coefficient: float | None = None,
    parents: Sequence[Scored] = (),
    seconds: float = 0.0,
    passes: int = 0,
    note: str = "",
    seed: int = 0,
) -> Scored:
    """Measure logits as a row, against the two parents if they are given.

    Raises:
        InputError: the logits are not finite or do not fit the labels.
    """
    labels = inputs.test.labels
    found: dict[str, Any]
    right: Tensor | None = None
    if inputs.task == "classification":
        fit = fit_inverse_temperature(logits.calibration, inputs.calibration.labels)
        beta = fit.inverse_temperature
        found = {
            "loss": loss(logits.test, labels),
            "accuracy": accuracy(logits.test, labels),
            "calibrated_loss": loss(logits.test, labels, inverse_temperature=beta),
            "inverse_temperature": beta,
        }
        right = (logits.test.argmax(dim=1) == labels).double()
        losses = torch.nn.functional.cross_entropy(logits.test.double(), labels, reduction="none")
    else:
        if logits.test.shape != labels.shape:
            raise InputError(
                f"test's labels have shape {tuple(labels.shape)} and the model returns {tuple(logits.test.shape)}; a "
                "regression needs a number for each output"
            )
        losses = (logits.test.double() - labels.double()).square().mean(dim=1)
        found = {"loss": float(losses.mean())}
        if not bool(torch.isfinite(losses).all()):
            raise InputError("the model's outputs are infinite or no number on test; look for a training that diverged")
    if parents and coefficient is not None:
        a, b = parents
        gained = losses - (coefficient * a.losses + (1 - coefficient) * b.losses)
        found |= {"loss_gained": float(gained.mean()), "loss_standard_error": bootstrap_error(gained, seed)}
        found["standard_error"] = found["loss_standard_error"]
        if right is not None and a.right is not None and b.right is not None:
            lost = coefficient * a.right + (1 - coefficient) * b.right - right
            before = [parent.row.calibrated_loss or 0.0 for parent in parents]
            straight = coefficient * before[0] + (1 - coefficient) * before[1]
            better = a.right if a.right.mean() >= b.right.mean() else b.right
            found |= {
                "lost": float(lost.mean()),
                "standard_error": bootstrap_error(lost, seed),
                "calibrated_loss_gained": found["calibrated_loss"] - straight,
                "over_better": float((right - better).mean()),
                "over_better_error": bootstrap_error(right - better, seed),
            }
    row = Row(
        name=name, label=label, coefficient=coefficient, seconds=seconds, passes=passes, note=note, **found
    )  # fmt: skip
    return Scored(row=row, right=right, losses=losses)


def mean_of(
    found: Sequence[Scored],
    *,
    name: str,
    label: str,
    parents: Sequence[Scored],
    seconds: float,
    passes: int,
    note: str,
    seed: int = 0,
) -> Scored:
    """The mean of several merges at one λ as one row, each number the mean of theirs.

    Its standard error has both parts: the images, resampled as for every row, and the draws, of which there are few.
    """
    rows = [scored.row for scored in found]
    means: dict[str, Any] = {}
    for field in ("loss", "accuracy", "calibrated_loss", "inverse_temperature", "lost", "loss_gained",
                  "calibrated_loss_gained", "over_better"):  # fmt: skip
        values = [value for row in rows if (value := getattr(row, field)) is not None]
        means[field] = fmean(values) if values else None
    share, (a, b) = rows[0].coefficient or 0.0, parents
    losses = torch.stack([scored.losses for scored in found]).mean(dim=0)
    rights = [scored.right for scored in found if scored.right is not None]
    right = torch.stack(rights).mean(dim=0) if rights else None
    of_loss = bootstrap_error(losses - (share * a.losses + (1 - share) * b.losses), seed)
    means["loss_standard_error"] = hypot(of_loss, _of_draws([row.loss for row in rows]))
    means["standard_error"] = means["loss_standard_error"]
    if right is not None and a.right is not None and b.right is not None:
        images = bootstrap_error(share * a.right + (1 - share) * b.right - right, seed)
        means["standard_error"] = hypot(images, _of_draws([row.lost or 0.0 for row in rows]))
    row = Row(name=name, label=label, coefficient=share, seconds=seconds, passes=passes, note=note, **means)
    return Scored(row=row, right=right, losses=losses)


def _of_draws(values: Sequence[float]) -> float:
    """The standard error of the mean of a few draws; 0 of one, which tells nothing of it."""
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def bootstrap_error(values: Float[Tensor, " examples"], seed: int = 0) -> float:
    r"""The standard deviation of the mean of ``values`` over 1000 resamples of its examples, with replacement.

    The resamples are the same for every row of as many examples, so differences between rows are of the same images.
    """
    generator = random_stream(seed, "connect", "bootstrap")
    values = values.double().cpu()
    means = []
    for _ in range(RESAMPLES // 50):  # a few at a time: the indices of all would take much memory
        chosen = torch.randint(len(values), (50, len(values)), generator=generator)
        means.append(values[chosen].mean(dim=1))
    return float(torch.cat(means).std())
