"""Public functions and hostile arguments: a right answer, or one line that names the argument.

In a valid call of every public function one argument after the other is swapped for each hostile value; a new public
function must get a call, or a reason in `ELSEWHERE`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lmcbook.errors import InputError, one_line
from lmcbook.errors.annotations import fit
from lmcbook.randomness import random_stream
from lmcbook.training import TrainingConfig
from tests.helpers.public_calls import ELSEWHERE, FUNCTIONS, calls, consumed, given, hostile, named


def test_every_public_function_is_tried():
    assert set(calls()) | set(ELSEWHERE) == set(FUNCTIONS) and not set(calls()) & set(ELSEWHERE)


def test_a_message_names_its_argument_as_a_whole_word_and_not_by_chance():
    assert named("state_a", "state_a and state_b differ") and named("test", "test's labels are 0.5; they must be")
    assert named("spec", "a key of spec is 3; it must be a name")
    assert not named("state", "states holds 3; give its state") and not named("images", "the image is wrong")
    assert not named("images", "model fails (images(1) are x); give images") and not named("kind", "x.kind is 3")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(ELSEWHERE)))
def test_a_right_answer_or_one_line_that_names_the_argument(name):
    arguments, function = calls()[name], FUNCTIONS[name]
    consumed(function(**arguments))
    model, wrong = given()["model"], []
    for argument in arguments:
        for kind, value in hostile().items():
            before = [(tensor.clone(), tensor) for tensor in model.state_dict().values()]
            try:
                consumed(function(**{**arguments, argument: value}))
            except InputError as error:
                if not named(argument, str(error)) or "\n" in str(error) or "  " in str(error):
                    wrong.append((argument, kind, one_line(error, 160)))
            except Exception as error:
                wrong.append((argument, kind, one_line(error, 160, kind=True)))
            assert all(torch.equal(old, new) for old, new in before) and not any(m.training for m in model.modules())
    assert not wrong, "\n".join(map(str, wrong))


# --- right values ----------------------------------------------------------------------------------------------------


def same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return torch.allclose(first.double(), second.double(), atol=1e-5)
    return first == pytest.approx(second, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
@pytest.mark.parametrize("name", ["accuracy", "loss", "fit_inverse_temperature", "expected_calibration_error"])
def test_labels_of_any_whole_type_are_those_of_int64(name, dtype):
    arguments = calls()[name]
    function, labels = FUNCTIONS[name], arguments["labels"].to(dtype)
    expected = function(**arguments)
    assert function(**{**arguments, "labels": labels}) == expected
    assert function(**{**arguments, "labels": labels.numpy()}) == expected
    assert function(**{**arguments, "labels": labels.tolist()}) == expected


@pytest.mark.parametrize("form", ["double", "array", "split", "loader", "pair"])
def test_images_of_any_form_give_the_same_logits(form):
    arguments = calls()["predict_logits"]
    images = arguments["images"]
    forms: dict[str, Any] = {
        **{"double": images.double(), "array": images.double().numpy(), "pair": (images, given()["labels"])},
        **{"split": given()["line"].test, "loader": DataLoader(TensorDataset(images), batch_size=5)},
    }
    predict = FUNCTIONS["predict_logits"]
    assert same(predict(**{**arguments, "images": forms[form]}), predict(**arguments))


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_weights_take_the_images_in_their_type(half):
    arguments = calls()["predict_logits"]
    state = {name: tensor.to(half) for name, tensor in arguments["state"].items()}
    logits = FUNCTIONS["predict_logits"](**{**arguments, "state": state})
    exact = FUNCTIONS["predict_logits"](**arguments)
    assert logits.dtype == half and float((logits - exact).abs().max()) < 0.1 * float(exact.abs().max())


@pytest.mark.parametrize("scalar", [np.float32(0.5), np.float64(0.5), np.array(0.5), torch.tensor(0.5)])
def test_scalars_of_numpy_and_torch_are_numbers(scalar):
    arguments = calls()["interpolate"]
    found = FUNCTIONS["interpolate"](**{**arguments, "coefficient": scalar})
    expected = FUNCTIONS["interpolate"](**arguments)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert FUNCTIONS["coefficients_grid"](num_coefficients=np.int64(3)) == (0.0, 0.5, 1.0)
    whole: dict[str, Any] = {"num_layers": np.int64(2), "hidden_width": torch.tensor(4), "epochs": np.int32(1)}
    config = TrainingConfig(dataset="digits", architecture="mlp", batch_size=8, learning_rate=scalar, **whole)
    plain = TrainingConfig(
        dataset="digits", architecture="mlp", num_layers=2, hidden_width=4, epochs=1, batch_size=8, learning_rate=0.5
    )
    assert config.digest == plain.digest


def as_arrays(state: Any) -> dict[str, Any]:
    """A state as people keep it in numpy: read-only as of a file, backwards, of another byte order, a plain one."""
    arrays = {name: tensor.numpy().copy() for name, tensor in state.items()}
    first, second, third, *_ = arrays
    arrays[first].flags.writeable = False
    arrays[second] = arrays[second][::-1].copy()[::-1]
    arrays[third] = arrays[third].astype(">f4")
    return arrays


def holding(value: Any) -> Any:
    """All the states and permutations in a value, made of arrays."""
    if isinstance(value, dict) and value and all(isinstance(held, Tensor) for held in value.values()):
        return as_arrays(value) if len(value) > 2 else {name: held.numpy() for name, held in value.items()}
    if isinstance(value, dict):
        return {np.float64(key): holding(held) for key, held in value.items()}
    return [holding(held) for held in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(ELSEWHERE)))
def test_states_of_arrays_are_those_of_tensors(name):
    def found(arguments: dict[str, Any]) -> list[Any]:
        result = consumed(FUNCTIONS[name](**arguments))
        return [value for value in (result.values() if isinstance(result, dict) else [result])]

    plain, arrays = calls()[name], calls()[name]  # a generator of random numbers goes on from call to call
    of_tensors = found(plain)
    of_arrays = found({argument: holding(value) for argument, value in arrays.items()})
    assert len(of_arrays) == len(of_tensors)
    for mine, yours in zip(of_arrays, of_tensors, strict=True):
        assert type(mine) is type(yours)
        if isinstance(mine, Tensor):
            assert torch.equal(mine, yours)


def test_what_does_not_fit_inside_of_a_dict_is_named():
    g = given()
    for permutation, told in (
        ({**g["permutation"], "x": [1]}, r"permutation\['x'\] is \[1\]; it must be a Tensor"),
        ({3: torch.arange(2)}, "a key of permutation is 3; it must be a name"),
    ):
        with pytest.raises(InputError, match=told):
            FUNCTIONS["invert"](permutation)
    objects = {**g["a"], "0.bias": np.array([None] * 6)}
    with pytest.raises(InputError, match=r"state_a holds '0.bias': a ndarray of shape \(6,\) and type object"):
        FUNCTIONS["interpolate"](objects, g["b"], 0.5)


def test_what_is_at_fault_is_called_as_it_was_given():
    """By the argument that it came with, from however deep the message comes; and what the tensor has to become."""
    arguments = {name: calls()[name] for name in ("predict_logits", "self_merge", "interpolation_curve", "loss")}
    state, images, labels = given()["a"], given()["images"], given()["labels"]
    told: list[tuple[str, dict[str, Any], str]] = [
        (
            "predict_logits",
            {"state": {**state, "0.bias": state["0.bias"].to_sparse()}},
            r"state\['0\.bias'\] .*to_dense\(\)",
        ),
        (
            "predict_logits",
            {"state": {**state, "0.bias": state["0.bias"].int()}},
            r"0\.bias is float32 in model and int32 in",
        ),
        (
            "predict_logits",
            {"state": {**state, "0.weight": state["0.weight"].double()}},
            "^the weights of state are of float32 ",
        ),
        ("predict_logits", {"images": tuple(images)}, r"images is a tuple; it may be a tensor"),
        ("predict_logits", {"images": images[None]}, r"returned shape \(1, 12, 3\) for images of shape \(1, 12, 4\)"),
        ("self_merge", {"calibration": (images, labels + 9)}, r"^calibration's labels go from 9 to 11; with 3 classes"),
        (
            "self_merge",
            {"state": {**state, "2.bias": state["2.bias"] / 0}},
            r"^logits of state are infinite .* 12 of 12",
        ),
        (
            "interpolation_curve",
            {"test": (images.int(), labels)},
            r"^model does not take test's images of .* and type int32",
        ),
        ("loss", {"logits": arguments["loss"]["logits"].to("meta")}, r"^logits is .*which the device meta has not"),
    ]
    for name, changed, message in told:
        with pytest.raises(InputError, match=message):
            FUNCTIONS[name](**{**arguments[name], **changed})
    with pytest.raises(InputError, match=r"^second\['0'\] of shape .* is no permutation of 6 units"):
        FUNCTIONS["compose"](given()["permutation"], {"0": torch.zeros(6, dtype=torch.int64)})


def test_a_dict_that_fits_is_passed_on_as_it_is():
    g = given()
    kept = {name: tensor.clone() for name, tensor in g["a"].items()}
    assert fit("permutation", g["permutation"], dict[str, Tensor]) is g["permutation"]
    found = fit("states", {np.float32(0.5): kept, 1: kept}, Mapping[float, dict[str, Tensor]])
    assert [*found] == [0.5, 1] and type(next(iter(found))) is float and found[0.5] is kept


def test_a_prefix_is_named_and_a_matching_leads_to_its_permutation():
    g = given()
    wrapped = {f"module.{name}": tensor for name, tensor in g["a"].items()}
    with pytest.raises(InputError, match=r"state does not fit model: .* begin with 'module\.', as those of a wrapper"):
        FUNCTIONS["predict_logits"](g["model"], wrapped, g["images"])
    matching = FUNCTIONS["weight_matching"](**calls()["weight_matching"])
    with pytest.raises(InputError, match=r"permutation is a Matching; it must be .*: give its \.permutation"):
        FUNCTIONS["apply"](g["spec"], matching, g["b"])


def test_states_that_a_plain_model_does_not_have_are_refused_by_name():
    g = given()
    more = [{**state, "1.running_mean": torch.zeros(6)} for state in (g["a"], g["b"])]
    with pytest.raises(InputError, match=r"state_a does not fit model: it holds 1\.running_mean"):
        FUNCTIONS["merge"](g["model"], *more, 0.5)


def test_a_tensor_with_two_names_may_come_under_one():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.read = nn.Embedding(7, 6), nn.Linear(6, 7, bias=False)
            self.read.weight = self.embed.weight

        def forward(self, words: Tensor) -> Tensor:
            return self.read(self.embed(words).mean(1))

    model, words = Tied(), torch.arange(20).reshape(5, 4) % 7
    once = {"embed.weight": model.embed.weight.detach()}
    assert torch.equal(FUNCTIONS["predict_logits"](model, once, words), model(words).detach())
    assert set(FUNCTIONS["merge"](model, once, once, 0.5)) == {"embed.weight", "read.weight"}


def test_instance_norm_is_recomputed_as_its_training_would():
    norm = nn.InstanceNorm1d(4, track_running_stats=True, momentum=1.0)
    model = nn.Sequential(nn.Conv1d(2, 4, 1), norm, nn.Flatten(), nn.Linear(12, 2))
    images = torch.randn(10, 2, 3, generator=random_stream(0, "instances"))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    merged = FUNCTIONS["merge"](model, state, state, 0.5, images, batch_size=5)
    model.train()(images)
    assert torch.allclose(merged["1.running_mean"], norm.get_buffer("running_mean"), atol=1e-6)
    assert torch.allclose(merged["1.running_var"], norm.get_buffer("running_var"), atol=1e-6)
