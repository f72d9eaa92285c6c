"""Weights against statistics, and running a network with a state that is not its own."""

import copy

import pytest
import torch
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.lab.failures import told
from lmcbook.permutation import derive_spec
from lmcbook.states import (
    batch_norm_modules,
    evaluation_mode,
    has_batch_norm,
    normalisation_modules,
    weight_names,
    with_state,
)


class Greedy(nn.Module):
    """More than any memory, or a fault of the device."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error, self.weight = error, nn.Parameter(torch.ones(3))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.error is not None:
            raise self.error
        return torch.empty(2**60, dtype=torch.uint8)


OF_THE_MACHINE = [
    None,
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
]


@pytest.mark.parametrize("error", OF_THE_MACHINE)
def test_faults_of_the_machine_are_no_bad_input(error):
    model = Greedy(error)
    for call in (with_state(model, model.state_dict()), lambda images: derive_spec(model, images)):
        with pytest.raises((RuntimeError, MemoryError)) as found:
            call(torch.ones(2, 3))
        assert not isinstance(found.value, InputError)
        said, code = told(found.value) or ("", 2)
        assert code == 1 and ("memory" in said or "the device failed" in said) and "\n" not in said


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), ValueError("out of memory slots")])
def test_faults_of_the_input_are(error):
    model = Greedy(error)
    for call in (with_state(model, model.state_dict()), lambda images: derive_spec(model, images)):
        with pytest.raises(InputError, match="does not take"):
            call(torch.ones(2, 3))


class Tied(nn.Module):
    """One module at two places, one weight in two modules, and a tensor that is no part of the state."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3)
        self.again = self.encoder
        self.decoder = nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight
        self.offset = torch.ones(3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.decoder(self.again(self.encoder(inputs))) + self.offset


def normalised() -> nn.Sequential:
    norm = nn.BatchNorm1d(4)
    return nn.Sequential(nn.Linear(4, 4), norm, nn.ReLU(), norm, nn.InstanceNorm1d(4, track_running_stats=True))


def test_weights_are_told_from_statistics_by_a_module_and_by_a_state():
    model = normalised()
    expected = {f"{place}.{kind}" for place in (0, 1, 3) for kind in ("weight", "bias")}
    assert set(weight_names(model)) == set(weight_names(model.state_dict())) == expected
    assert set(weight_names(Tied())) == set(Tied().state_dict())


def test_batch_norm_comes_under_all_its_names_and_instance_norm_does_not():
    model = normalised()
    assert list(batch_norm_modules(model)) == ["1", "3"]
    assert len(set(batch_norm_modules(model).values())) == 1
    assert len(normalisation_modules(model)) == 2
    assert has_batch_norm(model) and not has_batch_norm(nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)))


@torch.no_grad()
def test_a_network_runs_with_another_state_and_keeps_its_own():
    model = Tied()
    before = copy.deepcopy(model.state_dict())
    state = {name: torch.eye(3) * 2 if "weight" in name else torch.ones(3) for name in before}
    run = with_state(model, state)
    assert run(torch.ones(1, 3)).tolist() == [[16.0] * 3]
    # what the model shares among its layers may differ in a state
    state["decoder.weight"] = torch.eye(3)
    assert with_state(model, state)(torch.ones(1, 3)).tolist() == [[9.0] * 3]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.decoder.weight is model.encoder.weight and model.again is model.encoder
    with pytest.raises(InputError, match=r"state does not fit model: it lacks decoder\.bias"):
        with_state(model, {name: tensor for name, tensor in state.items() if name != "decoder.bias"})


@torch.no_grad()
def test_a_recurrent_network_runs_with_another_state():
    """Torch keeps a second, flat list of its weights."""
    model, other = nn.LSTM(2, 3), nn.LSTM(2, 3)
    inputs = torch.ones(4, 2)
    assert torch.equal(with_state(model, other.state_dict())(inputs)[0], other(inputs)[0])
    assert not torch.equal(model(inputs)[0], other(inputs)[0])


@torch.no_grad()
def test_statistics_of_a_pass_in_training_mode_go_into_the_state():
    model = normalised()[:-1]
    state = copy.deepcopy(model.state_dict())
    with evaluation_mode(model, train_normalisation=True):
        with_state(model, state)(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    assert state["1.num_batches_tracked"] == 2
    assert model.state_dict()["1.num_batches_tracked"] == 0
