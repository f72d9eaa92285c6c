"""Public functions and drawn arguments: what is right is distorted, and stays a right answer or is refused by name.

`tests/test_public_arguments.py` swaps arguments for the values of a table; here hypothesis distorts the right one, at
any depth: another type, shape or order, values that are not finite, negative, huge or missing.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lmcbook
from lmcbook.errors import InputError, one_line
from lmcbook.errors.arrays import is_plain
from tests.helpers.public_calls import ELSEWHERE, FUNCTIONS, calls, consumed, hostile, named
from tests.helpers.public_calls import given as held_by_all

Change = Callable[[Any], Any]
WHOLE = (torch.uint8, torch.int16, torch.int64, torch.bool)
TYPES = (torch.float16, torch.bfloat16, torch.float64, torch.complex64, *WHOLE)
NUMBERS = (0, -1, 1, 0.5, 3, math.nan, math.inf, -math.inf, 1e-300, 1e38, -1e38, 10**30, 2**63)


def poked(value: float) -> Change:
    """With one other value."""

    def change(tensor: Tensor) -> Tensor:
        changed = tensor.clone()
        if tensor.numel() and tensor.is_floating_point():
            changed.view(-1)[tensor.numel() // 2] = value
        return changed

    return change


ARRAYS: list[Change] = [
    *(lambda t: t.numpy(), lambda t: t.tolist(), tuple, list, lambda t: t.numpy().astype(object), iter, str),
    *(lambda t: t.numpy().astype(">f8"), lambda t: np.ma.masked_array(t.numpy()), lambda t: memoryview(t.numpy())),
]
TENSORS: list[Change] = [
    *(lambda t, kind=kind: t.to(kind) for kind in TYPES),
    *map(poked, (math.nan, math.inf, -math.inf, 1e38, -1.0, 0.0)),
    *(lambda t: t[:0], lambda t: t[:1], lambda t: t[1:], lambda t: t.reshape(-1)[0], lambda t: t[None]),
    *(lambda t: t[..., None], lambda t: t.reshape(-1), lambda t: t.movedim(0, -1), lambda t: torch.cat([t, t])),
    *(torch.neg, torch.zeros_like, lambda t: t * 10**6, lambda t: t.to("meta"), Tensor.to_sparse),
    *(lambda t: t.clone().requires_grad_(t.is_floating_point()), lambda t: DataLoader(TensorDataset(t), batch_size=5)),
    *ARRAYS,
]
SCALARS: list[Change] = [
    *(lambda _, number=number: number for number in NUMBERS),
    *(str, np.float32, np.float64, np.array, torch.tensor, complex, Decimal, Fraction, lambda n: [n], lambda n: (n,)),
    *(lambda n: np.array([n]), lambda n: torch.tensor([n]), lambda n: -n, lambda n: not n, lambda n: str(n).encode()),
    *(lambda _: np.float16(math.nan), lambda _: torch.tensor(math.inf), lambda _: np.int64(2**62)),
    *(lambda _: np.bool_(True), lambda n: torch.tensor(n, device="meta")),
]
SEQUENCES: list[Change] = [
    *(lambda s: s[:0], lambda s: s[:1], lambda s: s[::-1], lambda s: s * 2, tuple, list, iter),
    lambda s: dict(enumerate(s)),
    *(lambda _: range(3), lambda _: "abc", lambda _: [None], lambda s: [s], lambda s: [s, s]),
]
DICTS: list[Change] = [
    *(lambda _: {}, OrderedDict, MappingProxyType, lambda d: dict(reversed(d.items())), lambda d: list(d.items())),
    *(lambda d: {**d, "more": torch.zeros(2)}, lambda d: {**d, 3: torch.zeros(2)}, lambda d: {**d, None: None}),
    *(lambda d: {f"module.{name}": value for name, value in d.items()}, list, lambda d: list(d.values())),
]
MODULES: list[Change] = [
    *(nn.Module.half, nn.Module.double, nn.Module.train, nn.Module.state_dict, nn.DataParallel, nn.Sequential),
    *(lambda m: m.to("meta"), lambda m: m.requires_grad_(False), lambda m: m.forward, lambda m: list(m.parameters())),
    *(type, str, lambda _: nn.Identity(), lambda _: nn.Linear(4, 3), lambda _: nn.Module()),
    lambda m: nn.Sequential(m, nn.Softmax(-1)),
]
TEXTS: list[Change] = [
    *(str.upper, lambda t: f" {t}", lambda _: "", lambda _: "é\n", str.encode, list, lambda t: {t}, lambda t: {t: t}),
]


def of(changes: list[Change], held: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(changes).map(lambda change: change(held))


def distorted(held: Any) -> st.SearchStrategy[Any]:
    """What is like a right value, and is not it."""
    anything = of([lambda _, value=value: value for value in hostile().values()] + SCALARS[: len(NUMBERS)], None)
    own = anything
    if isinstance(held, Tensor):
        own = of(TENSORS, held)
    elif isinstance(held, nn.Module):
        own = of(MODULES, copy.deepcopy(held))
    elif isinstance(held, int | float) and not isinstance(held, bool):
        own = of(SCALARS, held)
    elif isinstance(held, str):
        own = of(TEXTS, held) | st.text(max_size=5)
    elif isinstance(held, Mapping):
        names = st.sampled_from(list(held))
        own = st.one_of(
            of(DICTS, held),
            names.flatmap(lambda name: distorted(held[name]).map(lambda new: {**held, name: new})),
            names.map(lambda name: {key: value for key, value in held.items() if key != name}),
        )
    elif isinstance(held, list | tuple) and held:
        places = st.integers(0, len(held) - 1)
        own = of(SEQUENCES, held) | places.flatmap(
            lambda at: distorted(held[at]).map(lambda new: type(held)([*held[:at], new, *held[at + 1 :]]))
        )
    return own | own | own | anything


def call_of(name: str) -> dict[str, Any]:
    return calls()[name]


def two() -> dict[str, Any]:
    """Two networks in the words of `lmcbook.connect`."""
    held = held_by_all()
    examples = (held["images"], held["labels"])
    return {"model": held["model"], "a": held["a"], "b": held["b"], "test": examples, "calibration": examples}


def values_in(found: Any) -> list[Any]:
    """All numbers and texts in an answer or an argument, in order, but for what the clock says."""
    if is_dataclass(found) and not isinstance(found, type):
        found = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "seconds"}
    if isinstance(found, nn.Module):
        found = found.state_dict()
    if isinstance(found, Mapping):
        return [each for key in sorted(found, key=str) for each in (str(key), *values_in(found[key]))]
    if isinstance(found, Tensor) and is_plain(found) and not found.is_complex():
        found = found.detach().tolist()
    if isinstance(found, np.ndarray | np.generic) and found.dtype.kind in "biuf":
        found = found.tolist()
    if isinstance(found, list | tuple):
        return ["[", *(each for held in found for each in values_in(held)), "]"]
    return [found if isinstance(found, int | float | str | None) else type(found).__name__]


def numbers(values: list[Any]) -> list[float]:
    return [each for each in values if isinstance(each, int | float)]


def alike(found: list[Any], expected: list[Any]) -> bool:
    told, meant = ([each for each in values if not isinstance(each, int | float)] for values in (found, expected))
    return told == meant and numbers(found) == pytest.approx(numbers(expected), rel=1e-4, abs=1e-5, nan_ok=True)


def all_below(values: list[Any], most: float) -> bool:
    return all(abs(each) < most for each in numbers(values))


def test_answers_are_compared_by_their_values():
    one = {"a": torch.tensor([1.0, 2.0]), "b": [np.float32(3), None, "x"]}
    values = values_in(one)
    assert values == ["a", "[", 1, 2, "]", "b", "[", 3, None, "x", "]"] and alike(values, values_in(one))
    others: list[dict[str, Any]] = [{"a": torch.tensor([1.0, 2.1])}, {"a": torch.tensor([[1.0, 2.0]])}, {"b": [3]}]
    assert not any(alike(values_in({**one, **changed}), values) for changed in others)
    assert not all_below([1, "x", math.nan], math.inf) and not all_below([-math.inf], math.inf) and all_below([-1], 2)


STATES, EXAMPLES = ("state_a", "state_b"), ("calibration", "test")
OF_A_LINE = ("model", *STATES, *EXAMPLES)
CONFIG = {"dataset": "digits", "architecture": "mlp", "num_layers": 2, "hidden_width": 2, "epochs": 1, "batch_size": 9}
CALLS: dict[str, tuple[Callable[..., Any], Callable[[], dict[str, Any]]]] = {
    **{name: (FUNCTIONS[name], partial(call_of, name)) for name in sorted(set(FUNCTIONS) - set(ELSEWHERE))},
    "load": (lambda **given: lmcbook.load(**given).sha256, lambda: {"name": "digits", "device": "cpu"}),
    "random_stream": (lmcbook.random_stream, lambda: {"seed": 0, "device": "cpu"}),
    "PermutationSpec": (lmcbook.PermutationSpec, lambda: {"axes": dict(held_by_all()["spec"].axes), "sizes": {"0": 6}}),
    "Line": (
        lmcbook.Line,
        lambda: {part: calls()["interpolation_curve"][part] for part in ("model", *STATES, *EXAMPLES)},
    ),
    "TrainingConfig": (lmcbook.TrainingConfig, lambda: {**CONFIG, "learning_rate": 0.01, "seed": 3, "bias": True}),
    "merge_networks": (lmcbook.merge_networks, lambda: {**two(), "at": 0.25, "examples": 10, "repair": "mean"}),
    "connect": (lmcbook.connect, lambda: {**two(), "match": "none", "repair": "none", "layers": False, "seed": 3}),
}
CALLED = {("load", "name"): "dataset", **{("merge_networks", name): "images" for name in EXAMPLES}}
"""What messages call an argument, where it is another name."""


@pytest.fixture(autouse=True)
def as_users_have_it():
    """jaxtyping's checks, which only tests have, would speak before the functions do."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def fault_of(name: str, argument: str, value: Any, expected: list[Any]) -> str:
    """What is wrong with the answer to, or the message about, ``value`` in place of an argument; empty if nothing."""
    function, arguments_of = CALLS[name]
    arguments, values = arguments_of(), values_in(value)
    try:
        found = values_in(consumed(function(**{**arguments, argument: value})))
    except InputError as error:
        told = str(error)
        good = named(argument, told) or named(CALLED.get((name, argument), argument), told)
        return "" if good and "\n" not in told else told
    except Exception as error:
        return one_line(error, kind=True)
    right = values_in(arguments[argument])
    # labels of floating point are those of a regression
    if (values, [*map(type, values)]) == (right, [*map(type, right)]) and not alike(found, expected):
        return "another answer to the same values"
    # of larger ones the squares are beyond float32
    finite = all_below(values, 1e18) and all_below(expected, math.inf)
    return "not finite" if finite and not all_below(found, math.inf) else ""


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_distorted_argument_gives_a_right_answer_or_is_named(name):
    function, arguments_of = CALLS[name]
    expected = values_in(consumed(function(**arguments_of())))
    faults: dict[tuple[str, str], str] = {}

    @settings(max_examples=15, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        arguments = arguments_of()
        argument = data.draw(st.sampled_from(list(arguments)))
        value = data.draw(distorted(arguments[argument]))
        if fault := fault_of(name, argument, value, expected):
            faults.setdefault((argument, fault[:300]), f"{value!r:.150}")

    run()
    assert not faults, "\n".join(f"{argument} = {value}: {fault}" for (argument, fault), value in faults.items())
