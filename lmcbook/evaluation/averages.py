"""How good averages of two or more networks are, plain and repaired, beside the networks and their ensemble."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from lmcbook.data import Split
from lmcbook.evaluation.curve import fitted_point
from lmcbook.evaluation.prediction import predict_logits
from lmcbook.merging import Repairer, add_biases, merge_many, recompute_batch_norm
from lmcbook.merging.cross_talk import without_mean_cross_talk
from lmcbook.models import LayeredModel
from lmcbook.states import StateDict, has_batch_norm

NETWORKS, ENSEMBLE, PLAIN = "networks", "ensemble", "plain"
REPAIRED = ("mean", "lewc_mean")
CROSS_TALK = {"without_common_cross_talk": True, "without_mean_cross_talk": False}
"""Kinds of average whose mean cross-talk is subtracted → whether only its common part is."""


def averages(
    model: LayeredModel,
    states: Sequence[StateDict],
    images: Tensor,
    *,
    calibration: Split,
    test: Split,
    cross_talk: bool = False,
) -> list[dict[str, Any]]:
    r"""Accuracy, loss, inverse temperature and calibrated loss of several networks' average with equal weights.

    Args:
        images: un-augmented training images without labels, for batch norm and for repairs.
        calibration: what inverse temperatures are fitted on.
        test: what everything else is measured on.
        cross_talk: whether the averages without cross-talk (`without_mean_cross_talk`) are measured as well; for
            networks that are a plain chain of linear layers.

    Returns:
        One entry for each ``kind``: ``networks`` (means over them), ``ensemble`` (of their logits), ``plain``,
        ``mean`` and ``lewc_mean`` (`lmcbook.repair`), and with ``cross_talk`` the `CROSS_TALK`. Losses in nats,
        accuracies as fractions.

    Raises:
        InputError: as `merge_many`, `Repairer` and `without_mean_cross_talk`.
    """
    labels = (calibration.labels, test.labels)

    def logits_of(network: torch.nn.Module, state: StateDict) -> list[Tensor]:
        return [predict_logits(network, state, split.images) for split in (calibration, test)]

    coefficients = [1 / len(states)] * len(states)
    own = [logits_of(model, state) for state in states]
    points = [fitted_point(logits, labels) for logits in own]
    numbers = ("accuracy", "loss", "inverse_temperature", "calibrated_loss")
    entries = [{"kind": NETWORKS, **{name: fmean(point[name] for point in points) for name in numbers}}]
    ensemble = [torch.stack(each).mean(dim=0) for each in zip(*own, strict=True)]
    entries.append({"kind": ENSEMBLE, **fitted_point(ensemble, labels)})
    merged = merge_many(states, coefficients)
    if has_batch_norm(model):
        merged = recompute_batch_norm(model, merged, images)
    entries.append({"kind": PLAIN, **fitted_point(logits_of(model, merged), labels)})
    biased, repairer = add_biases(model), Repairer(model, states, images)
    repaired = {kind: repairer.repair(merged, coefficients, kind) for kind in REPAIRED}
    if cross_talk:
        repaired |= {
            kind: without_mean_cross_talk(model, states, merged, coefficients, images, common_only=common)
            for kind, common in CROSS_TALK.items()
        }
    entries += [{"kind": kind, **fitted_point(logits_of(biased, state), labels)} for kind, state in repaired.items()]
    return entries
