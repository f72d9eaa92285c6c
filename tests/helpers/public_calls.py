"""A valid call of every public function, hostile values to swap into it, and whether a message names an argument."""

import functools
import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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


def consumed(found: Any) -> Any:
    return list(found) if inspect.isgenerator(found) else found


def named(argument: str, message: str) -> bool:
    """Whether what a message says is of ``argument``: the way out, and what torch said, may name any."""
    said = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", message).partition(";")[0]
    return re.search(rf"(?<![\w.]){argument}(?!\w)", said) is not None
