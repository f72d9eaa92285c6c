"""How good averages of two or more networks are, plain and repaired, beside the networks and their ensemble."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import nn

from lmcbook.errors import InputError
from lmcbook.errors.annotations import fit
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.curve import fitted_point
from lmcbook.evaluation.line import Logits, logits_of
from lmcbook.merging import Repairer, add_biases, merge_many, recompute_batch_norm
from lmcbook.merging.cross_talk import without_mean_cross_talk
from lmcbook.models import LayeredModel
from lmcbook.models.examples import as_examples, as_images
from lmcbook.states import StateDict, has_batch_norm

NETWORKS, ENSEMBLE, PLAIN = "networks", "ensemble", "plain"
REPAIRED = ("mean", "lewc_mean")
CROSS_TALK = {"without_common_cross_talk": True, "without_mean_cross_talk": False}
"""Kinds of average whose mean cross-talk is subtracted → whether only its common part is."""


@checked
def averages(
    model: nn.Module,
    states: Sequence[StateDict],
    images: Any,
    *,
    calibration: Any,
    test: Any,
    cross_talk: bool = False,
    own: Sequence[Logits] | None = None,
) -> list[dict[str, Any]]:
    r"""Accuracy, loss, inverse temperature and calibrated loss of several networks' average with equal weights.

    Args:
        images: un-augmented training images without labels, for batch norm and for repairs, in any form that
            `lmcbook.models.examples.as_images` takes.
        calibration: what inverse temperatures are fitted on, in any form that `as_examples` of that module takes.
        test: what everything else is measured on.
        cross_talk: whether the averages without cross-talk (`without_mean_cross_talk`) are measured as well; for
            networks that are a plain chain of linear layers.
        own: the logits of each network, as `lmcbook.evaluation.line.logits_of` gives them, where they are known.

    Returns:
        One entry for each ``kind``: ``networks`` (means over them), ``ensemble`` (of their logits), ``plain``,
        ``mean`` and ``lewc_mean`` (`lmcbook.repair`), and with ``cross_talk`` the `CROSS_TALK`. Losses in nats,
        accuracies as fractions.

    Raises:
        InputError: as `merge_many`, `Repairer` and `without_mean_cross_talk`; ``own`` is of another number of networks;
            or ``cross_talk`` is wanted of a network that is no `LayeredModel`.
    """
    parts = [as_examples("calibration", calibration), as_examples("test", test)]
    labels, inputs = [part.labels for part in parts], [part.images for part in parts]
    images = as_images("images", images)
    if own is not None and len(own) != len(states):
        raise InputError(f"own holds the logits of {len(own)} networks; states holds {len(states)}")
    coefficients = [1 / len(states)] * len(states)
    own = [logits_of(model, state, inputs) for state in states] if own is None else own
    points = [fitted_point(logits, labels) for logits in own]
    numbers = ("accuracy", "loss", "inverse_temperature", "calibrated_loss")
    entries = [{"kind": NETWORKS, **{name: fmean(point[name] for point in points) for name in numbers}}]
    ensemble = [torch.stack(each).mean(dim=0) for each in zip(*own, strict=True)]
    entries.append({"kind": ENSEMBLE, **fitted_point(ensemble, labels)})
    merged = merge_many(states, coefficients)
    if has_batch_norm(model):
        merged = recompute_batch_norm(model, merged, images)
    entries.append({"kind": PLAIN, **fitted_point(logits_of(model, merged, inputs), labels)})
    biased, repairer = add_biases(model), Repairer(model, states, images)
    repaired = {kind: repairer.repair(merged, coefficients, kind) for kind in REPAIRED}
    if cross_talk:
        chain = fit("model", model, LayeredModel)
        repaired |= {
            kind: without_mean_cross_talk(chain, states, merged, coefficients, images, common_only=common)
            for kind, common in CROSS_TALK.items()
        }
    for kind, state in repaired.items():
        entries.append({"kind": kind, **fitted_point(logits_of(biased, state, inputs), labels)})
    return entries
