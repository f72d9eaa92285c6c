"""What a forward writes in place into tensors that began as equal numbers ties units like any other sum or copy."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmcbook import derive_spec

Begin = Callable[[Tensor, Tensor], Tensor]


class Begun(nn.Module):
    """A recurrent cell that begins with the units of a linear layer, written by ``begin`` into zeros."""

    def __init__(self, begin: Begin, cell: type[nn.RNNCellBase] = nn.GRUCell) -> None:
        super().__init__()
        self.begin = begin
        self.first, self.cell, self.read = nn.Linear(4, 6), cell(4, 6), nn.Linear(6, 3)  # type: ignore[call-arg]

    def forward(self, x: Tensor) -> Tensor:
        start = self.begin(torch.zeros(len(x), 6), self.first(x))
        state = self.cell(x, (start, torch.zeros_like(start)) if isinstance(self.cell, nn.LSTMCell) else start)
        return self.read(state[0] if isinstance(state, tuple) else state)


class BegunLayers(Begun):
    """The same before a recurrent layer, whose states have an axis more."""

    def __init__(self, begin: Begin) -> None:
        super().__init__(begin)
        self.layer = nn.GRU(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.layer(x[None], self.begin(torch.zeros(1, len(x), 6), self.first(x)))[0][-1])


def assigned(start: Tensor, units: Tensor) -> Tensor:
    start[...] = units
    return start


def assigned_through_a_view(start: Tensor, units: Tensor) -> Tensor:
    start[..., :4][..., 1:] = units[..., :3]
    return start


def added(start: Tensor, units: Tensor) -> Tensor:
    start += units
    return start


def added_to_a_view(start: Tensor, units: Tensor) -> Tensor:
    view = start.view(-1, 6)
    view += units
    return start


def added_to_what_dropout_returned(start: Tensor, units: Tensor) -> Tensor:
    F.dropout(start, 0.5, training=False).add_(units)
    return start


def one_unit_is_set(start: Tensor, units: Tensor) -> Tensor:
    start += units
    start[..., 2] = 1.5
    return start


def the_first_are_filled(start: Tensor, units: Tensor) -> Tensor:
    start[..., :2].fill_(2.0)
    return start


def written_as_out(start: Tensor, units: Tensor) -> Tensor:
    torch.mul(units, 2, out=start.view(-1, 6))
    return start


# what is written, and the sizes of the groups that are left: both layers' units together where they are added; where
# they are copied those that are not; where numbers are written, the linear layer's, which nothing reads, and the others
WRITTEN: dict[Begin, list[int]] = {
    **{assigned: [], assigned_through_a_view: [2, 3], added: [6], added_to_a_view: [6]},
    **{added_to_what_dropout_returned: [6], one_unit_is_set: [], the_first_are_filled: [4, 6], written_as_out: [6]},
}


@pytest.mark.parametrize("network", [Begun, BegunLayers, lambda begin: Begun(begin, nn.LSTMCell)])
@pytest.mark.parametrize("begin", WRITTEN)
def test_what_is_written_into_zeros_before_a_recurrent_layer_is_seen(begin, network):
    model = network(begin).requires_grad_(False)  # torch refuses out= where gradients are asked for
    spec = derive_spec(model, torch.randn(8, 4))  # which checks that outputs stay as they were
    assert sorted(spec.groups(model.state_dict()).values()) == WRITTEN[begin]


class Products(nn.Module):
    """A product of matrices written into a view, and what it was written into multiplied by a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.read = nn.Linear(4, 6, bias=False), nn.Linear(6, 3)
        self.size = nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        products = torch.zeros(1, len(x), 6)
        torch.mm(x, self.first.weight.T, out=products[0])
        return self.read((products[0] * self.size).relu())


def test_a_product_written_into_a_view_moves_with_what_it_is_a_view_of():
    model = Products().requires_grad_(False)
    assert derive_spec(model, torch.randn(8, 4)).groups(model.state_dict()) == {"first": 6}


class Two(nn.Module):
    """Two layers that begin with zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.read = nn.LSTM(4, 6, 2), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        start = torch.zeros(2, len(x), 6)
        return self.read(self.layers(x[None], (start, torch.zeros_like(start)))[0][-1])


def test_zeros_that_nothing_is_written_into_tie_nothing():
    model = Two()
    assert list(derive_spec(model, torch.randn(8, 4)).groups(model.state_dict()).values()) == [6, 6]
