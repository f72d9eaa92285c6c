"""Activation matching: planted permutations come back, whatever the batches, and every group must be observed."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from lmcbook.errors import InputError
from lmcbook.matching import Matching, activation_matching, observe_layers, observe_modules
from lmcbook.matching.similarity import objective_and_distance
from lmcbook.models import LayeredModel, permutation_spec
from lmcbook.permutation import PermutationSpec, apply, derive_spec, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from tests.helpers.matching_pairs import other, planted, same
from tests.helpers.small_networks import random_images, small_model

Layered = tuple[LayeredModel, StateDict, PermutationSpec]


def by_activations(network: Layered, b: StateDict, **options) -> Matching:
    model, state, spec = network
    given = {"observe": observe_layers(model), "images": random_images(64), "model": None, "progress": False}
    return activation_matching(spec, state, b, **{**given, **options})


def test_activations_recover_planted_permutations(network):
    _, state, spec = network
    drawn = random_permutation(spec, state, random_stream(3, "permutation"))
    b = apply(spec, drawn, state)
    found = by_activations(network, b)
    aligned = apply(spec, found.permutation, b)
    # units that are dead, or twins, may be exchanged; whatever varies is back in place
    assert found.correlation is not None and found.correlation <= 1 + 1e-6
    outputs = [observe_layers(network[0])(each, random_images(64)) for each in (state, aligned)]
    for key in list(outputs[0])[:-1]:
        assert torch.allclose(outputs[0][key], outputs[1][key], atol=1e-6 * float(outputs[0][key].abs().max()))


def test_activations_agree_with_weights_on_a_planted_mlp():
    model, state = small_model("mlp", activation="leaky_relu")
    network = model, state, permutation_spec(model)
    b, back = planted(network[2], state)
    found = by_activations(network, b)
    assert same(found.permutation, back)
    assert found.correlation == pytest.approx(1, abs=0.01)
    assert found.objective == objective_and_distance(network[2], state, b, back)[0]


def test_batches_and_offsets_do_not_matter():
    model, state = small_model("vgg11")
    spec = permutation_spec(model)
    b, observe = other(state), observe_layers(model)
    reference = by_activations((model, state, spec), b)
    found = by_activations((model, state, spec), b, batch_size=7)
    shifted = by_activations(
        (model, state, spec), b, observe=lambda *given: {key: 3 * value + 1e3 for key, value in observe(*given).items()}
    )
    for each in (found, shifted):
        assert same(each.permutation, reference.permutation)
        assert each.correlation == pytest.approx(reference.correlation, abs=1e-4)


def test_a_unit_that_never_varies_correlates_with_none():
    spec = PermutationSpec({"first": ("hidden", None), "second": (None, "hidden")})
    state = {"first": torch.ones(3, 2), "second": torch.ones(2, 3)}
    values = torch.randn(50, 2, generator=random_stream(0, "values"))

    def observe(which: StateDict, images: Tensor) -> dict[str, Tensor]:
        dead = torch.full((50, 1), 0.1)
        return {"first": torch.cat([dead, values] if which is state else [values.flip(1), dead], dim=1)}

    found = activation_matching(spec, state, dict(state), observe=observe, images=values, model=None, progress=False)
    assert found.permutation["hidden"].tolist() == [2, 1, 0]
    assert found.correlation == pytest.approx(2 / 3)


def test_foreign_networks_are_observed_by_their_modules():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 8), nn.GELU(), nn.Linear(8, 2))
    model = model.double()
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    spec = derive_spec(model, random_images(2))
    b, back = planted(spec, state)
    observe = observe_modules(model, spec)
    found = activation_matching(spec, state, b, observe=observe, images=random_images(40), model=model, progress=False)
    assert same(found.permutation, back)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    "layers",
    [
        lambda: (nn.ConvTranspose2d(3, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 2, 3)),
        lambda: (
            weight_norm(nn.Conv2d(3, 6, 3)),
            nn.ReLU(),
            spectral_norm(nn.Conv2d(6, 5, 3)),
            nn.ReLU(),
            nn.Conv2d(5, 2, 1),
        ),
        lambda: (nn.Conv2d(3, 16, 3), nn.PixelShuffle(2), nn.ReLU(), weight_norm(nn.Conv2d(4, 2, 3))),
    ],
    ids=["transposed", "parametrised", "pixel shuffle"],
)
def test_units_of_transposed_and_parametrised_layers_come_back(layers):
    torch.manual_seed(0)
    model = nn.Sequential(*layers()).eval()
    images = torch.randn(40, 3, 6, 6)
    spec = derive_spec(model, images[:4])
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    b = apply(spec, random_permutation(spec, state, random_stream(1, "planted")), state)
    found = activation_matching(
        spec, state, b, observe=observe_modules(model, spec), images=images, model=model, progress=False
    )
    assert not same(b, state) and same(apply(spec, found.permutation, b), state)


def test_an_observer_must_tell_of_every_group_and_in_the_right_shape():
    model, state = small_model("mlp")
    network, observe = (model, state, permutation_spec(model)), observe_layers(model)

    def partial(*given):
        return {key: value for key, value in observe(*given).items() if "hidden2" not in key}

    with pytest.raises(InputError, match="no activations for group hidden2"):
        by_activations(network, state, observe=partial)
    with pytest.raises(
        InputError, match=r"hidden1\.linear\.weight activations of shape .*\[examples, 12, …positions\]"
    ):
        by_activations(network, state, observe=lambda *given: {key: value.T for key, value in observe(*given).items()})
