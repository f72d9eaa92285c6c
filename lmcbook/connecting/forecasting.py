"""Inside the two networks, from a few hundred images without labels: their layers, and what to expect of a merge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import Any

from torch import Tensor

from lmcbook.connecting import remedies
from lmcbook.connecting.inputs import Inputs
from lmcbook.errors import InputError
from lmcbook.evaluation import predict_logits
from lmcbook.layerwise import measure_common_mode, measure_layers
from lmcbook.layerwise.networks import LayeredNetwork
from lmcbook.layerwise.traced import layered_network
from lmcbook.permutation import PermutationSpec, apply, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict

LAYER_IMAGES = 256
"""Unlabelled images that the layers are measured on."""

WIDEST_RANKED = 2048
"""Ranks need an eigenvalue problem for each layer and network; beyond this it takes longer than all the rest."""

SPLIT = ("common", "isotropic", "constant_share", "predicted_from_a")
"""Of `lmcbook.measure_common_mode`, what is added to the entries of the layers."""

FEW_CHANGED = 0.01
"""Share of answers that may change in a forecast before a repair is named."""


def before_merging(
    inputs: Inputs,
    repairs: Sequence[str],
    *,
    shared_start: bool,
    symmetry: Callable[[], PermutationSpec] | None = None,
    layered: Callable[[], LayeredNetwork] | None = None,
    seed: int = 0,
) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """What is known before anything is merged: sentences, notes on what is not known, the layers' entries.

    Args:
        repairs: kinds that may be tried.
        shared_start: whether the weights tell that the two come from one start.
        symmetry: gives the table of the groups of units; by default `lmcbook.connecting.remedies.symmetry`.
        layered: gives the layers to walk through; by default `layers_to_walk`.
    """
    found: list[str] = []
    notes: list[str] = []
    layers: list[dict[str, Any]] = []
    table = symmetry or (lambda: remedies.symmetry(inputs))
    try:
        network = layers_to_walk(inputs) if layered is None else layered()
        layers = _layers_of_ends(inputs, network)
        _add_split(inputs, network, table(), layers)
    except InputError as error:
        notes.append(f"no {'split of the cross-talk' if layers else 'layers'}: {error}")
    if layers and all(entry["metrics"].get("stable_rank_a") is None for entry in layers):
        notes.append(f"no ranks: a layer has more than {WIDEST_RANKED} rows and columns, which take long")
    found += in_words(layers)
    try:
        changed = expected(inputs, table(), repairs, seed=seed)
        few = min(LAYER_IMAGES, len(inputs.images))
        found += forecast(changed, few, task=inputs.task, shared_start=shared_start)
    except InputError as error:
        notes.append(f"no forecast: {error}")
    return found, notes, layers


def layers_to_walk(inputs: Inputs) -> LayeredNetwork:
    """The layers of the two networks; one trace serves all that is measured of them.

    Raises:
        InputError: as `layered_network`.
    """
    return layered_network(inputs.model, inputs.images)


def _layers_of_ends(inputs: Inputs, network: LayeredNetwork) -> list[dict[str, Any]]:
    """`lmcbook.measure_layers` of both networks alone, on the first `LAYER_IMAGES` images."""
    sides = [min(t.shape[0], t[0].numel()) for t in inputs.a.values() if t.is_floating_point() and t.ndim > 1]
    ranks = max(sides, default=0) <= WIDEST_RANKED
    images = inputs.images[:LAYER_IMAGES]
    return measure_layers(inputs.model, inputs.a, inputs.b, {}, images, network=network, ranks=ranks)


def _add_split(
    inputs: Inputs, network: LayeredNetwork, spec: PermutationSpec, layers: Sequence[dict[str, Any]]
) -> None:
    """Write the parts of the cross-talk (`SPLIT`) into the entries of the layers."""
    images = inputs.images[:LAYER_IMAGES]
    parts = measure_common_mode(inputs.model, images, inputs.a, inputs.b, spec=spec, network=network)
    split = {part["layer"]: part["metrics"] for part in parts}
    for entry in layers:
        metrics = split.get(entry["layer"], {})
        entry["metrics"] |= {name: metrics[name] for name in SPLIT if name in metrics}


def layers_of_merge(inputs: Inputs, network: LayeredNetwork, merged: Mapping[float, StateDict]) -> list[dict[str, Any]]:
    """The same of merged networks, λ → state: how their layers compare with the laws.

    Raises:
        InputError: as `measure_layers`.
    """
    images = inputs.images[:LAYER_IMAGES]
    entries = measure_layers(inputs.model, inputs.a, inputs.b, merged, images, network=network, ranks=False)
    return [entry for entry in entries if entry["coefficient"] is not None]


def in_words(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the layers of the two networks are like, in one sentence; none if they were not measured."""

    def known(*names: str) -> list[float]:
        values = (entry["metrics"].get(name) for entry in layers for name in names if entry["depth"] is not None)
        return [value for value in values if value is not None]

    parts = []
    firing, ranks = known("positive_a", "positive_b"), known("stable_rank_a", "stable_rank_b")
    crossed, constant = known("reciprocal_orthogonality"), known("constant_share")
    common, isotropic = known("common"), known("isotropic")
    if firing:
        parts.append(f"{100 * fmean(firing):.0f} % of units fire")
    if ranks:
        parts.append(f"stable ranks are {median(ranks):.3g} in the median")
    if crossed:
        parts.append(f"reciprocal orthogonality is {fmean(crossed):.2f}")
    if common and isotropic:
        parts.append(f"of units at random it has a common part of {fmean(common):.2f}, and one of "
                     f"{fmean(isotropic):.2f} that falls with width")  # fmt: skip
    if constant:
        parts.append(f"{100 * fmean(constant):.0f} % of its energy is the same for every image")
    return [f"In the mean of the layers {', '.join(parts)}."] if parts else []


def expected(inputs: Inputs, spec: PermutationSpec, repairs: Sequence[str], *, seed: int = 0) -> dict[str, float]:
    """How many answers change when each network is averaged with a copy of itself whose units are shuffled.

    The copy stands in for a sibling of an independent start (`lmcbook.self_merge`), so this is known before a merge and
    without labels. Of a regression: the root mean square change, in standard deviations of the outputs.

    Returns:
        ``none`` and each of ``repairs`` that the network allows → the mean over both networks, a fraction.

    Raises:
        InputError: nothing may be permuted, or as `Repairer`.
    """
    images = inputs.images[:LAYER_IMAGES]
    changed: dict[str, list[float]] = {}
    for name, state in (("a", inputs.a), ("b", inputs.b)):
        shuffled = apply(spec, random_permutation(spec, state, random_stream(seed, "connect", "copy", name)), state)
        copies = replace(inputs, a=state, b=shuffled, images=images)
        own = predict_logits(inputs.model, state, images)
        merged = remedies.averaged(copies, shuffled, 0.5)
        changed.setdefault("none", []).append(_change(own, predict_logits(inputs.model, merged, images), inputs))
        repairing = remedies.repairer(copies, shuffled) if repairs else None
        for kind in repairs:
            if repairing is None or not repairing.layers:
                break  # batch norm follows every layer
            try:
                repaired = remedies.repaired(copies, repairing, merged, 0.5, kind)
            except InputError:
                continue  # the answer names this kind where the merge is repaired
            answers = predict_logits(repairing.module, repaired, images)
            del repaired  # before the next kind makes its own
            changed.setdefault(kind, []).append(_change(own, answers, inputs))
    return {kind: fmean(values) for kind, values in changed.items()}


def forecast(changed: Mapping[str, float], images: int, *, task: str, shared_start: bool) -> list[str]:
    """What `expected` says, in words: what a merge may lose, and which repair to try."""
    told = {
        kind: f"{100 * value:.1f} % of answers" if task == "classification" else f"{value:.2f} standard deviations"
        for kind, value in changed.items()
    }
    what = f"Averaged with shuffled copies of themselves the two change {told['none']} on {images} images"
    rest = [f"{told[kind]} after {kind}" for kind in changed if kind != "none"]
    best = min(changed, key=lambda kind: changed[kind])
    if shared_start:
        advice = "two of a shared start lose less"
    elif changed["none"] <= FEW_CHANGED:
        advice = "expect a plain average to do"
    elif best != "none" and changed[best] < 0.8 * changed["none"]:
        advice = f"expect about that of independent starts, and try repair {best}"
    else:
        advice = "expect about that of independent starts" + ("; no repair helps much, try matching" if rest else "")
    return [f"{what}{''.join(f', {each}' for each in rest)}: {advice}."]


def _change(own: Tensor, merged: Tensor, inputs: Inputs) -> float:
    if inputs.task == "classification":
        return float((own.argmax(dim=1) != merged.argmax(dim=1)).double().mean())
    spread = (own - own.mean(dim=0)).square().mean()
    return float(((merged - own).square().mean() / spread).sqrt()) if float(spread) else 0.0
