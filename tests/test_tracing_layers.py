"""Layers that a trace looks into, with planted permutations that come back; what is said where nothing is proved."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from lmcbook import activation_matching, derive_spec, observe_modules, weight_matching
from lmcbook.errors import InputError
from lmcbook.permutation import Part, apply, check_function_preserved, random_permutation
from lmcbook.randomness import random_stream


class Steps(nn.Module):
    """A recurrent layer, read at its last step or from its last states."""

    def __init__(self, layer: nn.Module, states: bool, units: int) -> None:
        super().__init__()
        self.layer, self.states, self.read = layer, states, nn.Linear(units, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs, states = self.layer(x)
        return self.read((states[0] if isinstance(states, tuple) else states)[-1] if self.states else outputs[:, -1])


class Cell(nn.Module):
    """One cell, stepped by hand."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.read = cell, nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.read(state[0] if isinstance(state, tuple) else state)


def lstm(*, states: bool = False, units: int = 6, **options) -> nn.Module:
    return Steps(nn.LSTM(4, 6, batch_first=True, **options), states, units)


def convolutions(*middle: nn.Module, last: int = 12) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 12, 3), *middle, nn.ReLU(), nn.Conv2d(last, 2, 1), nn.Flatten(1))


WORDS, IMAGE = (5, 4), (3, 6, 6)
# network, shape of an input, sizes of its groups
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[int]]] = {
    "lstm": (lstm, WORDS, [6]),
    "lstm of two layers": (lambda: lstm(num_layers=2), WORDS, [6, 6]),
    "lstm both ways": (lambda: lstm(num_layers=2, bidirectional=True, units=12), WORDS, [6] * 4),
    "lstm with a projection": (lambda: lstm(proj_size=5, units=5), WORDS, [6, 5]),
    "lstm without biases": (lambda: lstm(bias=False), WORDS, [6]),
    "lstm, last state": (lambda: lstm(states=True), WORDS, [6]),
    "gru": (lambda: Steps(nn.GRU(4, 6, batch_first=True), False, 6), WORDS, [6]),
    # all layers' last states are read at once: they move alike
    "gru of two layers, last state": (lambda: Steps(nn.GRU(4, 6, 2, batch_first=True), True, 6), WORDS, [6]),
    "rnn": (lambda: Steps(nn.RNN(4, 6, nonlinearity="relu", batch_first=True), False, 6), WORDS, [6]),
    "lstm cell": (lambda: Cell(nn.LSTMCell(4, 6)), WORDS, [6]),
    "gru cell": (lambda: Cell(nn.GRUCell(4, 6)), WORDS, [6]),
    "rnn cell": (lambda: Cell(nn.RNNCell(4, 6)), WORDS, [6]),
    "grouped convolution": (lambda: convolutions(nn.ReLU(), nn.Conv2d(12, 12, 3, groups=3)), IMAGE, [4] * 4),
    "group norm before it": (
        lambda: convolutions(nn.GroupNorm(3, 12), nn.ReLU(), nn.Conv2d(12, 12, 3, groups=3)), IMAGE, [4] * 4
    ),
    "depth-wise": (lambda: convolutions(nn.Conv2d(12, 24, 3, groups=12), last=24), IMAGE, [12]),
    "grouped and transposed": (
        lambda: convolutions(nn.ReLU(), nn.ConvTranspose2d(12, 9, 3, groups=3), last=9), IMAGE, [4, 4, 4, 3]
    ),
    "transposed without bias": (
        lambda: convolutions(nn.ReLU(), nn.ConvTranspose2d(12, 5, 3, bias=False), last=5), IMAGE, [12, 5]
    ),
    "weight norm": (lambda: convolutions(nn.ReLU(), weight_norm(nn.Conv2d(12, 6, 1)), last=6), IMAGE, [12, 6]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_planted_permutations_come_back_by_weights_and_by_activations(name):
    build, shape, sizes = LAYERS[name]
    torch.manual_seed(0)
    model = build().double().eval()
    images = torch.randn(60, *shape, generator=random_stream(0, "images"), dtype=torch.float64)
    spec = derive_spec(model, images[:3])
    state = {key: tensor.detach() for key, tensor in model.state_dict().items()}
    assert list(spec.groups(state).values()) == sizes
    planted = apply(spec, random_permutation(spec, state, random_stream(1, "planted")), state)
    assert any(not torch.equal(planted[key], state[key]) for key in state)
    observe = observe_modules(model, spec)
    for found in (
        weight_matching(spec, state, planted, model=None, starts="fast", progress=False),
        activation_matching(spec, state, planted, observe=observe, images=images, model=model, progress=False),
    ):
        back = apply(spec, found.permutation, planted)
        assert all(torch.equal(back[key], state[key]) for key in state)


def test_the_gates_of_a_unit_move_with_it():
    axes = derive_spec(lstm(), torch.randn(2, *WORDS)).axes
    assert axes["layer.weight_hh_l0"] == ((Part("layer"),) * 4, "layer") and axes["read.weight"] == (None, "layer")


# --- what is said ----------------------------------------------------------------------------------------------------


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.dropout(self.first(x).relu(), 0.5, training=True))


class Impatient(Random):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        return self.last(-hidden if hidden.sum() > 0 else hidden)


class Idle(Random):
    """Its hidden units never reach the outputs."""

    def forward(self, x: Tensor) -> Tensor:
        return self.last(0 * self.first(x).relu())


@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        (Random(), torch.randn(8, 4), "outputs are random: two calls in evaluation mode differ"),
        (Impatient(), torch.randn(3, 4), "a decision in it depends on numbers in a tensor"),
        (Idle(), torch.randn(3, 4), "outputs do not depend on the units that spec permutes"),
        (nn.Linear(4, 2), torch.randn(3, 5), r"model does not take example of shape \(3, 5\) and type float32"),
        (nn.Linear(4, 2), torch.zeros(3, 4, dtype=torch.uint8), r"does not take example of shape .* uint8 .*floating"),
        (nn.Linear(4, 2), torch.zeros(0, 4), r"example is a Tensor of shape \(0, 4\) .* must be one example or more"),
        (nn.Linear(4, 2), torch.full((2, 4), torch.nan), "example are infinite or not a number for 2 of 2"),
        (nn.Linear, torch.randn(3, 4), r"model is the class Linear; it must be .* make one of it"),
        (nn.Linear(4, 2).state_dict(), torch.randn(3, 4), r"model is a OrderedDict; it must be a torch\.nn\.Module"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_and_nothing_else(model, example, message, capfd, caplog):
    before = torch.get_rng_state()
    with pytest.raises(InputError, match=message) as caught:
        derive_spec(model, example)
    assert "\n" not in str(caught.value) and capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]
    assert torch.equal(torch.get_rng_state(), before)


def test_examples_of_other_types_are_taken_as_the_weights_are():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    expected = derive_spec(model, torch.randn(3, 4))
    examples: list[Any] = [torch.randn(3, 4).double(), torch.randn(3, 4).half(), torch.randn(3, 4).numpy()]
    for example in examples:
        assert derive_spec(model, example) == expected


def test_a_network_that_is_constant_at_first_is_tested_with_other_weights():
    first = nn.Linear(4, 6)
    model = nn.Sequential(first, nn.ReLU(), nn.Linear(6, 2))
    nn.init.constant_(first.bias, -1e6)  # no unit is ever active
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    right = derive_spec(model, torch.randn(8, 4))
    wrong = type(right)({**right.axes, "0.bias": (None,)})
    with pytest.raises(InputError, match=r"does not preserve the function .* 0\.bias"):
        check_function_preserved(model, wrong, state, torch.randn(8, 4), random_stream(0, "check"))


def test_two_examples_do_where_batch_norm_has_two_values():
    torch.manual_seed(0)
    norms = [layer for _ in range(6) for layer in (nn.Linear(40, 40), nn.BatchNorm1d(40), nn.ReLU())]
    model = nn.Sequential(nn.Linear(5, 40), nn.ReLU(), *norms, nn.Linear(40, 3))
    assert len(derive_spec(model, torch.randn(2, 5)).group_names) == 7


def test_examples_that_are_too_few_are_told_from_a_wrong_table():
    """A network that computes in float32 whatever its weights are, with batch norm over two values that are alike."""

    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(40, 64), nn.Linear(64, 64), nn.Linear(64, 2)
            self.norm = nn.BatchNorm1d(64, eps=1e-30)

        def forward(self, x: Tensor) -> Tensor:
            hidden = F.linear(self.first(x).float(), self.second.weight.float())
            return self.last(self.norm(hidden.to(x)))

    torch.manual_seed(0)
    near = torch.randn(1, 40) + 1e-6 * torch.randn(2, 40)
    with pytest.raises(InputError, match=r"images holds 2 example\(s\), too few to tell .* give more examples"):
        derive_spec(Single(), near)
    assert derive_spec(Single(), torch.randn(8, 40)).group_names == ("first", "second")


def test_nothing_to_match_points_to_the_reason():
    class Sorted(Random):
        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x).sort(-1).values)

    model = Sorted()
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    spec = derive_spec(model, torch.randn(3, 4))
    with pytest.raises(InputError, match=r"nothing to match: first\.weight stays because sort .*its unproved"):
        weight_matching(spec, state, state, model=None, progress=False)
