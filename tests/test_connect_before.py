"""What `connect` tells before anything is merged, which points of a line it measures, and what its rows cost."""

import copy
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lmcbook
from lmcbook.connecting.adaptive import points_of_barrier
from lmcbook.connecting.forecasting import forecast
from lmcbook.connecting.preflight import STATES_HELD
from lmcbook.connecting.rows import Row, Scored, bootstrap_error, mean_of
from lmcbook.evaluation import coefficients_grid, predict_logits
from lmcbook.layerwise.traced import TracedNetwork
from lmcbook.merging import interpolate
from lmcbook.permutation import apply, derive_spec, random_permutation
from lmcbook.randomness import random_stream

GRID = coefficients_grid(25)


@pytest.fixture(scope="module")
def pair():
    """Two perceptrons that nobody trained, and images with the first one's answers."""
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 4))
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        own = copy.deepcopy(model)
        for layer in own:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        states.append({name: tensor.clone() for name, tensor in own.state_dict().items()})
    images = torch.randn(400, 6, generator=random_stream(0, "before"))
    return model, *states, images, predict_logits(model, states[0], images).argmax(1)


def connected(pair: Any, **more: Any) -> Any:
    model, a, b, images, labels = pair
    given: dict[str, Any] = {"match": "none", "repair": ("lewc_mean", "mean_and_variance")} | more
    return lmcbook.connect(model, a, b, test=(images, labels), calibration=(images, labels), **given)


# --- before merging ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_forecast_is_of_shuffled_copies_and_sees_no_label(pair):
    model, a, b, images, labels = pair
    told = connected(pair).forecast
    assert told == connected((model, a, b, images, labels.roll(1))).forecast and len(told) == 2
    pool = images[torch.randperm(len(images), generator=random_stream(0, "connect", "images"))][:256]
    spec, shares = derive_spec(model, pool[:8]), []
    for name, state in (("a", a), ("b", b)):
        shuffled = apply(spec, random_permutation(spec, state, random_stream(0, "connect", "copy", name)), state)
        answers = [predict_logits(model, each, pool).argmax(1) for each in (state, interpolate(state, shuffled, 0.5))]
        shares.append(float((answers[0] != answers[1]).double().mean()))
    assert f"the two change {100 * sum(shares) / 2:.1f} % of answers on 256 images" in told[1]
    firing = torch.cat([(pool @ state["0.weight"].T + state["0.bias"] > 0).flatten() for state in (a, b)])
    assert "units fire" in told[0] and 0 < firing.double().mean() < 1


@pytest.mark.slow
def test_the_forecast_comes_before_any_merge_and_is_printed(pair, monkeypatch, capsys):
    merged: list[float] = []

    def counted(state_a, state_b, coefficient, **more):
        merged.append(coefficient)
        return interpolate(state_a, state_b, coefficient, **more)

    monkeypatch.setattr("lmcbook.evaluation.prediction.interpolate", counted)
    monkeypatch.setattr(
        "lmcbook.connecting.stages.forecasting.forecast", lambda *x, **y: [f"after {len(merged)} merges"]
    )
    found = connected(pair, progress=True)
    assert found.forecast[-1] == "after 0 merges" and 0.5 in merged and "Before merging:" in str(found)
    assert "first answer: plain average" in capsys.readouterr().err


@pytest.mark.slow
def test_one_trace_serves_all_that_is_measured_of_the_layers(pair, monkeypatch):
    traces: list[Any] = []

    class Counted(TracedNetwork):
        def __init__(self, *given: Any) -> None:
            traces.append(given)
            super().__init__(*given)

    monkeypatch.setattr("lmcbook.layerwise.traced.TracedNetwork", Counted)
    found = connected(pair)
    assert len(traces) == 1 and {entry["coefficient"] for entry in found.layers} == {None, 0.5}
    assert all("common" in entry["metrics"] for entry in found.layers[1:2])


@pytest.mark.parametrize(
    ("changed", "shared", "advice"),
    [
        ({"none": 0.004}, False, "expect a plain average to do"),
        ({"none": 0.2, "lewc_mean": 0.05, "mean": 0.1}, False, "and try repair lewc_mean"),
        ({"none": 0.2, "lewc_mean": 0.19}, False, "no repair helps much, try matching"),
        ({"none": 0.2}, False, "expect about that of independent starts"),
        ({"none": 0.2, "lewc_mean": 0.05}, True, "two of a shared start lose less"),
    ],
)
def test_what_a_forecast_advises(changed, shared, advice):
    [told] = forecast(changed, 256, task="classification", shared_start=shared)
    assert told.endswith(f"{advice}.") and f"{100 * changed['none']:.1f} % of answers on 256 images" in told


@pytest.mark.slow
def test_layers_of_the_merge_are_of_its_own_coefficient(pair):
    found = connected(pair, at=0.3)
    assert {entry["coefficient"] for entry in found.layers} == {None, 0.3, 0.5}
    assert any(reason.startswith("At lambda 0.5: ") for reason in str(found).split("\n  "))


# --- points of the line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "most"),
    [
        (lambda x: 0.0, 5),
        (lambda x: 0.3 * x, 5),  # the chord itself
        (lambda x: 4 * x * (1 - x), 7),
        (lambda x: torch.sigmoid(torch.tensor(40 * (0.2 - abs(x - 0.5)))).item(), 10),  # a plateau between steep flanks
        (lambda x: 2.0 ** -(((x - 0.3) / 0.1) ** 2), 9),  # a peak beside the quarters
        (lambda x: 1 - 2.0 ** -(((x - 0.5) / 0.2) ** 2), 11),  # two peaks
        (lambda x: -4 * x * (1 - x), 5),  # better than both ends
    ],
)
def test_the_barrier_of_the_grid_is_found_with_fewer_points(height, most):
    asked: Counter[float] = Counter()

    def worth(coefficient):
        asked[coefficient] += 1
        return height(coefficient), 0.0

    points = points_of_barrier(GRID, worth, (0.01, 0.01))
    rises = {each: height(each) - each * height(1.0) - (1 - each) * height(0.0) for each in GRID}
    assert max(rises.values()) - max(rises[each] for each in points) <= 0.02
    assert set(points) <= set(GRID) and {0.0, 0.5, 1.0} <= set(points) and len(points) <= most
    assert set(asked) == set(points) and set(asked.values()) == {1}


def test_each_part_of_the_worth_is_refined_and_what_is_always_wanted_is_there():
    peak = lambda x, place: 2.0 ** -(((x - place) / 0.12) ** 2)  # noqa: E731
    points = points_of_barrier(GRID, lambda x: (peak(x, 0.3), peak(x, 0.7)), (0.01, 0.01), always=[0.07])
    assert 0.07 in points and min(abs(each - 0.3) for each in points) < 0.05 > min(abs(each - 0.7) for each in points)


@pytest.mark.slow
def test_a_whole_number_of_points_measures_what_the_barrier_needs(pair):
    every = connected(pair, coefficients=GRID, layers=False)
    few = connected(pair, coefficients=25, layers=False)
    assert len(every.curve["coefficients"]) == 25 > len(few.curve["coefficients"]) >= 5
    for place, coefficient in enumerate(few.curve["coefficients"]):
        assert few.curve["loss"][place] == every.curve["loss"][every.curve["coefficients"].index(coefficient)]
    assert few.barriers["loss_barrier"] == pytest.approx(every.barriers["loss_barrier"], abs=0.02)
    assert few.rows[2].loss == every.rows[2].loss


SCALARS: tuple[Any, ...] = (np.int64, np.array, torch.tensor)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCALARS)
def test_scalars_and_arrays_of_numpy_and_torch_are_numbers(pair, kind):
    quick: dict[str, Any] = {"layers": False, "repair": "none"}
    whole = connected(pair, coefficients=kind(5), seed=kind(1), batch_size=kind(100), examples=kind(50), **quick)
    plain = connected(pair, coefficients=5, seed=1, batch_size=100, examples=50, **quick)
    assert whole.curve == plain.curve and whole.num_examples == 50
    listed = connected(pair, coefficients=np.linspace(0, 1, 5), at=np.float32(0.5), layers=np.bool_(False))
    assert listed.curve["coefficients"] == [0, 0.25, 0.5, 0.75, 1] and not listed.layers


@pytest.mark.slow
def test_states_of_arrays_are_compared_as_those_of_tensors(pair):
    model, a, b, *examples = pair
    arrays = [{name: tensor.numpy() for name, tensor in state.items()} for state in (a, b)]
    found = connected((model, {"model": arrays[0], "losses": np.zeros(3)}, arrays[1], *examples), layers=False)
    plain = connected(pair, layers=False)
    assert found.curve == plain.curve and found.parents[0].tensors_sha256 == plain.parents[0].tensors_sha256
    with pytest.raises(lmcbook.errors.InputError, match="a .state dict. holds 0.bias, not a tensor"):
        connected((model, {**a, "0.bias": np.array(["x"])}, b, *examples))
    scalars: dict[str, Any] = {"at": np.float64(0.5), "seed": np.int64(0)}
    merged = lmcbook.merge_networks(model, *arrays, **scalars)
    assert torch.equal(merged.state["0.weight"], interpolate(a, b, 0.5)["0.weight"])


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_row_costs_what_it_took(pair):
    found = connected(pair).by_name
    assert found["a"].seconds == found["b"].seconds > 0
    assert found["ensemble"].seconds == found["a"].seconds + found["b"].seconds
    assert found["ensemble"].passes == found["a"].passes + found["b"].passes


@pytest.mark.slow
def test_the_error_of_a_mean_over_draws_has_the_draws_in_it(pair):
    found = connected(pair, random_permutations=3, layers=False)
    shuffled, one = found.by_name["shuffled"], connected(pair, random_permutations=1, layers=False).by_name["shuffled"]
    assert shuffled.standard_error is not None and one.standard_error is not None and shuffled.loss != one.loss
    assert "mean of 3" in shuffled.note and shuffled.over_better is not None


def test_the_mean_of_equal_rows_has_their_own_error(pair):
    right, losses = (torch.arange(40) % 4 > 0).double(), torch.rand(40, dtype=torch.float64)
    parents = [Scored(row=Row(name=n, label=n, coefficient=None, loss=0.1), right=torch.ones(40).double(),
                      losses=torch.zeros(40).double()) for n in "ab"]  # fmt: skip
    row = Row(name="", label="", coefficient=0.5, loss=0.4, accuracy=0.75, lost=0.25, loss_gained=0.3)
    scored = Scored(row=row, right=right, losses=losses)
    words: dict[str, Any] = {"name": "x", "label": "x", "parents": parents, "seconds": 1.0, "passes": 3, "note": ""}
    same = mean_of([scored, scored], **words).row
    assert same.standard_error == pytest.approx(bootstrap_error(1 - right)) and same.lost == 0.25
    other = replace(scored, row=replace(row, lost=0.35))
    spread = mean_of([scored, other], **words).row
    assert spread.standard_error == pytest.approx((bootstrap_error(1 - right) ** 2 + 0.05**2) ** 0.5)


# --- memory -----------------------------------------------------------------------------------------------------------


HELD = """
import torch
from torch import nn
import lmcbook

torch.set_num_threads(1)


def held(width, **more):
    \"""Most memory of a comparison beyond what was there before, in networks.\"""
    hidden = [layer for _ in range(2) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(nn.Linear(16, width), nn.ReLU(), *hidden, nn.Linear(width, 4))
    a, b = ({name: torch.randn_like(each) / width**0.5 for name, each in model.state_dict().items()} for _ in range(2))
    examples = torch.randn(64, 16), torch.arange(64) % 4
    before = memory("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak is what it is now
    lmcbook.connect(model, a, b, test=examples, calibration=examples, **more)
    return (memory("VmHWM") - before) / sum(4 * each.numel() for each in a.values())


def memory(what):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(what)))


for what, more in {
    "the average": {"match": "none", "repair": "none", "layers": False},
    "a repair": {"match": "none", "layers": False},
    "the layers": {"match": "none", "repair": "none"},
    "matching": {"match": "all"},
}.items():
    held(32, **more)  # what it imports is no network
    print(what, held(1024, **more), sep=":")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the most memory of a while is told by Linux")
def test_memory_is_what_the_preflight_and_the_page_tell():
    """Of networks that are large beside their examples, two of whose layers are nearly all of them."""
    # what is freed is given back at once, so that no stage inherits another's memory
    at_once = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", HELD], env=os.environ | at_once, capture_output=True, text=True, check=True
    ).stdout
    held = {what: float(copies) for what, copies in (line.split(":") for line in told.splitlines())}
    assert held.keys() == STATES_HELD.keys()
    # the workspace of linear algebra takes up to 0.3 of a network more on one processor than on another
    assert all(most - 1 < held[what] < most + 0.8 for what, most in STATES_HELD.items()), held
    words = ", ".join(f"{most} for {what}" for what, most in STATES_HELD.items())
    assert words in Path("book/connect.md").read_text(encoding="utf-8").replace("\n", " ")
