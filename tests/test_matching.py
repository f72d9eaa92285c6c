"""Weight matching: exact where exactness is possible, never worse on the way, the same answer by every shortcut."""

import itertools
import math
import re

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.matching import (
    EFFORTS,
    STARTS,
    activation_matching,
    merge_many_matching,
    observe_layers,
    observe_modules,
    weight_matching,
)
from lmcbook.matching.assignment import RepeatedAssignment
from lmcbook.matching.descent import Descent
from lmcbook.matching.similarity import Similarities, objective_and_distance
from lmcbook.models import permutation_spec
from lmcbook.permutation import Part, Permutation, PermutationSpec, apply, derive_spec, identity
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, weight_names
from tests.helpers.matching_pairs import FOREIGN, Network, noisy, other, planted, quiet, same
from tests.helpers.small_networks import ALL, add_a_network, random_images, small_model

# --- planted permutations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("starts", [*EFFORTS, *STARTS])
def test_planted_permutations_are_recovered_exactly(network, starts):
    model, state, spec = network
    b, back = planted(spec, state)
    found = quiet(
        spec, state, b, model=model, images=random_images(4), starts=starts if starts in EFFORTS else (starts,)
    )
    assert same(found.permutation, back)
    objective, distance = objective_and_distance(spec, state, b, back)
    assert found.objective == objective and found.l2_distance == distance


@pytest.mark.parametrize("name", FOREIGN)
def test_planted_permutations_of_foreign_networks_are_recovered_exactly(name):
    _, state, spec = FOREIGN[name]()
    b, back = planted(spec, state)
    assert same(quiet(spec, state, b).permutation, back)


def test_it_is_a_that_stays():
    model, state = small_model("mlp")
    spec = permutation_spec(model)
    b, _ = planted(spec, state)
    aligned = apply(spec, quiet(spec, state, b).permutation, b)
    distance = sum(float((aligned[name] - state[name]).square().sum()) for name in weight_names(state)) ** 0.5
    assert quiet(spec, state, b).l2_distance == pytest.approx(distance, rel=1e-6)
    assert distance < 0.02 * sum(float(state[name].square().sum()) for name in weight_names(state)) ** 0.5


# --- optimality ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_one_hidden_layer_is_optimal_after_one_sweep(seed):
    spec = PermutationSpec({"first": ("hidden", None), "bias": ("hidden",), "second": (None, "hidden")})
    a, b = (
        {
            "first": torch.randn(6, 4, generator=random_stream(seed, purpose, 0)),
            "bias": torch.randn(6, generator=random_stream(seed, purpose, 1)),
            "second": torch.randn(3, 6, generator=random_stream(seed, purpose, 2)),
        }
        for purpose in ("a", "b")
    )

    def objective(order: tuple[int, ...]) -> float:
        pairs = (
            (a["first"], b["first"][[*order]]),
            (a["bias"], b["bias"][[*order]]),
            (a["second"], b["second"][:, [*order]]),
        )
        return sum(float((left.double() * right.double()).sum()) for left, right in pairs)

    best = max(itertools.permutations(range(6)), key=objective)
    similarities = Similarities(spec, a, b)
    descent = Descent(similarities, similarities.identity(), lambda: None)
    descent.sweep(similarities.order)
    assert tuple(descent.permutation["hidden"].tolist()) == best
    for starts in EFFORTS:
        found = quiet(spec, a, b, starts=starts)
        assert tuple(found.permutation["hidden"].tolist()) == best
        assert found.objective == pytest.approx(objective(best), rel=1e-12)


def test_the_objective_never_falls_and_ends_at_a_fixed_point(network):
    check_descent(network)


@pytest.mark.parametrize("name", FOREIGN)
def test_the_objective_never_falls_in_foreign_networks_either(name):
    check_descent(FOREIGN[name]())


def check_descent(network: Network) -> None:
    """Every step is measured anew, in float64 and from the whole states."""
    _, a, spec = network
    b = other(a)
    similarities = Similarities(spec, a, b)
    objectives = []

    def measure() -> None:
        objectives.append(objective_and_distance(spec, a, b, descent.permutation)[0])

    descent = Descent(similarities, similarities.identity(), measure)
    measure()
    descent.polish(lambda: similarities.order)
    assert len(objectives) > len(similarities.order)
    slack = 1e-6 * abs(objectives[-1])
    assert all(after >= before - slack for before, after in itertools.pairwise(objectives))
    assert objectives[-1] > objectives[0]
    assert sum(descent.gains) == pytest.approx(objectives[-1] - objectives[0], rel=1e-4)
    # a fixed point: no group alone can do better, by similarities that are written out
    for group in similarities.order:
        if similarities.quadratic[group]:
            continue
        naive = naive_similarity(spec, a, b, group, descent.permutation)
        rows, columns = linear_sum_assignment(naive.numpy(), maximize=True)
        possible = float(naive[rows, columns].sum())
        reached = float(naive[rows, descent.permutation[group]].sum())
        assert reached >= possible - 1e-5 * abs(possible)


def naive_similarity(spec: PermutationSpec, a: StateDict, b: StateDict, group: str, permutation: Permutation) -> Tensor:
    """By definition: what the objective gains when unit j of b stands in place i, one pair at a time."""
    still = {name: indices if name != group else torch.arange(len(indices)) for name, indices in permutation.items()}
    permuted = apply(spec, still, b)
    size = len(permutation[group])
    total = torch.zeros(size, size, dtype=torch.float64)
    for name in weight_names(a):
        for axis, entry in enumerate(spec.axes[name]):
            start = 0
            for of, block in (Part(entry),) if isinstance(entry, str) else entry or ():
                rows = block * (len(permutation[of]) if of is not None else 1)
                if of == group:
                    left, right = (
                        each[name].float().double().narrow(axis, start, rows).movedim(axis, 0).reshape(size, -1)
                        for each in (a, permuted)
                    )
                    total += left @ right.T
                start += rows
    return total


@pytest.mark.parametrize("name", [*ALL, *FOREIGN])
def test_similarities_kept_up_to_date_are_those_by_definition(name, monkeypatch):
    add_a_network(monkeypatch)
    if name in FOREIGN:
        _, a, spec = FOREIGN[name]()
    else:
        model, a = small_model(name)
        spec = permutation_spec(model)
    b = other(a)
    similarities = Similarities(spec, a, b)
    permutation = identity(spec, a)
    generator = random_stream(0, "moves")
    for step in range(6):
        for group in similarities.order:
            if not similarities.quadratic[group]:
                found = similarities.similarity(group, permutation).double()
                naive = naive_similarity(spec, a, b, group, permutation)
                assert torch.allclose(found, naive, rtol=1e-4, atol=1e-5 * float(naive.abs().max()))
        exact, _ = objective_and_distance(spec, a, b, permutation)
        assert similarities.quick_objective(permutation) == pytest.approx(exact, rel=1e-4, abs=1e-4)
        # now a few units move, now all: both ways of keeping up to date are gone
        permutation = dict(permutation)
        for group, indices in permutation.items():
            some = torch.randperm(len(indices), generator=generator)[: 2 if step % 2 else len(indices)]
            permutation[group] = indices.clone()
            permutation[group][some] = indices[some.roll(1)]


def test_repeated_assignments_are_optimal_each_time():
    generator = random_stream(0, "assignments")
    repeated = RepeatedAssignment()
    matrix = torch.randn(40, 40, generator=generator)
    for step in range(12):
        # scales from 1e-6 to 1e6, large offsets, and matrices that have nothing to do with the last
        scaled = matrix * 10.0 ** (step - 6) + (1000.0 if step == 5 else 0.0)
        found = repeated.solve(scaled)
        rows, columns = linear_sum_assignment(scaled.numpy(), maximize=True)
        assert sorted(found.tolist()) == list(range(40))
        value, best = (float(scaled.double()[rows, order].sum()) for order in (found, columns))
        assert value == pytest.approx(best, rel=1e-12)
        kept = step % 4 < 3
        matrix = (
            matrix + 0.1 * torch.randn(40, 40, generator=generator)
            if kept
            else torch.randn(40, 40, generator=generator)
        )


# --- promises of a matching ------------------------------------------------------------------------------------------


def test_a_matching_tells_how_it_was_reached(network):
    _, a, spec = network
    b = other(a)
    found = quiet(spec, a, b)
    unmoved, _ = objective_and_distance(spec, a, b, identity(spec, a))
    assert found.identity_objective == pytest.approx(unmoved, rel=1e-9, abs=1e-9)
    assert found.objective > found.identity_objective
    assert found.trajectory[-1] == pytest.approx(found.objective, rel=1e-5)
    assert all(after > before for before, after in itertools.pairwise(found.trajectory))
    assert found.sweeps >= 3 and found.seconds > 0 and found.start in STARTS


@pytest.mark.slow
def test_best_is_at_least_as_good_as_each_of_its_starts_and_shaking_never_harms(network):
    _, a, spec = network
    b = other(a)
    starts, shakes = EFFORTS["best"]
    best = quiet(spec, a, b, starts="best").objective
    alone = [quiet(spec, a, b, starts=(start,)).objective for start in starts]
    assert best >= max(alone) - 1e-6 * abs(best)
    unshaken = quiet(spec, a, b, starts="best", shakes=0).objective
    assert unshaken == pytest.approx(max(alone), rel=1e-6)
    assert quiet(spec, a, b, starts="best", shakes=2 * shakes).objective >= best - 1e-6 * abs(best)


def test_nothing_is_worse_than_doing_nothing(network):
    # networks that are aligned already, to which a warm start could only do harm
    _, a, spec = network
    b = noisy(a, 0.5)
    for starts in EFFORTS:
        found = quiet(spec, a, b, starts=starts, shakes=0)
        assert found.objective >= found.identity_objective * (1 - 1e-6)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_permutation():
    model, a = small_model("resnet20")
    spec, b = permutation_spec(model), other(a)
    first, second = (quiet(spec, a, b, seed=5) for _ in range(2))
    assert same(first.permutation, second.permutation) and first.trajectory == second.trajectory


@pytest.mark.slow
def test_running_statistics_move_but_do_not_count():
    model, a = small_model("vgg11")
    spec = permutation_spec(model)
    b = other(a)
    reference = quiet(spec, a, b)
    statistics = [name for name in a if "running" in name]
    changed = {name: tensor * 7 + 3 if name in statistics else tensor for name, tensor in b.items()}
    found = quiet(spec, a, changed)
    assert same(found.permutation, reference.permutation) and found.objective == reference.objective
    assert found.l2_distance == reference.l2_distance
    aligned = apply(spec, found.permutation, changed)
    assert torch.equal(aligned[statistics[0]], changed[statistics[0]][found.permutation["conv1"]])


@pytest.mark.slow
def test_a_wrong_spec_is_refused_before_any_matching():
    model, state = small_model("resnet20")
    spec = permutation_spec(model)
    tensor = "stage2.block1.shortcut.linear.weight"
    wrong = PermutationSpec({**spec.axes, tensor: ("stage2", None, None, None)})
    with pytest.raises(InputError, match=tensor.replace(".", r"\.")):
        weight_matching(wrong, state, state, model=model, images=random_images(4))
    with pytest.raises(InputError, match=tensor.replace(".", r"\.")):
        merge_many_matching(wrong, [state, state], model=model, images=random_images(4))
    with pytest.raises(InputError, match=tensor.replace(".", r"\.")):
        activation_matching(
            wrong, state, state, model=model, images=random_images(4), observe=observe_layers(model), progress=False
        )


def test_bad_input_is_said_in_one_line():
    model, state = small_model("mlp")
    spec = permutation_spec(model)
    with pytest.raises(InputError, match=r"images is None; the check .* \(or give model=None"):
        weight_matching(spec, state, state, model=model)
    with pytest.raises(InputError, match=r"starts is 'slow'; it may be one of: fast, best"):
        quiet(spec, state, state, starts="slow")
    with pytest.raises(InputError, match=r"starts is 'backward'; it may be one of: forward, warm"):
        quiet(spec, state, state, starts=("backward",))
    with pytest.raises(InputError, match=r"starts is empty; it may hold: forward"):
        quiet(spec, state, state, starts=())
    with pytest.raises(InputError, match=r"shakes is -1; it must be a whole number at least 0"):
        quiet(spec, state, state, shakes=-1)
    _, wide = small_model("mlp", hidden_width=13)
    with pytest.raises(InputError, match=r"state_b's hidden1\.linear\.weight has shape \(13, 192\).*width_multiplier"):
        quiet(spec, state, wide)
    broken = {**state, "hidden2.linear.weight": state["hidden2.linear.weight"] / 0}
    with pytest.raises(InputError, match=r"state_b's hidden2\.linear\.weight holds values that are not finite"):
        quiet(spec, state, broken)
    with pytest.raises(InputError, match=r"spec must name the tensors of the state dict; it lacks another"):
        quiet(spec, state, {**state, "another": torch.ones(2)})
    with pytest.raises(InputError, match="no group of two or more units"):
        quiet(PermutationSpec({name: (None,) * tensor.ndim for name, tensor in state.items()}), state, state)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 1], ids=["a", "b"])
@pytest.mark.parametrize("match", ["weights", "activations", "many"])
def test_a_state_that_is_not_finite_is_named_before_anything_is_tried(match, place, bad):
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
    images = torch.randn(8, 3, generator=random_stream(0))
    spec = derive_spec(model, images)
    states = [{name: tensor.detach().clone() for name, tensor in model.state_dict().items()} for _ in range(2)]
    states[place]["2.bias"][0] = bad  # no objective holds it
    matchings = {
        "weights": lambda: weight_matching(spec, *states, model=model, images=images, progress=False),
        "activations": lambda: activation_matching(
            spec, *states, observe=observe_modules(model, spec), images=images, model=model, progress=False
        ),
        "many": lambda: merge_many_matching(spec, states, model=model, images=images, progress=False),
    }
    label = f"states[{place}]" if match == "many" else f"state_{'ab'[place]}"
    with pytest.raises(InputError, match=re.escape(f"{label}'s 2.bias holds values that are not finite")):
        matchings[match]()
