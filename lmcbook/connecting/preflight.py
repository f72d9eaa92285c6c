"""What can be said of two networks before any data: everything that is wrong or noteworthy, at once and by name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lmcbook.connecting.checkpoints import Network
from lmcbook.errors import InputError
from lmcbook.states import (
    StateDict,
    complete_tied,
    has_batch_norm,
    prefix_before,
    some,
)

Level = Literal["error", "warning", "info"]

SHARED_START = 0.2
"""Cosine of two layers' weights above which independent starts do not explain it, in the median over layers."""

STATES_HELD = {"the average": 1, "a repair": 3, "the layers": 5, "matching": 8}
"""Networks' worth of memory that is held at a time, beside both networks, the module, and one batch and its layers."""

_SHARED, _SAME = "the two share their start", "a and b hold the same weights"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed."""

    level: Level
    """``error``: the two cannot be compared; ``warning``: the result would not be what was asked for; ``info``."""
    name: str
    """What it is about: names, shapes, types, values, start, batch norm, buffers, tied weights, memory, …"""
    message: str
    """One line: what was found, and what to do if something is to be done."""


def preflight(
    a: Network | StateDict, b: Network | StateDict, model: nn.Module | None = None, *, has_images: bool = True
) -> list[Finding]:
    r"""Everything that is noticed about two networks without data; errors first, then warnings, then infos.

    Errors: tensors that only one of them has or that differ in shape, weights that are no number or infinite, tensors
    of types that cannot be averaged, weights of whole numbers that differ. Warnings: batch norm without images, buffers
    that are averaged although nothing recomputes them, the same weights twice. Infos: types that are converted, tied
    weights, counters, and whether the two share their start: the cosine of two independent vectors of n weights is of
    the size $n^{-1/2}$.

    Args:
        model: their module; without it the two are compared with each other alone.
        has_images: whether there will be images to recompute batch norm from.
    """
    states = {"a": _state(a), "b": _state(b)}
    if model is not None:
        states = {name: complete_tied(model, state) for name, state in states.items()}
    found: list[Finding] = []
    same_names = _names(states, model, found)
    _shapes(states, model, found)
    _types(states, found)
    _whole_numbers(states, model, found)
    _values(states, found)
    if same_names and not any(finding.level == "error" for finding in found):
        _start(states["a"], states["b"], model, found)
        _buffers(states, model, has_images, found)
    if model is not None:
        _tied(model, found)
    for name, network in (("a", a), ("b", b)):
        if isinstance(network, Network):
            found += [Finding("info", "reading", f"{name} ({network.source}): {note}") for note in network.notes]
    size = sum(tensor.numel() * tensor.element_size() for tensor in states["a"].values())
    more = ", ".join(f"{count} for {what}" for what, count in STATES_HELD.items())
    message = (
        f"a network takes {_bytes(size)}; beside a, b and the module this many more are held: {more}; and one batch"
    )
    found.append(Finding("info", "memory", message))
    levels = ("error", "warning", "info")
    return sorted(found, key=lambda finding: levels.index(finding.level))


def check(findings: Sequence[Finding]) -> None:
    """Raise `InputError` with all errors among the findings, in one line.

    Raises:
        InputError: there is one.
    """
    errors = [finding.message for finding in findings if finding.level == "error"]
    if errors:
        raise InputError("a and b cannot be compared: " + "; ".join(errors))


def share_start(findings: Sequence[Finding]) -> bool:
    """Whether the preflight found that the two come from one start, or hold the same weights."""
    return any(finding.name == "start" and finding.message.startswith((_SHARED, _SAME)) for finding in findings)


def is_statistic(name: str) -> bool:
    """Whether a tensor is counted or averaged by a normalisation, going by its name."""
    return name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")


def _state(network: Network | StateDict) -> StateDict:
    return network.state if isinstance(network, Network) else network


def _names(states: Mapping[str, StateDict], model: nn.Module | None, found: list[Finding]) -> bool:
    """Names both ways; whether they are the same everywhere."""
    same = True
    against: list[tuple[str, str, Sequence[str], Sequence[str]]] = []
    if model is None:
        against.append(("a", "b", [*states["a"]], [*states["b"]]))
    else:
        against += [(name, "the model", [*state], [*model.state_dict()]) for name, state in states.items()]
    for name, other, names, wanted in against:
        lacks = [each for each in wanted if each not in set(names)]
        unknown = [each for each in names if each not in set(wanted)]
        if not lacks and not unknown:
            continue
        same = False
        prefix = prefix_before(names, wanted)
        reverse = prefix_before(wanted, names)
        parts = [f"lacks {some(lacks)}" if lacks else "", f"has {some(unknown)}, unknown to {other}" if unknown else ""]
        hint = ""
        if prefix:
            hint = f": its names begin with {prefix!r}, give strip_prefix={prefix!r} (--strip-prefix {prefix})"
        elif reverse:
            hint = f": the names of {other} begin with {reverse!r}, give what it wraps"
        found.append(Finding("error", "names", f"{name} {' and '.join(filter(None, parts))}{hint}"))
    return same


def _shapes(states: Mapping[str, StateDict], model: nn.Module | None, found: list[Finding]) -> None:
    pairs: list[tuple[str, Mapping[str, Tensor], str, Mapping[str, Tensor]]]
    pairs = [("a", states["a"], "b", states["b"])]
    if model is not None:
        own = model.state_dict()
        pairs += [(name, state, "the model", own) for name, state in states.items()]
    told: set[tuple[str, ...]] = set()
    for name, state, other, wanted in pairs:
        wrong = [each for each in state if each in wanted and state[each].shape != wanted[each].shape]
        key = tuple(wrong)
        if not wrong or key in told:
            continue
        told.add(key)
        first = wrong[0]
        more = f", and so do {some(wrong[1:])}" if len(wrong) > 1 else ""
        is_embedding = state[first].ndim == wanted[first].ndim and "pos" in first
        hint = ": other image sizes?" if is_embedding else ""
        shapes = tuple(state[first].shape), tuple(wanted[first].shape)
        message = f"{first} is {shapes[0]} in {name} and {shapes[1]} in {other}{more}{hint}"
        found.append(Finding("error", "shapes", message))


def _types(states: Mapping[str, StateDict], found: list[Finding]) -> None:
    shared = [name for name in states["a"] if name in states["b"]]
    for name, state in states.items():
        strange = [each for each, tensor in state.items() if _is_strange(tensor)]
        if strange:
            kind = _kind(state[strange[0]])
            message = (
                f"{name} holds {some(strange)} of type {kind}, which cannot be averaged: dequantise or load them first"
            )
            found.append(Finding("error", "types", message))
    different = [name for name in shared if states["a"][name].dtype != states["b"][name].dtype]
    if different:
        first = different[0]
        kinds = [_kind(states[name][first]) for name in "ab"]
        both_float = all(states[name][each].is_floating_point() for name in "ab" for each in different)
        level: Level = "info" if both_float else "error"
        then = "they are compared in the more precise type" if both_float else "convert one of them"
        message = f"{some(different)} differ in type ({first} is {kinds[0]} in a and {kinds[1]} in b): {then}"
        found.append(Finding(level, "types", message))
    half = {_kind(tensor) for state in states.values() for tensor in state.values() if tensor.dtype in _HALF}
    if half:
        found.append(Finding("info", "types", f"{' and '.join(sorted(half))} weights are compared in float32"))


def _whole_numbers(states: Mapping[str, StateDict], model: nn.Module | None, found: list[Finding]) -> None:
    """Weights of whole numbers, which nobody averages: a's would be kept, and the merge would be neither."""
    a, b = states["a"], states["b"]
    parameters = set() if model is None else {name for name, _ in model.named_parameters(remove_duplicate=False)}
    weights = [
        name
        for name, tensor in a.items()
        if name in b and (name in parameters or tensor.ndim >= 2)
        and not any(_is_strange(each) or each.is_floating_point() for each in (tensor, b[name]))
        and not torch.equal(tensor, b[name])
    ]  # fmt: skip
    if weights:
        message = (
            f"{some(weights)} of type {_kind(a[weights[0]])} differ, and whole numbers cannot be averaged: dequantise "
            "them first"
        )
        found.append(Finding("error", "types", message))


def _values(states: Mapping[str, StateDict], found: list[Finding]) -> None:
    for name, state in states.items():
        usable = {each: tensor for each, tensor in state.items() if not _is_strange(tensor)}
        bad = [each for each, tensor in usable.items() if tensor.is_floating_point() and not bool(_finite(tensor))]
        if bad:
            tensor = usable[bad[0]]
            count = int((~torch.isfinite(tensor)).sum())
            message = (
                f"{name} holds values that are infinite or no number in {some(bad)} ({count} of {tensor.numel()} in "
                f"{bad[0]}): look for a training that diverged"
            )
            found.append(Finding("error", "values", message))

        negative = [
            each
            for each, tensor in usable.items()
            if each.rpartition(".")[2] == "running_var" and tensor.numel() and float(tensor.min()) < 0
        ]
        if negative:
            found.append(
                Finding("error", "values", f"{name} holds variances below 0 in {some(negative)}: the file is damaged")
            )


def _start(a: StateDict, b: StateDict, model: nn.Module | None, found: list[Finding]) -> None:
    """Same weights, or a start that is shared."""
    layers = [name for name, tensor in a.items() if tensor.is_floating_point() and tensor.ndim >= 2]
    if all(torch.equal(a[name], b[name]) for name in a):
        found.append(Finding("warning", "start", f"{_SAME}: there is nothing to compare"))
        return
    same = [name for name in layers if torch.equal(a[name], b[name]) and bool(a[name].any())]
    if same:
        message = f"{len(same)} of {len(layers)} layers are the same in both ({some(same)}): a shared or frozen part"
        found.append(Finding("info", "start", message))
    cosines = {name: cosine for name in layers if (cosine := _cosine(a[name], b[name])) is not None}
    if not cosines:
        return
    middle = median(cosines.values())
    chance = median(a[name].numel() ** -0.5 for name in cosines)
    numbers = f"cosine {middle:.2g} in the median of {len(cosines)} layers; unrelated weights have about {chance:.1g}"
    # in tiny layers chance alone makes large cosines, but never nearly 1
    if middle > max(SHARED_START, min(10 * chance, 0.9)):
        message = f"{_SHARED}, or come from one another ({numbers}): they may merge for that reason"
    else:
        message = f"the two started independently, as far as their weights tell ({numbers})"
    found.append(Finding("info", "start", message))


def _buffers(states: Mapping[str, StateDict], model: nn.Module | None, has_images: bool, found: list[Finding]) -> None:
    a, b = states["a"], states["b"]
    statistics = [name for name in a if is_statistic(name) and a[name].is_floating_point()]
    if (has_batch_norm(model) if model is not None else statistics) and not has_images:
        message = (
            "batch norm, but no images: the merged network needs its own statistics, and averaged statistics can cost "
            "all accuracy; give images (training images without labels will do)"
        )
        found.append(Finding("warning", "batch norm", message))
    if model is None:
        return
    buffers = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    changed = [name for name in a if name in buffers and not is_statistic(name) and not torch.equal(a[name], b[name])]
    averaged = [name for name in changed if a[name].is_floating_point()]
    counters = [name for name in changed if name not in averaged]
    if averaged:
        message = f"the buffers {some(averaged)} differ and are averaged like weights, whatever they stand for"
        found.append(Finding("warning", "buffers", message))
    if counters:
        found.append(
            Finding("info", "buffers", f"{some(counters)} hold whole numbers: they are counters, a's are kept")
        )


def _tied(model: nn.Module, found: list[Finding]) -> None:
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    tied = [" = ".join(group) for group in names.values() if len(group) > 1]
    if tied:
        found.append(Finding("info", "tied weights", f"{some(tied)}: the same tensor under several names"))


_HALF = (torch.float16, torch.bfloat16)


def _is_strange(tensor: Tensor) -> bool:
    """Whether it has a type that no weighted mean is defined for here."""
    if tensor.is_quantized or tensor.layout != torch.strided or tensor.device.type == "meta" or tensor.is_complex():
        return True
    return tensor.is_floating_point() and tensor.element_size() < 2


def _kind(tensor: Tensor) -> str:
    if tensor.device.type == "meta":
        return "meta (no values)"
    return str(tensor.dtype if tensor.layout == torch.strided else tensor.layout).removeprefix("torch.")


def _finite(tensor: Tensor) -> Any:
    """One pass without a copy: a sum is finite unless a term is not, or it overflows, which is then looked at."""
    total = tensor.sum(dtype=torch.float64)
    return torch.isfinite(total) or torch.isfinite(tensor).all()


def _cosine(a: Tensor, b: Tensor) -> float | None:
    flat_a, flat_b = (tensor.reshape(-1).to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in (a, b))
    norms = float(flat_a.norm()) * float(flat_b.norm())
    return float(flat_a @ flat_b.to(flat_a.dtype)) / norms if norms and math.isfinite(norms) else None


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
