"""Why two networks merge or do not, from their layers, and what to do next, as commands."""

import shlex
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from lmcbook.connecting.verdict import UNDECIDED

if TYPE_CHECKING:
    from lmcbook.connecting.connection import Connection


def reasons(connection: "Connection") -> tuple[str, ...]:
    """Sentences on the layers: what the networks do to each other's features, and which law the merge follows."""
    ends = [entry for entry in connection.layers if entry["coefficient"] is None and entry["depth"] is not None]
    merged = [entry for entry in connection.layers if entry["coefficient"] == 0.5]
    found = []
    crossed = _metric(ends, "reciprocal_orthogonality")
    if crossed:
        worst = max(crossed, key=lambda pair: pair[1])
        found.append(
            f"Each network answers the other's features with {fmean(value for _, value in crossed):.2f} of its own "
            f"answer in the mean of {len(crossed)} layers, {worst[1]:.2f} in {worst[0]} (reciprocal orthogonality: 0 "
            "is no interference)."
        )
    constant = _metric(ends, "constant_share")
    if constant and not normalised(connection):
        found.append(_of_the_constant(ends, constant))
    additive = _metric(ends, "weak_additivity")
    firing = _metric(ends, "positive_a")
    if additive and firing:
        share = fmean(value for _, value in firing)
        found.append(
            f"{100 * share:.0f} % of units fire; averaging before or after the activation "
            f"agrees with cosine {fmean(value for _, value in additive):.2f} (weak additivity: 1 is no difference)."
        )
    decay = _metric(merged, "decay_exponent")
    if decay:
        name, exponent = decay[-1]
        depth = next(entry["depth"] for entry in merged if entry["layer"] == name)
        cosine = dict(_metric(merged, "lewc_cosine")).get(name)
        known = connection.curve.get("lewc_exponent")  # two under batch norm, whatever the depth
        expected = depth if known is None else known
        chain = f" in a chain of {depth} layers" if known is None else ""
        where = "" if connection.at == 0.5 else "At lambda 0.5: "
        found.append(
            f"{where}In {name} the merge is 2^{-exponent:.1f} of the parents' sum"
            + ("" if cosine is None else f", with cosine {cosine:.2f} to it")
            + f"; LEWC says 2^-{expected}{chain}, LLFC 2^-1{_law(exponent, expected)}."
        )
    return tuple(found)


def normalised(connection: "Connection") -> bool:
    """Whether the pair has batch norm, behind which constant cross-talk is subtracted anyway."""
    return "recomputed" in connection.by_name


def _of_the_constant(ends: Sequence[Mapping[str, Any]], constant: Sequence[tuple[str, float]]) -> str:
    """The part of the cross-talk that a repair of means can take away."""
    name, share = max(constant, key=lambda pair: pair[1])
    common, isotropic = (dict(_metric(ends, part)).get(name) for part in ("common", "isotropic"))
    parts = ""
    if common is not None and isotropic is not None:
        parts = f"; if units stand at random its common part is {common:.2f}, and {isotropic:.2f} would fall with width"
    mean = fmean(value for _, value in constant)
    hope = "a mean repair can take most of it away" if mean > 0.5 else "a mean repair leaves most of it"
    return (
        f"{100 * mean:.0f} % of these answers' energy is the same for every image ({100 * share:.0f} % in {name}): "
        f"{hope}{parts}."
    )


def _law(exponent: float, depth: int) -> str:
    if depth < 2:
        return ""
    nearer = "LEWC" if abs(exponent - depth) < abs(exponent - 1) else "LLFC"
    return f": nearer to {nearer}"


def _metric(entries: Sequence[Mapping[str, Any]], name: str) -> list[tuple[str, float]]:
    return [(entry["layer"], value) for entry in entries if (value := entry["metrics"].get(name)) is not None]


def remedy_of(row: str) -> tuple[str, str]:
    """The matching and the repair that a row of this name had."""
    family, _, kind = row.partition(":")
    if family == "repaired":
        return "none", kind
    if family == "matched":
        return kind, "none"
    match, _, repair = kind.partition(":") if family == "matched and repaired" else ("none", "", "none")
    return match, repair


def next_steps(connection: "Connection") -> tuple[str, ...]:
    """What to do now: the command that writes the merge, or what else might help."""
    verdict = connection.verdict
    match, repair = remedy_of(verdict.row)
    if verdict.how == UNDECIDED:
        return ("check the images: their size, their normalisation, the order of their classes",)
    if verdict.connected:
        return (_merge_command(connection, match, repair),)
    steps = []
    if connection.match in ("none", "weights") and connection.stopped == "":
        steps.append(_again(connection, match="all"))
    ensemble = connection.by_name.get("ensemble")
    if ensemble is not None:
        worth = f"loss {ensemble.loss:.3g}" if ensemble.accuracy is None else f"{100 * ensemble.accuracy:.1f} %"
        steps.append(f"keep both networks and average their outputs ({worth}), for twice the cost of an answer")
    steps.append("train wider networks, with more weight decay or smaller batches: what makes plain averages work")
    return tuple(steps)


def _merge_command(connection: "Connection", match: str, repair: str) -> str:
    if not connection.command:
        return (
            f'lmcbook.merge_networks(model, a, b, at={connection.at:g}, match="{match}", repair="{repair}", '
            'calibration=..., images=...).save("merged.safetensors")'
        )
    return shlex.join([*connection.command, "--at", f"{connection.at:g}", "--match", match, "--repair", repair]) + (
        " --out merged.safetensors"
    )


def _again(connection: "Connection", match: str) -> str:
    if not connection.command:
        return f'lmcbook.connect(..., match="{match}")'
    return shlex.join([*connection.command, "--at", f"{connection.at:g}", "--match", match])
