"""Public functions and hostile arguments: a right answer, or one line that names the argument.

`CALLS` holds a valid call of every public function. In each one argument after the other is swapped for each hostile
value; a new public function must get a call, or a reason in `ELSEWHERE`.
"""

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lmcbook.errors import InputError
from lmcbook.errors.arguments import fit
from lmcbook.permutation import derive_spec, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.training import TrainingConfig

PACKAGES = ("", ".calibration", ".evaluation", ".layerwise", ".matching", ".merging", ".permutation")
ELSEWHERE = {
    **dict.fromkeys(("connect", "merge_networks", "read_network"), "tests/test_connect.py, with files and options"),
    **dict.fromkeys(("load", "random_stream"), "names and labels: tests/test_data.py, tests/test_randomness.py"),
    **dict.fromkeys(("gather", "gather_indices", "groups_of", "stretches"), "steps of apply, which checks"),
    "symmetry_of": "derive_spec, which calls the images an example",
    "check_logits": "what the functions of logits call",
}


@functools.cache
def given() -> dict[str, Any]:
    """The smallest network with everything, two states of it, examples."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    states = [{name: torch.randn_like(tensor) for name, tensor in model.state_dict().items()} for _ in range(2)]
    images, labels = torch.randn(12, 4), torch.arange(12) % 3
    spec = derive_spec(model, images[:2])
    permutation = random_permutation(spec, states[0], random_stream(0, "permutation"))
    from lmcbook import Line, build_model, interpolation_curve, observe_modules
    from lmcbook.data import load

    line = Line(model, states[0], states[1], calibration=(images, labels), test=(images, labels))
    digits = load("digits")
    config = TrainingConfig(
        dataset="digits", architecture="mlp", num_layers=2, hidden_width=2, epochs=1, batch_size=500, learning_rate=0.01
    )
    examples: dict[str, Any] = {"calibration": (images, labels), "test": (images, labels)}
    curve = interpolation_curve(model, *states, coefficients=[0, 0.5, 1], **examples)
    return {
        **{"model": model, "a": states[0], "b": states[1], "images": images, "labels": labels, "spec": spec},
        **{"permutation": permutation, "line": line, "digits": digits, "config": config, "examples": examples},
        **{"curve": curve, "observe": observe_modules(model, spec)},
        "built": build_model(config, input_shape=(1, 8, 8), num_classes=10),
    }


def calls() -> dict[str, dict[str, Any]]:
    """Name of a function → the arguments of a valid call."""
    g = given()
    images, labels, logits = g["images"], g["labels"], torch.randn(12, 3, generator=random_stream(0, "logits"))
    judged = {"logits": logits, "labels": labels}
    pair = {"state_a": g["a"], "state_b": g["b"]}
    net = {"model": g["model"], **pair}
    spec, grid = {"spec": g["spec"]}, [0, 0.5, 1]
    outputs = torch.randn(5, 3, 2, generator=random_stream(0, "outputs"))
    moments = {"second_moments_a": outputs[:, 0, 0] ** 2, "second_moments_b": outputs[:, 1, 0] ** 2}
    sides = {"pre_activations_a": outputs, "pre_activations_b": -outputs[:, [1, 0, 2]]}
    activated = {**sides, "coefficient": 0.5, "activation": torch.relu}
    two = {"output_a": outputs, "output_b": -outputs}
    curve = {"coefficients": grid, "losses": [1.0, 2.0, 1.5]}
    generator = random_stream(0, "generator")
    quiet = {"progress": False}
    return {
        "accuracy": judged,
        "loss": {**judged, "inverse_temperature": 2.0},
        "fit_inverse_temperature": judged,
        "expected_calibration_error": {**judged, "inverse_temperature": 2.0, "bins": 5},
        "reliability": {**judged, "inverse_temperature": 2.0, "bins": 5},
        "temperature_sweep": {**judged, "inverse_temperature": 2.0},
        "ensemble_logits": {"logits_a": logits, "logits_b": -logits, "coefficient": 0.5},
        "loss_barrier": {**curve, "endpoints": (1.0, 2.0)},
        "midpoint_loss_barrier": {**curve, "endpoints": None},
        "accuracy_barrier": {"coefficients": grid, "accuracies": [0.5, 0.25, 0.5]},
        "midpoint_accuracy_barrier": {"coefficients": grid, "accuracies": [0.5, 0.25, 0.5]},
        "barriers": {"curve": g["curve"]},
        "coefficients_grid": {"num_coefficients": 5},
        "lewc_ensemble_weight": {"coefficient": 0.5, "exponent": 3},
        "lewc_scale": {"coefficients": [0.5, 0.5], "exponent": 3},
        "lewc_exponent": {"model": g["model"], "num_layers": 3},
        "predicted_inverse_temperature": {"ensemble_inverse_temperature": 2.0, "coefficient": 0.5, "exponent": 3},
        "predict_logits": {"model": g["model"], "state": g["a"], "images": images, "batch_size": 5},
        "predict_logits_along": {**net, "coefficients": grid, "images": images, "batch_size": 5},
        "interpolation_curve": {**net, "coefficients": grid, **g["examples"], "batch_size": 5, "num_layers": 2},
        "curve_along": {"line": g["line"], "coefficients": grid, "num_layers": 2},
        "calibration_study": {"line": g["line"], "coefficients": grid, "generator": generator},
        "repair_study": {"line": g["line"], "coefficients": grid, "images": images},
        "pair_merge": {**net, **g["examples"], "images": images, "repair": "mean"},
        "self_merge": {
            **{"model": g["model"], "state": g["a"], **g["examples"], "images": images, **spec},
            **{"repair": "mean", "draws": 1},
        },
        "interpolate": {**pair, "coefficient": 0.5},
        "merge_many": {"states": [g["a"], g["b"]], "coefficients": [0.5, 0.5]},
        "merge": {**net, "coefficient": 0.5, "images": images, "repair": "mean", "batch_size": 5},
        "recompute_batch_norm": {"model": g["model"], "state": g["a"], "images": images, "batch_size": 5},
        "recompute_batch_norm_": {"model": g["model"], "state": g["a"], "images": images, "batch_size": 5},
        "repair": {**net, "merged_state": g["a"], "coefficient": 0.5, "images": images, "kind": "mean"},
        "add_biases": {"model": g["model"]},
        "weight_matching": {
            **spec, **pair, "model": g["model"], "images": images, "starts": "fast", "shakes": 0, "seed": 0, **quiet
        },
        "merge_many_matching": {
            **spec, "states": [g["a"], g["b"]], "model": g["model"], "images": images, "max_rounds": 2, **quiet
        },
        "activation_matching": {
            **spec, **pair, "observe": g["observe"], "images": images, "model": g["model"], "batch_size": 5, **quiet
        },
        "observe_layers": {"model": g["built"]},
        "observe_modules": {"model": g["model"], **spec},
        "derive_spec": {"model": g["model"], "example": images[:3], "check": False},
        "check_function_preserved": {
            "model": g["model"], **spec, "state": g["a"], "images": images[:3], "generator": generator
        },
        "apply": {**spec, "permutation": g["permutation"], "state": g["a"]},
        "identity": {**spec, "state": g["a"]},
        "random_permutation": {**spec, "state": g["a"], "generator": generator},
        "invert": {"permutation": g["permutation"]},
        "compose": {"first": g["permutation"], "second": g["permutation"]},
        "build_model": {"config": g["config"], "input_shape": (1, 8, 8), "num_classes": 10, "device": "cpu"},
        "train": {"config": g["config"], "splits": g["digits"], "device": "cpu", **quiet},
        "measure_layers": {**net, "merged_states": {0.5: g["a"]}, "images": images, "batch_size": 5, "ranks": False},
        "measure_common_mode": {
            "model": g["model"], "images": images, **pair, **spec, "batch_size": 5
        },
        "lewc_prediction": {**two, "coefficient": 0.5, "depth": 2},
        "llfc_prediction": {**two, "coefficient": 0.5},
        **{name: {"first": outputs, "second": outputs + 1} for name in ("cosines", "mean_cosine")},
        "relative_error": {"actual": outputs, "predicted": outputs + 1},
        "decay_exponent": {"merged": outputs, **two},
        "reciprocal_orthogonality": {"output_of_b_on_a": outputs, "output_of_a_on_a": outputs + 1},
        "weight_norm_ratio": {"weight_b": outputs, "weight_a": outputs},
        "commutativity": {
            **{"output_of_a_on_a": outputs, "output_of_b_on_b": outputs},
            **{"output_of_a_on_b": outputs + 1, "output_of_b_on_a": outputs - 1},
        },
        **{name: {"weight": outputs} for name in ("singular_values", "rank_measures")},
        **{name: {"values": torch.tensor([2.0, 1, 0])} for name in ("stable_rank", "effective_rank")},
        "second_moments": {"pre_activations": outputs},
        "histogram": {"root_second_moments": moments["second_moments_a"], "bins": 3},
        **dict.fromkeys(("overlap", "expected_overlap"), moments),
        "active_share": {"second_moments": moments["second_moments_a"], "mass": 0.5},
        "quantiles": {"root_second_moments": moments["second_moments_a"]},
        **dict.fromkeys(("weak_additivity_sides", "weak_additivity", "weak_additivity_error"), activated),
        "opposite_signs": sides,
    }  # fmt: skip


def hostile() -> dict[str, Any]:
    """What people give in place of what is asked for."""
    images = given()["images"]
    return {
        **{"a module": nn.Linear(4, 3), "a class": nn.Linear, "a state": nn.Linear(4, 3).state_dict()},
        **{"None": None, "text": "text", "no text": "", "an object": object(), "a function": len, "True": True},
        **{
            "no tuple": (),
            "no list": [],
            "no dict": {},
            "a tuple": (images, images),
            "dict of None": {"0.weight": None},
        },
        **{"-1": -1, "0": 0, "0.3": 0.3, "NaN": float("nan"), "infinite": float("inf"), "huge": 10**30},
        **{"list of NaN": [float("nan")] * 3, "list of text": ["a", "b", "c"]},
        **{"an array": images.numpy(), "objects": np.array([None, "a"]), "bytes": images.to(torch.uint8)},
        **{"half": images.half(), "double": images.double(), "complex": images.to(torch.complex64)},
        **{"tensor of NaN": images * torch.nan, "infinite tensor": images / 0, "empty": images[:0]},
        **{"zero-dimensional": torch.tensor(0.5), "numpy's scalar": np.float32(0.5), "numpy's int": np.int64(3)},
        **{"booleans": images > 0, "negative classes": torch.arange(12) - 3, "large classes": torch.arange(12) + 9},
        **{"float classes": torch.arange(12) % 3 + 0.9, "bytes of classes": (torch.arange(12) % 3).to(torch.uint8)},
        "a DataLoader": DataLoader(TensorDataset(images, torch.arange(12) % 3), batch_size=5),
    }


def functions() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for package in PACKAGES:
        module = importlib.import_module(f"lmcbook{package}")
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]
        found |= {name: getattr(module, name) for name in names if inspect.isfunction(getattr(module, name))}
    return {name: function for name, function in found.items() if not name.startswith("_")}


FUNCTIONS = functions()


def test_every_public_function_is_tried():
    assert set(calls()) | set(ELSEWHERE) == set(FUNCTIONS) and not set(calls()) & set(ELSEWHERE)


def consumed(found: Any) -> Any:
    return list(found) if inspect.isgenerator(found) else found


def named(argument: str, message: str) -> bool:
    """Whether what a message says is of ``argument``: the way out, and what torch said, may name any."""
    said = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", message).partition(";")[0]
    return re.search(rf"(?<![\w.]){argument}(?!\w)", said) is not None


def test_a_message_names_its_argument_as_a_whole_word_and_not_by_chance():
    assert named("state_a", "state_a and state_b differ") and named("test", "test's labels are 0.5; they must be")
    assert named("spec", "a key of spec is 3; it must be a name")
    assert not named("state", "states holds 3; give its state") and not named("images", "the image is wrong")
    assert not named("images", "model fails (images(1) are x); give images") and not named("kind", "x.kind is 3")


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
                    wrong.append((argument, kind, str(error)[:160]))
            except Exception as error:
                wrong.append((argument, kind, f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"))
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


WITH_STATES = sorted(name for name, given in calls().items() if any(holding(v) is not v for v in given.values()))


@pytest.mark.parametrize("name", WITH_STATES)
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
