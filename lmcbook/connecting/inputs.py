"""What two networks are compared on: examples in three roles, states of one type, a model that answers with logits."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lmcbook.connecting.answers import Output, answering
from lmcbook.connecting.checkpoints import Network
from lmcbook.errors import InputError, check_number
from lmcbook.errors.arrays import is_in_memory
from lmcbook.evaluation import predict_logits
from lmcbook.models.examples import Labelled, as_examples, as_images
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, complete_tied
from lmcbook.training.device import resolve_device

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that a comparison needs, on one device and of one type."""

    model: nn.Module
    """From images to logits, of shape (examples, classes)."""
    a: StateDict
    b: StateDict
    test: Labelled
    calibration: Labelled
    images: Tensor
    """Without labels: for batch norm, repairs, activation matching and the layers."""
    task: Task
    """``regression`` if the labels are of floating point: then there is a loss alone."""
    notes: tuple[str, ...]
    """What was decided about the examples."""


def prepare(
    model: nn.Module,
    a: Network,
    b: Network,
    *,
    test: Any,
    calibration: Any = None,
    images: Any = None,
    output: Output | None = None,
    examples: int | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> Inputs:
    """Examples and networks as they are compared.

    Without ``calibration`` half of the test examples, drawn by ``seed``, are used for it, and the other half are the
    test. Without ``images`` the calibration examples serve, whose labels are then not looked at. The images come in an
    order drawn by ``seed``, so that the first few of them are a random sample.

    Args:
        examples: the most examples of each role, drawn by ``seed``; by default all.

    Raises:
        InputError: the examples do not fit the model or each other, or ``device`` is not there.
    """
    device = resolve_device(device)
    notes: list[str] = []
    if examples is not None:
        check_number("examples", examples, minimum=2, integer=True)
    tested, calibrated, pool = _roles(test, calibration, images, seed, notes)
    tested, calibrated = (_fewer(part, examples, seed) for part in (tested, calibrated))
    # whoever takes the first few takes a random sample: files are often sorted by class
    pool = pool[torch.randperm(len(pool), generator=random_stream(seed, "connect", "images"))[:examples]]
    kind = _float_type(model, a.state, b.state)
    tested, calibrated = (_moved(part, kind, device) for part in (tested, calibrated))
    pool = _as(pool, kind, device)
    task: Task = "regression" if tested.labels.is_floating_point() else "classification"
    if task == "regression":
        notes.append(
            "the labels are of floating point: compared by mean squared error alone, without accuracy and beta"
        )
    parts = {"test": tested.images, "calibration": calibrated.images, "images": pool}
    for name, part in parts.items():
        if part.is_floating_point() and not bool(torch.isfinite(part).all()):
            raise InputError(f"{name} holds values that are infinite or no number; mend or leave out those images")
    if device != "cpu":
        model = copy.deepcopy(model).to(device)
    states = states_of(model, a, b, device)
    answers = _tried(model, states[0], parts, output, task, notes)
    return Inputs(
        model=answers, a=states[0], b=states[1], test=tested, calibration=calibrated, images=pool, task=task,
        notes=tuple(notes),
    )  # fmt: skip


def _roles(test: Any, calibration: Any, images: Any, seed: int, notes: list[str]) -> tuple[Labelled, Labelled, Tensor]:
    """Examples to test on, to fit β on, and images for statistics; what has to serve for another role is noted."""
    tested = _labelled("test", test)
    if calibration is None:
        order = torch.randperm(len(tested.labels), generator=random_stream(seed, "connect", "halves"))
        middle = len(order) // 2
        if middle < 1:
            raise InputError(f"test holds {len(order)} example(s); without calibration it must hold at least 2")
        calibrated, tested = _chosen(tested, order[:middle]), _chosen(tested, order[middle:])
        notes.append(
            f"no calibration examples: {middle} of the test examples fit beta, the other {len(order) - middle} test"
        )
    else:
        calibrated = _labelled("calibration", calibration)
        if _same_examples(calibrated.images, tested.images):
            notes.append("calibration and test hold the same images: calibrated losses flatter the merge")
    if images is None:
        pool = calibrated.images
        notes.append(f"no images: the {len(pool)} calibration images serve for statistics, without their labels")
    else:
        pool = as_images("images", images)
    return tested, calibrated, pool


def _tried(
    model: nn.Module,
    state: StateDict,
    parts: Mapping[str, Tensor],
    output: Output | None,
    task: Task,
    notes: list[str],
) -> nn.Module:
    """The network as one that returns a tensor; its answers to the first few images are looked at.

    Raises:
        InputError: it does not take the images of a part, or its answers tell no class.
    """
    few = parts["test"][:2]
    answers = answering(model, state, few, output)
    for name, part in parts.items():
        if part.shape[1:] != few.shape[1:]:  # no fault where the network takes any size
            answering(model, state, part[:2], output, argument=name)
    first, second = (predict_logits(answers, state, few) for _ in range(2))
    if not torch.equal(first, second):
        notes.append("outputs differ from call to call: something is random in evaluation mode, such as dropout")
    if task == "classification" and first.shape[1] == 1:
        raise InputError(
            "model returns one number for each example, which tells no class; of a classifier of two make two logits "
            "(output=lambda z: torch.cat([0 * z, z], 1)), for a regression give labels of floating point"
        )
    return answers


def states_of(
    model: nn.Module, a: Network, b: Network, device: str, *, least: torch.dtype | None = torch.float32
) -> tuple[StateDict, StateDict]:
    """Both states on one device, with tied tensors under all their names, each tensor in the more precise type of both.

    Args:
        least: the least precise type of floating point that a tensor is left in; None for any.
    """
    full_a, full_b = (complete_tied(model, network.state) for network in (a, b))
    return _of_one_type(full_a, full_b, device, least), _of_one_type(full_b, full_a, device, least)


def _labelled(argument: str, given: Any) -> Labelled:
    found = as_examples(argument, given)
    images, labels = as_images(argument, found), found.labels
    if labels.ndim < 1 or images.ndim < 1:
        raise InputError(f"{argument} holds single numbers; give images and labels, each with the examples first")
    if len(images) == 0 or len(images) != len(labels):
        raise InputError(
            f"{argument} holds {len(images)} images and {len(labels)} labels; give at least one, and as many labels"
        )
    if labels.dtype == torch.bool or labels.is_complex():
        raise InputError(
            f"{argument}'s labels are {labels.dtype}; they may be whole numbers, or floats of a regression"
        )
    if not labels.is_floating_point():
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1:
            raise InputError(f"{argument}'s labels have shape {tuple(labels.shape)}; give one class for each image")
        labels = labels.long()
    elif labels.ndim == 1:
        labels = labels[:, None]
    return Labelled(images, labels)


def _chosen(part: Labelled, indices: Tensor) -> Labelled:
    return Labelled(part.images[indices], part.labels[indices])


def _fewer(part: Labelled, examples: int | None, seed: int) -> Labelled:
    if examples is None or len(part.labels) <= examples:
        return part
    return _chosen(part, torch.randperm(len(part.labels), generator=random_stream(seed, "connect", "fewer"))[:examples])


def _same_examples(first: Tensor, second: Tensor) -> bool:
    if first is second:
        return True
    return is_in_memory(first) and is_in_memory(second) and first.shape == second.shape and torch.equal(first, second)


def _moved(part: Labelled, kind: torch.dtype, device: str) -> Labelled:
    labels = part.labels.to(kind) if part.labels.is_floating_point() else part.labels
    return Labelled(_as(part.images, kind, device), labels.to(device))


def _as(images: Tensor, kind: torch.dtype, device: str) -> Tensor:
    """Images of floating point take the type of the weights; whole numbers stay, since they may be words."""
    if is_in_memory(images) and images.is_floating_point():
        return images.to(device, kind)
    return images.to(device)


def _float_type(model: nn.Module, *states: StateDict) -> torch.dtype:
    """The most precise type of floating point among the parameters, float32 at least; a buffer may be of any."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    found = torch.float32
    for state in states:
        for name, tensor in state.items():
            if name in parameters and tensor.is_floating_point():
                found = torch.promote_types(found, tensor.dtype)
    return found


def _of_one_type(state: StateDict, other: Mapping[str, Tensor], device: str, least: torch.dtype | None) -> StateDict:
    moved = {}
    for name, tensor in state.items():
        if tensor.is_floating_point():
            kind = tensor.dtype if least is None else torch.promote_types(tensor.dtype, least)
            if name in other and other[name].is_floating_point():
                kind = torch.promote_types(kind, other[name].dtype)
            tensor = tensor.to(kind)
        moved[name] = tensor.to(device)
    return moved
