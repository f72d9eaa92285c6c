"""The theorems hold where their conditions hold and fail as predicted elsewhere; the closed forms are right."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcbook import layerwise, theory
from lmcbook.calibration import fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.evaluation import (
    ensemble_logits,
    lewc_ensemble_weight,
    lewc_scale,
    predicted_inverse_temperature,
)
from lmcbook.randomness import random_stream
from lmcbook.theory import Network, Pair, connectivity_errors, two_networks

ROUNDING = 1e-12
COEFFICIENTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


def generator(seed: int = 0) -> torch.Generator:
    return random_stream(seed, "theory")


def inputs_for(network, examples: int = 17, seed: int = 0) -> torch.Tensor:
    size = network.weights[0].shape[1]
    return torch.randn(examples, size, generator=random_stream(seed, "inputs"), dtype=torch.float64)


def disjoint(num_layers: int = 5, seed: int = 0, **changes) -> Pair:
    sizes = {"input_size": 8, "units": 6, "num_classes": 4, **changes}
    return theory.disjoint_pair(num_layers=num_layers, generator=generator(seed), **sizes)


def leaky(slope: float):
    return lambda values: F.leaky_relu(values, slope)


sizes = st.fixed_dictionaries(
    {
        "num_layers": st.integers(2, 6),
        "input_size": st.integers(1, 5),
        "units": st.integers(1, 6),
        "num_classes": st.integers(1, 4),
    }
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(sizes=sizes, coefficient=st.floats(0, 1), slope=st.sampled_from([0.0, 0.01, 0.5, 1.0]), seed=st.integers(0, 999))
def test_theorem_5_3_is_exact_on_disjoint_networks(sizes, coefficient, slope, seed):
    pair = theory.disjoint_pair(**sizes, generator=generator(seed))
    inputs = inputs_for(pair.a, seed=seed)
    errors = connectivity_errors(pair, two_networks([coefficient]), inputs, activation=leaky(slope))
    assert errors.shape == (1, sizes["num_layers"])
    # of a layer that is dead in both networks there is no relative error
    assert errors.nan_to_num(0).max() < ROUNDING
    conditions = theory.condition_errors(pair, inputs, leaky(slope))
    assert conditions["additivity"].nan_to_num(0).max() < ROUNDING
    assert conditions["orthogonality"].nan_to_num(0).max() == 0


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
@pytest.mark.parametrize("coefficient", [0.25, 0.5])
def test_breaking_orthogonality_alone_fails_as_predicted(depth, coefficient):
    pair = theory.break_orthogonality(disjoint(), depth, 1.0, generator(1))
    inputs = inputs_for(pair.a)
    conditions = theory.condition_errors(pair, inputs)
    assert conditions["additivity"][:-1].max() == 0
    assert [layer for layer in range(2, 6) if conditions["orthogonality"][layer - 1] > 0] == [depth]
    errors = connectivity_errors(pair, two_networks([coefficient]), inputs)[0]
    assert errors[: depth - 1].max() < ROUNDING < 1e-4 < errors[depth - 1 :].min()
    traces = [theory.run(each, inputs) for each in (*pair, theory.merged(pair, (coefficient, 1 - coefficient)))]
    a, b, merged = (trace[depth - 1].pre_activation for trace in traces)
    residual = merged - coefficient**depth * a - (1 - coefficient) ** depth * b
    on_a = traces[0][depth - 1].input @ pair.b.weights[depth - 1].T
    assert torch.allclose(residual, coefficient ** (depth - 1) * (1 - coefficient) * on_a, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("coefficient", [0.25, 0.5])
def test_breaking_weak_additivity_alone_fails_as_predicted(depth, coefficient):
    pair = theory.break_additivity(disjoint(), depth, 1.0, generator(1))
    inputs = inputs_for(pair.a)
    conditions = theory.condition_errors(pair, inputs)
    assert conditions["orthogonality"][1:].max() < ROUNDING
    assert [layer for layer in range(1, 5) if conditions["additivity"][layer - 1] > 0] == [depth]
    errors = connectivity_errors(pair, two_networks([coefficient]), inputs)[0]
    assert errors[: depth - 1].nan_to_num(0).max() < ROUNDING if depth > 1 else True
    assert errors[depth - 1 :].min() > 1e-4
    traces = [theory.run(each, inputs) for each in (*pair, theory.merged(pair, (coefficient, 1 - coefficient)))]
    weights = coefficient**depth, (1 - coefficient) ** depth
    a, b, merged = (trace[depth - 1] for trace in traces)
    residual = merged.output - weights[0] * a.output - weights[1] * b.output
    assert torch.allclose(residual, -theory.deficit(a.pre_activation, b.pre_activation, *weights), atol=1e-12)
    # what is wrong in this layer passes through the merged weights into the next one, and nothing else is wrong there
    a, b, merged = (trace[depth].pre_activation for trace in traces)
    following = merged - coefficient ** (depth + 1) * a - (1 - coefficient) ** (depth + 1) * b
    merged_weight = theory.merged(pair, (coefficient, 1 - coefficient)).weights[depth]
    assert torch.allclose(following, residual @ merged_weight.T, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    u=st.floats(-5, 5),
    v=st.floats(-5, 5),
    weights=st.tuples(st.floats(0.01, 2), st.floats(0.01, 2)),
    slope=st.floats(0, 1),
)
def test_the_deficit_is_what_weak_additivity_lacks(u, v, weights, slope):
    def activation(value: float) -> float:
        return value if value > 0 else slope * value

    p, q = weights
    lacking = activation(p * u) + activation(q * v) - activation(p * u + q * v)
    first, second = (torch.tensor([[each]], dtype=torch.float64) for each in (u, v))
    assert theory.deficit(first, second, p, q, slope).item() == pytest.approx(lacking, abs=1e-12)


def test_leaky_relu_qualifies_and_gelu_does_not():
    pair = disjoint()
    inputs = inputs_for(pair.a)
    assert connectivity_errors(pair, two_networks(COEFFICIENTS), inputs, activation=F.leaky_relu).max() < ROUNDING
    errors = connectivity_errors(pair, two_networks([0.5]), inputs, activation=F.gelu)[0]
    assert errors.min() > 0.05 and errors[-1] > 0.5


def test_under_gelu_both_conditions_leave_nothing_alive():
    # equal pre-activations are the only ones at which GELU is additive; orthogonality then silences layer 2
    inputs = torch.randn(2, 6, generator=generator(), dtype=torch.float64)
    first = torch.randn(5, 6, generator=generator(1), dtype=torch.float64)
    features = F.gelu(inputs @ first.T)
    across = torch.eye(5, dtype=torch.float64) - torch.linalg.pinv(features) @ features
    a, b = (Network(weights=(first, torch.randn(3, 5, generator=generator(seed)).double() @ across)) for seed in (2, 3))
    conditions = theory.condition_errors(Pair(a, b), inputs, F.gelu)
    assert conditions["additivity"][0] < ROUNDING
    assert theory.run(a, inputs, F.gelu)[1].output.abs().max() < ROUNDING
    assert theory.run(b, inputs, F.gelu)[1].output.abs().max() < ROUNDING


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(sizes=sizes, coefficient=st.floats(0, 1), seed=st.integers(0, 999))
def test_theorem_d_1_is_exact_on_commuting_networks(sizes, coefficient, seed):
    pair = theory.commuting_pair(**sizes, generator=generator(seed))
    inputs = inputs_for(pair.a, seed=seed)
    errors = connectivity_errors(pair, two_networks([coefficient]), inputs, exponent="one")
    assert errors.nan_to_num(0).max() < ROUNDING
    conditions = theory.condition_errors(pair, inputs)
    assert conditions["additivity"].nan_to_num(0).max() < ROUNDING
    assert conditions["commutativity"].nan_to_num(0).max() < ROUNDING


def test_the_two_mechanisms_exclude_each_other():
    orthogonal, commuting = (
        disjoint(),
        theory.commuting_pair(num_layers=5, input_size=8, units=6, num_classes=4, generator=generator()),
    )
    inputs = inputs_for(orthogonal.a)
    assert theory.condition_errors(orthogonal, inputs)["commutativity"][1:].tolist() == pytest.approx([1] * 4)
    assert theory.condition_errors(commuting, inputs)["orthogonality"][1:].min() > 0.5
    half = two_networks([0.5])
    # the predictions differ by the factor 2^(ℓ−1), and errors are relative to the layer
    expected = [2.0 ** (depth - 1) - 1 for depth in range(1, 6)]
    assert connectivity_errors(orthogonal, half, inputs, exponent="one")[0].tolist() == pytest.approx(expected)
    assert connectivity_errors(commuting, half, inputs)[0].tolist() == pytest.approx(
        [1 - 2.0 ** (1 - depth) for depth in range(1, 6)], abs=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(
    sizes=sizes,
    raw=st.lists(st.floats(0, 1), min_size=2, max_size=5).filter(lambda values: sum(values) > 0.1),
    seed=st.integers(0, 999),
)
def test_lewc_of_many_networks(sizes, raw, seed):
    coefficients = tuple(each / sum(raw) for each in raw)
    networks = theory.disjoint_networks(len(raw), **sizes, generator=generator(seed))
    errors = connectivity_errors(networks, [coefficients], inputs_for(networks[0], seed=seed))
    assert errors.nan_to_num(0).max() < ROUNDING


def test_biases_break_lewc_and_scaled_biases_restore_it():
    pair = disjoint(bias=True)
    inputs = inputs_for(pair.a)
    rows = two_networks([0.25, 0.5])
    plain = connectivity_errors(pair, rows, inputs)
    assert plain[:, 0].max() < ROUNDING < 0.1 < plain[:, 1:].min()
    assert connectivity_errors(pair, rows, inputs, bias_exponent="depth").max() < ROUNDING


def test_a_bias_in_the_first_layer_alone_does_no_harm():
    pair = disjoint(bias=True)
    first = []
    for network in pair:
        assert network.biases is not None
        others = tuple(torch.zeros_like(bias) for bias in network.biases[1:])
        first.append(Network(weights=network.weights, biases=(network.biases[0], *others)))
    assert connectivity_errors(first, two_networks(COEFFICIENTS), inputs_for(pair.a)).max() < ROUNDING


def test_shared_units_keep_their_size_and_the_others_decay():
    networks = theory.disjoint_networks(
        2, num_layers=4, input_size=8, units=5, num_classes=3, generator=generator(), shared_units=4
    )
    inputs = inputs_for(networks[0])
    common = Network(
        weights=tuple(torch.where(a == b, a, 0.0) for a, b in zip(*(n.weights for n in networks), strict=True))
    )
    shared = [trace.output for trace in theory.run(common, inputs)][:-1]
    a, b, merged = (theory.run(each, inputs) for each in (*networks, theory.merged(networks, (0.3, 0.7))))
    for depth, output in enumerate(shared, start=1):
        own_a, own_b = a[depth - 1].output - output, b[depth - 1].output - output
        expected = output + 0.3**depth * own_a + 0.7**depth * own_b
        assert torch.allclose(merged[depth - 1].output, expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    num_layers=st.integers(2, 5),
    coefficient=st.floats(0, 1),
    slope=st.sampled_from([0.0, 0.1, 1.0]),
    bias=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_bound_on_the_error_holds_for_any_networks(num_layers, coefficient, slope, bias, seed):
    stream = generator(seed)
    widths = [4, *[6] * (num_layers - 1), 3]

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=stream, dtype=torch.float64)

    pair = Pair(
        *(
            Network(
                weights=tuple(drawn(rows, columns) for columns, rows in pairwise(widths)),
                biases=tuple(drawn(rows) for rows in widths[1:]) if bias else None,
            )
            for _ in range(2)
        )
    )
    budget = theory.error_budget(pair, coefficient, drawn(9, 4), slope)
    assert bool((budget.error <= budget.bound * (1 + 1e-9) + 1e-9).all())
    assert budget.orthogonality[0] == 0 and budget.additivity[-1] == 0 and budget.bias[0] < ROUNDING


def test_the_bound_is_attained_where_one_condition_breaks_first():
    for pair, depth, name in (
        (theory.break_orthogonality(disjoint(), 5, 1.0, generator(1)), 5, "orthogonality"),
        (theory.break_additivity(disjoint(), 2, 1.0, generator(1)), 2, "additivity"),
    ):
        budget = theory.error_budget(pair, 0.3, inputs_for(pair.a))
        assert budget.error[depth - 1].item() == pytest.approx(getattr(budget, name)[depth - 1].item())
        assert budget.bound[depth - 1].item() == pytest.approx(budget.error[depth - 1].item())
    exact = theory.error_budget(disjoint(), 0.3, inputs_for(disjoint().a))
    assert exact.bound.max() == 0 and exact.error.max() < ROUNDING


@settings(max_examples=20, deadline=None)
@given(sizes=sizes, coefficient=st.floats(0.05, 0.95), skip=st.booleans(), seed=st.integers(0, 999))
def test_recomputed_batch_norm_leaves_one_factor_per_hidden_layer(sizes, coefficient, skip, seed):
    networks = theory.disjoint_normalised_networks(2, **sizes, skip=skip, generator=generator(seed))
    inputs = inputs_for(networks[0], seed=seed)
    pair = coefficient, 1 - coefficient
    merged = theory.run_normalised(theory.merged_normalised(networks, pair), inputs)
    a, b = (theory.run_normalised(network, inputs) for network in networks)
    for depth, (of_merged, of_a, of_b) in enumerate(zip(merged, a, b, strict=True), start=1):
        power = 2 if depth == sizes["num_layers"] else 1
        expected = pair[0] ** power * of_a + pair[1] ** power * of_b
        assert torch.allclose(of_merged, expected, rtol=1e-8, atol=1e-9)


def test_a_small_epsilon_in_batch_norm_changes_little():
    networks = theory.disjoint_normalised_networks(
        2, num_layers=5, input_size=8, units=6, num_classes=4, generator=generator()
    )
    inputs = inputs_for(networks[0])
    merged = theory.merged_normalised(networks, (0.5, 0.5))
    exact = theory.run_normalised(merged, inputs)[-1]
    distances = [
        float((theory.run_normalised(merged, inputs, epsilon=epsilon)[-1] - exact).norm() / exact.norm())
        for epsilon in (1e-4, 1e-6)
    ]
    assert 0 < distances[1] < distances[0] / 20 < 0.01


def polar_cosine(std_a: float, std_b: float, correlation: float, coefficient: float, slope: float) -> float:
    """By numerical integration over the circle: all terms are homogeneous of degree 2 in (X, Y)."""
    angle = (torch.arange(100_000, dtype=torch.float64) + 0.5) * (2 * math.pi / 100_000)
    x, y = angle.cos(), angle.sin()
    u, v = std_a * x, std_b * (correlation * x + math.sqrt(1 - correlation**2) * y)
    left = F.leaky_relu(coefficient * u + (1 - coefficient) * v, slope)
    right = coefficient * F.leaky_relu(u, slope) + (1 - coefficient) * F.leaky_relu(v, slope)
    return float((left * right).mean() / ((left**2).mean() * (right**2).mean()).sqrt())


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    std_a=st.floats(0.1, 10),
    std_b=st.floats(0.1, 10),
    correlation=st.floats(-0.95, 1),
    coefficient=st.floats(0.05, 0.95),
    slope=st.sampled_from([0.0, 0.01, 0.3]),
)
def test_the_gaussian_closed_form_against_numerical_integration(std_a, std_b, correlation, coefficient, slope):
    expected = polar_cosine(std_a, std_b, correlation, coefficient, slope)
    found = theory.gaussian_cosine(std_a, std_b, correlation, coefficient, slope)
    assert found == pytest.approx(expected, abs=2e-7)


def test_theorem_5_4_has_the_closed_form():
    assert pytest.approx(0.930440, abs=5e-7) == theory.INDEPENDENT_COSINE
    assert theory.gaussian_cosine() == pytest.approx(theory.INDEPENDENT_COSINE, abs=1e-14)
    assert theory.relu_covariance(0.0).item() == pytest.approx(1 / (2 * math.pi))
    assert theory.relu_covariance(1.0).item() == pytest.approx(1 / 2)
    assert theory.relu_covariance(-1.0).item() == pytest.approx(0)
    assert theory.relu_covariance(0.7, 1.0).item() == pytest.approx(0.7)


def test_what_the_cosine_hides():
    draws = torch.randn(2, 1, 1_000_000, generator=generator(), dtype=torch.float64)
    assert layerwise.weak_additivity_error(draws[0], draws[1]) == pytest.approx(0.3712, abs=2e-3)
    assert layerwise.weak_additivity(draws[0], draws[1]) == pytest.approx(theory.INDEPENDENT_COSINE, abs=1e-3)
    assert layerwise.opposite_signs(draws[0], draws[1]) == pytest.approx(0.5, abs=2e-3)


def test_gaussian_cosine_where_it_is_obvious():
    for coefficient in (0.0, 1.0):
        assert theory.gaussian_cosine(2.0, 0.5, -0.3, coefficient) == pytest.approx(1)
    assert theory.gaussian_cosine(1.0, 3.0, 1.0) == pytest.approx(1)
    assert theory.gaussian_cosine(1.0, 0.0) == pytest.approx(1)
    assert theory.gaussian_cosine([1.0, 0.0], [0.0, 2.0]) == pytest.approx(1), "of different units"
    assert theory.gaussian_cosine(negative_slope=1.0) == pytest.approx(1)
    with pytest.raises(InputError, match="std_a and std_b leave nothing on one side"):
        theory.gaussian_cosine(1.0, 1.0, -1.0)
    with pytest.raises(InputError, match="correlation is 2; it must lie between -1 and 1"):
        theory.relu_covariance(2)
    with pytest.raises(InputError, match="negative entries"):
        theory.gaussian_cosine(-1.0)


def test_gaussian_cosine_of_units_that_differ():
    std_a, std_b = torch.tensor([3.0, 0.1, 1.0, 0.0]), torch.tensor([0.2, 2.0, 1.0, 0.0])
    draws = torch.randn(2, 100_000, 4, generator=generator())
    u, v = draws[0] * std_a, draws[1] * std_b
    left, right = ((u + v) / 2).relu(), (u.relu() + v.relu()) / 2
    expected = (left * right).sum() / (left.square().sum() * right.square().sum()).sqrt()
    found = theory.gaussian_cosine(std_a.double(), std_b.double(), torch.zeros(4, dtype=torch.float64))
    assert found == pytest.approx(expected.item(), abs=1e-3)
    assert found > theory.INDEPENDENT_COSINE
    # activity on the same units in both models: as if all units were alike
    alike = theory.gaussian_cosine(std_a.double(), std_a.double())
    assert alike == pytest.approx(theory.INDEPENDENT_COSINE)


@pytest.mark.slow
def test_the_rate_of_theorem_5_4():
    assert theory.cosine_spread() == pytest.approx(theory.cosine_spread(200_000), rel=1e-6)
    assert theory.cosine_spread() == pytest.approx(0.202, abs=5e-4)
    spreads, means = [], []
    dimensions = (100, 400, 1600)
    for dimension in dimensions:
        cosines = theory.simulated_cosines(dimension, 3000, generator(dimension))
        spreads.append(float(cosines.std()))
        means.append(float(cosines.mean()))
        assert spreads[-1] * math.sqrt(dimension) == pytest.approx(theory.cosine_spread(), rel=0.08)
        assert abs(means[-1] - theory.INDEPENDENT_COSINE) < 0.5 / dimension + 4 * spreads[-1] / math.sqrt(3000)
    slope = math.log(spreads[-1] / spreads[0]) / math.log(dimensions[-1] / dimensions[0])
    assert slope == pytest.approx(-0.5, abs=0.04)


def test_simulated_cosines_follow_the_general_closed_form():
    options = {"std_a": 2.0, "std_b": 0.7, "correlation": -0.4, "coefficient": 0.3, "negative_slope": 0.1}
    cosines = theory.simulated_cosines(20_000, 50, generator(), **options)
    assert cosines.mean().item() == pytest.approx(theory.gaussian_cosine(2.0, 0.7, -0.4, 0.3, 0.1), abs=2e-3)


@settings(max_examples=30, deadline=None)
@given(coefficient=st.floats(0, 1), exponent=st.integers(1, 30))
def test_scale_and_weight_of_the_ensemble(coefficient, exponent):
    scale = lewc_scale((coefficient, 1 - coefficient), exponent)
    assert scale == pytest.approx(coefficient**exponent + (1 - coefficient) ** exponent)
    assert lewc_ensemble_weight(coefficient, exponent) * scale == pytest.approx(coefficient**exponent)


def test_the_midpoint_needs_two_to_the_depth_minus_one():
    for num_layers in range(1, 8):
        assert predicted_inverse_temperature(3.0, 0.5, num_layers) == pytest.approx(3 * 2 ** (num_layers - 1))
    assert lewc_ensemble_weight(0.75, 4) == pytest.approx(0.988, abs=5e-4)
    with pytest.raises(InputError, match=r"exponent is 0; it must be a whole number at least 1"):
        lewc_scale((0.5, 0.5), 0)


@pytest.mark.parametrize("coefficient", [0.25, 0.5, 0.6])
def test_the_predicted_inverse_temperature_is_the_fitted_one(coefficient):
    pair = disjoint(num_layers=4)
    inputs = inputs_for(pair.a, examples=400)
    logits_a, logits_b = (theory.run(network, inputs)[-1].output for network in pair)
    labels = torch.multinomial((logits_a + logits_b).softmax(1), 1, generator=generator())[:, 0]
    merged = theory.run(theory.merged(pair, (coefficient, 1 - coefficient)), inputs)[-1].output
    ensemble = ensemble_logits(logits_a, logits_b, lewc_ensemble_weight(coefficient, 4))
    assert torch.equal(merged.argmax(1), ensemble.argmax(1))
    fitted, of_ensemble = (fit_inverse_temperature(logits, labels) for logits in (merged, ensemble))
    predicted = predicted_inverse_temperature(of_ensemble.inverse_temperature, coefficient, 4)
    assert fitted.flag == "" and fitted.inverse_temperature == pytest.approx(predicted, rel=1e-6)
    assert fitted.loss == pytest.approx(of_ensemble.loss, rel=1e-9)


def test_bad_input_is_said_in_one_line():
    pair = disjoint()
    with pytest.raises(InputError, match="depth is 1; it must be a whole number at least 2 and at most 5"):
        theory.break_orthogonality(pair, 1, 1.0, generator())
    with pytest.raises(InputError, match="depth is 5; it must be a whole number at least 1 and at most 4"):
        theory.break_additivity(pair, 5, 1.0, generator())
    with pytest.raises(InputError, match="pair has biases; make it with bias=False"):
        theory.break_additivity(disjoint(bias=True), 2, 1.0, generator())
    with pytest.raises(InputError, match="num_layers is 1; it must be a whole number at least 2"):
        disjoint(num_layers=1)
    with pytest.raises(InputError, match="coefficients holds 3 numbers for 2 networks; give as many"):
        theory.merged(pair, (0.2, 0.3, 0.5))
    with pytest.raises(InputError, match="some with and some without biases"):
        theory.merged((pair.a, disjoint(bias=True).a), (0.5, 0.5))
    with pytest.raises(InputError, match="weights is empty"):
        Network(weights=())
    with pytest.raises(InputError, match="biases holds 0 vectors for 5 weights"):
        Network(weights=pair.a.weights, biases=())
