"""Every layerwise metric against a slow, obvious reference, and what must not change it."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from lmcbook import layerwise
from lmcbook.errors import InputError
from lmcbook.layerwise import METRICS, measure_layers
from lmcbook.layerwise.inner_products import CombinationSums, Gram
from lmcbook.merging import merge
from lmcbook.models import ARCHITECTURES, build_model, forward_flops, permutation_spec, trace
from lmcbook.permutation import apply, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.theory import break_orthogonality, disjoint_pair
from tests.helpers.small_networks import (
    ADDED,
    ALL,
    INPUT_SHAPE,
    random_images,
    small_config,
    small_model,
)

COEFFICIENTS = (0.25, 0.5, 0.75)


@pytest.fixture(autouse=True)
def added_architecture(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, ADDED.name, ADDED)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=random_stream(seed, "layerwise", *shape), dtype=torch.float64)


def norm(vector) -> float:
    return math.sqrt(sum(float(entry) ** 2 for entry in vector))


def reference_ratio(numerators, denominators) -> float:
    return math.sqrt(sum(norm(each) ** 2 for each in numerators) / sum(norm(each) ** 2 for each in denominators))


shapes = st.tuples(st.integers(1, 5), st.integers(1, 6))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(shape=shapes, coefficient=st.floats(0, 1), depth=st.integers(1, 6), seed=st.integers(0, 99))
def test_predictions_are_what_the_definitions_say(shape, coefficient, depth, seed):
    a, b = normal(*shape, seed=seed), normal(*shape, seed=seed + 1)
    lewc = layerwise.lewc_prediction(a, b, coefficient, depth)
    llfc = layerwise.llfc_prediction(a, b, coefficient)
    for example in range(shape[0]):
        for unit in range(shape[1]):
            x, y = float(a[example, unit]), float(b[example, unit])
            assert float(lewc[example, unit]) == pytest.approx(coefficient**depth * x + (1 - coefficient) ** depth * y)
            assert float(llfc[example, unit]) == pytest.approx(coefficient * x + (1 - coefficient) * y)


@settings(max_examples=30, deadline=None)
@given(shape=shapes, seed=st.integers(0, 99))
def test_cosines_and_errors_against_loops(shape, seed):
    a, b = normal(*shape, seed=seed), normal(*shape, seed=seed + 1)
    expected = [float(x @ y) / (norm(x) * norm(y)) for x, y in zip(a, b, strict=True)]
    assert layerwise.cosines(a, b).tolist() == pytest.approx(expected, abs=1e-12)
    assert layerwise.mean_cosine(a, b) == pytest.approx(sum(expected) / len(expected), abs=1e-12)
    assert layerwise.relative_error(a, b) == pytest.approx(reference_ratio(a - b, b))
    assert layerwise.decay_exponent((a + b) / 8, a, b) == pytest.approx(3)
    assert layerwise.decay_exponent(a, a, b) == pytest.approx(-math.log2(reference_ratio(a, a + b)))


def test_cosines_of_zero_vectors_are_defined():
    zero, other = torch.zeros(1, 3), torch.ones(1, 3)
    assert layerwise.cosines(zero, zero).item() == 1
    assert layerwise.cosines(zero, other).item() == 0
    assert layerwise.cosines(other, -other).item() == -1
    assert layerwise.decay_exponent(zero, other, other) == math.inf


def test_a_cosine_near_one_keeps_its_digits():
    a = normal(1, 50)
    b = a + 1e-9 * normal(1, 50, seed=1)
    across = (b - a) - ((b - a) @ a[0] / (a[0] @ a[0])) * a
    assert 1 - layerwise.cosines(a, b).item() == pytest.approx(float(across.norm() / a.norm()) ** 2 / 2, rel=0.2)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    examples=st.integers(1, 5),
    vectors=st.integers(2, 5),
    positions=st.lists(st.integers(1, 3), max_size=2),
    seed=st.integers(0, 99),
)
def test_norms_and_cosines_of_combinations_against_loops(examples, vectors, positions, seed):
    given_vectors = [normal(examples, 4, *positions, seed=seed + index) for index in range(vectors)]
    first, second = normal(3, vectors, seed=seed), normal(3, vectors, seed=seed + 1)
    gram = Gram(given_vectors)
    flat = torch.stack([each.flatten(1) for each in given_vectors], 1)
    for example in range(examples):
        for index in range(3):
            u, v = first[index] @ flat[example], second[index] @ flat[example]
            assert float(gram.norms(first)[example, index]) == pytest.approx(norm(u))
            expected = float(u @ v) / (norm(u) * norm(v))
            assert float(gram.cosines(first, second)[example, index]) == pytest.approx(expected, abs=1e-12)


def test_a_combination_that_cancels_keeps_its_digits_in_float32():
    a, noise = normal(40, 1000).float(), normal(40, 1000, seed=1).float()
    for size in (0.3, 1e-2, 1e-4, 0.0):
        b = a + size * noise
        difference, expected = torch.tensor([[1.0, -1.0]]), (a - b).double().norm(dim=1)
        torch.testing.assert_close(Gram([a, b]).norms(difference)[:, 0], expected, rtol=1e-4, atol=0)
        # the second vector of a cosine may be a million times shorter, as a LEWC prediction in layer 20 is
        cosine = Gram([a, b]).cosines(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0**-20]]))[:, 0]
        across = size * noise.double()
        across -= ((across * a).sum(1) / a.double().square().sum(1))[:, None] * a
        sine = (across.norm(dim=1) / b.double().norm(dim=1)).square()
        assert (1 - cosine).tolist() == pytest.approx((1 - (1 - sine).sqrt()).tolist(), rel=1e-3, abs=1e-12)


def test_sums_over_batches_are_those_over_all_examples():
    a, b = normal(7, 4), normal(7, 4, seed=1)
    basis = torch.eye(2, dtype=torch.float64)
    sums = CombinationSums({"a": basis[0], "a - b": basis[0] - basis[1]}, {"a, b": (basis[0], basis[1])})
    assert math.isnan(sums.ratio("a - b", "a")) and math.isnan(sums.cosine("a, b"))
    for part in ([0, 1, 2], [3], [4, 5, 6]):
        sums.add([a[part], b[part]])
    assert sums.ratio("a - b", "a") == pytest.approx(reference_ratio(a - b, a))
    assert sums.cosine("a, b") == pytest.approx(layerwise.mean_cosine(a, b))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(shape=shapes, coefficient=st.floats(0, 1), slope=st.sampled_from([0.0, 0.01, 0.5]), seed=st.integers(0, 99))
def test_weak_additivity_against_loops(shape, coefficient, slope, seed):
    a, b = normal(*shape, seed=seed), normal(*shape, seed=seed + 1)

    def activation(values):
        return torch.nn.functional.leaky_relu(values, slope)

    def scalar(value: float) -> float:
        return value if value > 0 else slope * value

    left, right = layerwise.weak_additivity_sides(a, b, coefficient, activation)
    opposite = 0
    for example in range(shape[0]):
        for unit in range(shape[1]):
            x, y = float(a[example, unit]), float(b[example, unit])
            assert float(left[example, unit]) == pytest.approx(scalar(coefficient * x + (1 - coefficient) * y))
            expected = coefficient * scalar(x) + (1 - coefficient) * scalar(y)
            assert float(right[example, unit]) == pytest.approx(expected)
            opposite += x * y < 0
    assert layerwise.opposite_signs(a, b) == pytest.approx(opposite / (shape[0] * shape[1]))
    assert layerwise.weak_additivity(a, b, coefficient, activation) == pytest.approx(layerwise.mean_cosine(left, right))
    if right.norm() > 0:
        error = layerwise.weak_additivity_error(a, b, coefficient, activation)
        assert error == pytest.approx(reference_ratio(left - right, right), abs=1e-12)


def test_opposite_signs_see_units_that_have_almost_died():
    tiny = torch.full((1, 2), 1e-30)
    assert layerwise.opposite_signs(tiny, -tiny) == 1
    assert layerwise.opposite_signs(1e25 * tiny, -1e38 * torch.ones(1, 2)) == 1
    assert layerwise.opposite_signs(tiny, tiny) == 0
    assert layerwise.opposite_signs(tiny, torch.zeros(1, 2)) == 0


def test_no_opposite_signs_is_weak_additivity_at_every_coefficient():
    a = normal(20, 7)
    b = a.sign() * normal(20, 7, seed=1).abs()
    assert layerwise.opposite_signs(a, b) == 0
    for coefficient in (0.1, 0.5, 0.9):
        assert layerwise.weak_additivity_error(a, b, coefficient) < 1e-15


def test_orthogonality_and_commutativity_against_loops():
    weight_a, weight_b = normal(4, 3), normal(4, 3, seed=1)
    features_a, features_b = normal(6, 3), normal(6, 3, seed=1)

    def apply_to(weight, features):
        return torch.stack(
            [torch.stack([sum(w * x for w, x in zip(row, z, strict=True)) for row in weight]) for z in features]
        )

    aa, bb = apply_to(weight_a, features_a), apply_to(weight_b, features_b)
    ab, ba = apply_to(weight_a, features_b), apply_to(weight_b, features_a)
    assert layerwise.reciprocal_orthogonality(ba, aa) == pytest.approx(reference_ratio(ba, aa))
    difference = apply_to(weight_a - weight_b, features_a - features_b)
    assert layerwise.commutativity(aa, bb, ab, ba) == pytest.approx(reference_ratio(difference, aa + bb))
    assert layerwise.commutativity(aa, bb, 0 * ab, 0 * ba) == 1
    assert layerwise.weight_norm_ratio(weight_b, weight_a) == pytest.approx(
        norm(weight_b.flatten()) / norm(weight_a.flatten())
    )
    assert math.isnan(layerwise.weight_norm_ratio(torch.zeros(1, 1), torch.zeros(1, 1)))
    assert layerwise.weight_norm_ratio(torch.ones(1, 1), torch.zeros(1, 1)) == math.inf


@pytest.mark.parametrize("shape", [(7, 5), (3, 5, 2, 4)])
def test_second_moments_average_over_examples_and_positions(shape):
    values = normal(*shape)
    expected = [sum(float(x) ** 2 for x in values[:, unit].flatten()) / values[:, unit].numel() for unit in range(5)]
    assert layerwise.second_moments(values).tolist() == pytest.approx(expected)
    assert layerwise.second_moments(values.float()).dtype == torch.float64


@settings(max_examples=50, deadline=None)
@given(
    moments=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8).filter(
        lambda pairs: sum(a for a, _ in pairs) > 0 and sum(b for _, b in pairs) > 0
    )
)
def test_overlap_and_its_expectation_against_loops(moments):
    a = torch.tensor([pair[0] for pair in moments], dtype=torch.float64)
    b = torch.tensor([pair[1] for pair in moments], dtype=torch.float64)
    p, q = a / a.sum(), b / b.sum()
    assert layerwise.overlap(a, b) == pytest.approx(sum(min(float(x), float(y)) for x, y in zip(p, q, strict=True)))
    expected = sum(min(float(x), float(y)) for x in p for y in q) / len(p)
    assert layerwise.expected_overlap(a, b) == pytest.approx(expected)


@pytest.mark.slow
def test_expected_overlap_is_the_mean_over_permutations():
    a, b = normal(40).square(), normal(40, seed=1).square() ** 3
    generator = random_stream(0, "permutations")
    sampled = [layerwise.overlap(a, b[torch.randperm(40, generator=generator)]) for _ in range(4000)]
    spread = torch.tensor(sampled).std() / len(sampled) ** 0.5
    assert layerwise.expected_overlap(a, b) == pytest.approx(sum(sampled) / len(sampled), abs=4 * float(spread))


def test_overlap_of_equal_and_of_disjoint_units():
    a = torch.tensor([1.0, 2.0, 0.0, 0.0])
    assert layerwise.overlap(a, 3 * a) == pytest.approx(1)
    assert layerwise.overlap(a, a.flip(0)) == 0
    assert math.isnan(layerwise.overlap(a, 0 * a))
    with pytest.raises(InputError, match="second_moments_b has 3 units and second_moments_a has 4; .*width_multiplier"):
        layerwise.overlap(a, a[:3])


def test_active_share():
    assert layerwise.active_share(torch.ones(10)) == 0.9
    assert layerwise.active_share(torch.tensor([0.0, 95.0, 5.0, 0.0])) == 0.25
    assert layerwise.active_share(torch.tensor([0.0, 85.0, 15.0, 0.0])) == 0.5
    assert layerwise.active_share(torch.ones(10), mass=1) == 1
    assert math.isnan(layerwise.active_share(torch.zeros(4)))
    with pytest.raises(InputError, match=r"mass is 1\.5; it must be a number above 0 and at most 1"):
        layerwise.active_share(torch.ones(4), mass=1.5)


def test_histogram_and_quantiles():
    roots = torch.tensor([0.0, 0.1, 0.5, 1.0])
    counts, edges = layerwise.histogram(roots, bins=2)
    assert (counts.tolist(), edges.tolist()) == ([2, 2], [0, 0.5, 1])
    assert layerwise.histogram(torch.zeros(3), bins=2)[0].tolist() == [3, 0]
    values = normal(50).square()
    counts, _ = layerwise.histogram(values)
    assert int(counts.sum()) == 50 and len(counts) == 40
    for quantile, value in layerwise.quantiles(values).items():
        assert value == pytest.approx(torch.quantile(values, quantile).item())


@pytest.mark.parametrize("shape", [(6, 4), (4, 9), (5, 2, 3, 3)])
def test_ranks_against_a_singular_value_decomposition(shape):
    weight = normal(*shape)
    exact = torch.linalg.svdvals(weight.flatten(1))
    assert torch.allclose(layerwise.singular_values(weight), exact)
    measures = layerwise.rank_measures(weight)
    assert measures["stable_rank"] == pytest.approx(norm(exact) ** 2 / float(exact[0]) ** 2)
    p = [float(value / exact.sum()) for value in exact]
    assert measures["effective_rank"] == pytest.approx(math.exp(-sum(x * math.log(x) for x in p)))
    assert measures["relative_stable_rank"] == pytest.approx(measures["stable_rank"] / len(exact))
    assert measures["relative_effective_rank"] == pytest.approx(measures["effective_rank"] / len(exact))


def test_ranks_of_matrices_that_are_known():
    orthogonal = torch.linalg.qr(normal(6, 6)).Q
    one = torch.outer(normal(5), normal(7))
    for rank, matrix in ((6, orthogonal), (1, one), (3, torch.diag(torch.tensor([2.0, 2.0, 2.0, 0.0])))):
        values = layerwise.singular_values(matrix)
        assert layerwise.stable_rank(values) == pytest.approx(rank)
        assert layerwise.effective_rank(values) == pytest.approx(rank, rel=1e-5)
    assert set(layerwise.rank_measures(torch.zeros(3, 2)).values()) == {0}


def two_models(architecture: str, **changes):
    model, state_a = small_model(architecture, **changes)
    _, state_b = small_model(architecture, seed=1, **changes)
    return model, state_a, state_b


def measured(architecture: str, batch_size: int = 250, **changes):
    model, state_a, state_b = two_models(architecture, **changes)
    images = random_images(23)
    merged = {coefficient: merge(model, state_a, state_b, coefficient, images) for coefficient in COEFFICIENTS}
    return (
        model,
        state_a,
        state_b,
        merged,
        images,
        measure_layers(model, state_a, state_b, merged, images, batch_size=batch_size),
    )


def rows(entries):
    """The same numbers as a long table: one row ``layer, depth, coefficient, metric, value`` for each."""
    return [
        {name: each[name] for name in ("layer", "depth", "coefficient")} | {"metric": metric, "value": value}
        for each in entries
        for metric, value in each["metrics"].items()
    ]


def find(entries, layer: str, coefficient: float | None = None):
    found = [each for each in entries if each["layer"] == layer and each["coefficient"] == coefficient]
    assert len(found) == 1
    return found[0]["metrics"]


@pytest.mark.parametrize("exponent", [-60, -20, 0, 7, 60])
def test_cosines_do_not_depend_on_the_length_of_a_vector(exponent):
    first, other = random_images(2, "first").flatten(1).float(), random_images(2, "second").flatten(1).float()
    second = first + 0.1 * other
    expected = layerwise.cosines(first, second)
    assert torch.equal(layerwise.cosines(first, second * 2.0**exponent), expected)
    exact = torch.nn.functional.cosine_similarity(first.double(), second.double())
    torch.testing.assert_close(expected, exact, rtol=0, atol=1e-6)
    # the LEWC prediction of layer 20 is a million times smaller than a layer that batch norm keeps at its size
    twentieth = layerwise.cosines(first * 1.5, second * 2.0**-20)
    torch.testing.assert_close(twentieth, exact, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_measured_numbers_are_those_of_the_plain_functions(architecture):
    model, state_a, state_b, merged, images, entries = measured(architecture)
    traces = {name: trace(model, state, images) for name, state in (("a", state_a), ("b", state_b))}
    for depth, (a, b) in enumerate(zip(traces["a"], traces["b"], strict=True), start=1):
        metrics = find(entries, a.name)
        if depth < model.num_layers:
            assert metrics["weak_additivity"] == pytest.approx(
                layerwise.weak_additivity(a.pre_activation, b.pre_activation)
            )
            error = layerwise.weak_additivity_error(a.pre_activation, b.pre_activation)
            assert metrics["weak_additivity_error"] == pytest.approx(error)
            assert metrics["opposite_signs"] == layerwise.opposite_signs(a.pre_activation, b.pre_activation)
            assert metrics["positive_a"] == pytest.approx((a.pre_activation > 0).double().mean().item())
            moments = [layerwise.second_moments(each.pre_activation) for each in (a, b)]
            assert metrics["overlap"] == pytest.approx(layerwise.overlap(*moments))
            assert metrics["expected_overlap"] == pytest.approx(layerwise.expected_overlap(*moments))
            assert metrics["active_share_b"] == layerwise.active_share(moments[1])
        else:
            assert "weak_additivity" not in metrics
        if depth > 1:
            weights = [state[model.weight_key(a.name)] for state in (state_a, state_b)]
            if a.input.dim() == 2:
                ba, ab = a.input @ weights[1].T, b.input @ weights[0].T
            else:
                linear = model.linear(a.name)
                settings = (None, linear.stride, linear.padding, linear.dilation)
                ba = torch.nn.functional.conv2d(a.input, weights[1], *settings)
                ab = torch.nn.functional.conv2d(b.input, weights[0], *settings)
            one, other = (
                layerwise.reciprocal_orthogonality(ba, a.linear_output),
                layerwise.reciprocal_orthogonality(ab, b.linear_output),
            )
            assert metrics["reciprocal_orthogonality_of_b_on_a"] == pytest.approx(one)
            assert metrics["reciprocal_orthogonality_of_a_on_b"] == pytest.approx(other)
            assert metrics["reciprocal_orthogonality"] == pytest.approx(math.sqrt((one**2 + other**2) / 2))
            expected = layerwise.commutativity(a.linear_output, b.linear_output, ab, ba)
            assert metrics["commutativity"] == pytest.approx(expected)
        else:
            assert "commutativity" not in metrics and "reciprocal_orthogonality" not in metrics
        for coefficient, state in merged.items():
            output = trace(model, state, images)[depth - 1].output
            metrics = find(entries, a.name, coefficient)
            lewc = layerwise.lewc_prediction(a.output, b.output, coefficient, depth)
            llfc = layerwise.llfc_prediction(a.output, b.output, coefficient)
            assert metrics["lewc_error"] == pytest.approx(layerwise.relative_error(output, lewc))
            assert metrics["llfc_error"] == pytest.approx(layerwise.relative_error(output, llfc))
            assert metrics["lewc_cosine"] == pytest.approx(layerwise.mean_cosine(output, lewc))
            assert metrics["llfc_cosine"] == pytest.approx(layerwise.mean_cosine(output, llfc))
            squares = (a.output.square().sum() + b.output.square().sum()) / 2
            assert metrics["output_norm"] == pytest.approx(float(output.norm() / squares.sqrt()))
            if coefficient == 0.5:
                exponent = layerwise.decay_exponent(output, a.output, b.output)
                assert metrics["decay_exponent"] == pytest.approx(exponent)
                assert metrics["lewc_cosine"] == pytest.approx(metrics["llfc_cosine"])
            else:
                assert "decay_exponent" not in metrics


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_batches_of_any_size_and_order_give_the_same_numbers(architecture):
    model, state_a, state_b, merged, images, entries = measured(architecture)
    order = torch.randperm(len(images), generator=random_stream(0, "order"))
    again = measure_layers(model, state_a, state_b, merged, images[order], batch_size=5)
    for one, other in zip(rows(entries), rows(again), strict=True):
        assert other.pop("value") == pytest.approx(one.pop("value"), rel=1e-9)
        assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_permuting_the_units_of_both_models_alike_changes_nothing(architecture):
    model, state_a, state_b, _, images, entries = measured(architecture)
    spec = permutation_spec(model)
    permutation = random_permutation(spec, state_a, random_stream(0, "permutation"))
    permuted_a, permuted_b = (apply(spec, permutation, state) for state in (state_a, state_b))
    merged = {each: merge(model, permuted_a, permuted_b, each, images) for each in COEFFICIENTS}
    again = measure_layers(model, permuted_a, permuted_b, merged, images)
    for one, other in zip(rows(entries), rows(again), strict=True):
        assert other["value"] == pytest.approx(one["value"], rel=1e-6), one


def test_scaling_the_inputs_of_a_network_without_bias_changes_no_ratio():
    model, state_a, state_b, merged, images, entries = measured("mlp")
    again = measure_layers(model, state_a, state_b, merged, 1000 * images)
    for one, other in zip(rows(entries), rows(again), strict=True):
        assert other["value"] == pytest.approx(one["value"], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_exchanging_the_models_mirrors_the_numbers(architecture):
    model, state_a, state_b, merged, images, entries = measured(architecture)
    mirrored = {1 - coefficient: state for coefficient, state in merged.items()}
    again = measure_layers(model, state_b, state_a, mirrored, images)
    for layer in model.layer_names:
        one, other = find(entries, layer), find(again, layer)
        for metric, value in one.items():
            mirror = {"_a": "_b", "_b": "_a"}.get(metric[-2:])
            name = metric[:-2] + mirror if mirror and "_on_" not in metric else metric
            name = {"reciprocal_orthogonality_of_b_on_a": "reciprocal_orthogonality_of_a_on_b"}.get(name, name)
            if metric == "reciprocal_orthogonality_of_a_on_b":
                name = "reciprocal_orthogonality_of_b_on_a"
            expected = 1 / value if metric == "weight_norm_ratio" else value
            assert other[name] == pytest.approx(expected, rel=1e-9), metric
        for coefficient in COEFFICIENTS:
            assert find(again, layer, 1 - coefficient) == pytest.approx(find(entries, layer, coefficient), rel=1e-9)


def flops_of_measuring(architecture: str, **changes) -> tuple[float, float]:
    """In forward passes: the products with weights alone, and all of them."""
    model, state_a, state_b, merged, images, _ = measured(architecture, **changes)
    with FlopCounterMode(display=False) as counter:
        measure_layers(model, state_a, state_b, merged, images, ranks=False)
    one_pass = len(images) * forward_flops(model, INPUT_SHAPE)
    # inner products of outputs are products of batches of matrices, and no layer is
    of_outputs = counter.get_flop_counts()["Global"][torch.ops.aten.bmm]
    assert of_outputs > 0
    return (counter.get_total_flops() - of_outputs) / one_pass, counter.get_total_flops() / one_pass


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_measuring_costs_no_more_than_eight_forward_passes(architecture):
    with_weights, _ = flops_of_measuring(architecture)
    assert with_weights <= 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "changes"),
    [("mlp", {"hidden_width": 64, "num_layers": 4}), ("vgg11", {}), ("resnet20", {"width_multiplier": 1.0})],
)
def test_inner_products_and_all_cost_no_more_than_eight_forward_passes(architecture, changes):
    _, everything = flops_of_measuring(architecture, **changes)
    assert everything <= 8


@pytest.mark.slow
def test_the_entries_are_json_and_every_metric_is_explained():
    *_, entries = measured("resnet20")
    json.dumps(entries, allow_nan=False)
    assert {row["metric"] for row in rows(entries)} == set(METRICS)
    shortcuts = [each for each in entries if each["depth"] is None]
    assert [each["layer"] for each in shortcuts] == ["stage2.block1.shortcut", "stage3.block1.shortcut"]
    assert {"reciprocal_orthogonality", "commutativity", "stable_rank_a"} <= shortcuts[0]["metrics"].keys()
    assert all(each["coefficient"] is None for each in shortcuts)


@pytest.mark.slow
def test_units_for_the_figures():
    model, state_a, _, _, images, entries = measured("mlp", hidden_width=1500, num_layers=3)
    units = next(each for each in entries if each["layer"] == "hidden2" and each["coefficient"] is None)["units"]
    assert units["a"]["num_units"] == 1500 and len(units["a"]["root_second_moments"]) == layerwise.MAX_UNITS
    assert sum(units["b"]["histogram"]["counts"]) == 1500
    roots = layerwise.second_moments(trace(model, state_a, images)[1].pre_activation).sqrt()
    assert units["a"]["histogram"]["largest"] == pytest.approx(roots.max().item())
    assert units["a"]["quantiles"]["0.5"] == pytest.approx(roots.quantile(0.5).item())
    assert units["a"]["root_second_moments"][0] == pytest.approx(roots[0].item(), rel=1e-5)
    assert set(units["a"]["root_second_moments"]) <= {float(f"{value:.6g}") for value in roots.tolist()}
    assert all("units" not in each for each in entries if each["layer"] == "classifier" or each["coefficient"])


def test_a_merged_model_that_is_an_endpoint_meets_both_predictions():
    model, state_a, state_b = two_models("mlp")
    entries = measure_layers(model, state_a, state_b, {1.0: state_a, 0.0: state_b}, random_images(9), ranks=False)
    for name in model.layer_names:
        for coefficient in (0.0, 1.0):
            metrics = find(entries, name, coefficient)
            assert metrics["lewc_error"] == metrics["llfc_error"] == 0
            assert metrics["lewc_cosine"] == metrics["llfc_cosine"] == 1


def constructed(pair):
    """The MLP of the package with the weights of two constructed networks."""
    first, last = pair.a.weights[0], pair.a.weights[-1]
    config = small_config("mlp", hidden_width=len(first), num_layers=pair.a.num_layers)
    model = build_model(config, input_shape=(1, 1, first.shape[1]), num_classes=len(last)).double()
    keys = [model.weight_key(name) for name in model.layer_names]
    states = [dict(zip(keys, network.weights, strict=True)) for network in pair]
    return model, *states


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_exact_values_on_a_constructed_pair(dtype):
    generator = random_stream(3, "pair")
    pair = disjoint_pair(num_layers=4, input_size=6, units=5, num_classes=3, generator=generator)
    model, state_a, state_b = constructed(pair)
    model = model.to(dtype)
    state_a, state_b = ({key: each.to(dtype) for key, each in state.items()} for state in (state_a, state_b))
    images = normal(11, 1, 1, 6).to(dtype)
    merged = {each: merge(model, state_a, state_b, each) for each in COEFFICIENTS}
    entries = measure_layers(model, state_a, state_b, merged, images)
    rounding = 100 * torch.finfo(dtype).eps
    for depth, name in enumerate(model.layer_names, start=1):
        metrics = find(entries, name)
        if depth < 4:
            assert metrics["weak_additivity"] == pytest.approx(1, abs=rounding)
            assert metrics["weak_additivity_error"] <= rounding
            assert metrics["opposite_signs"] == 0
            assert metrics["overlap"] == 0
        if depth > 1:
            assert metrics["reciprocal_orthogonality"] == 0
            assert metrics["commutativity"] == pytest.approx(1, abs=rounding)
        for coefficient in COEFFICIENTS:
            metrics = find(entries, name, coefficient)
            assert metrics["lewc_error"] <= rounding
            assert metrics["lewc_cosine"] == pytest.approx(1, abs=rounding)
        assert metrics["llfc_error"] > 0.1 or depth == 1
        assert find(entries, name, 0.5)["decay_exponent"] == pytest.approx(depth, abs=rounding)


def test_a_broken_pair_is_seen_where_it_is_broken():
    generator = random_stream(4, "pair")
    pair = disjoint_pair(num_layers=4, input_size=6, units=5, num_classes=3, generator=generator)
    model, state_a, state_b = constructed(break_orthogonality(pair, 3, 1.0, generator))
    merged = {0.5: merge(model, state_a, state_b, 0.5)}
    entries = measure_layers(model, state_a, state_b, merged, normal(11, 1, 1, 6))
    broken = [name for name in model.layer_names[1:] if find(entries, name)["reciprocal_orthogonality"] > 0]
    assert broken == ["hidden3"]
    assert find(entries, "hidden3")["reciprocal_orthogonality_of_a_on_b"] == 0
    assert find(entries, "hidden2", 0.5)["lewc_error"] < 1e-14 < 1e-3 < find(entries, "hidden3", 0.5)["lewc_error"]


def test_numbers_that_do_not_exist_are_none():
    model, state_a, _ = two_models("mlp")
    zero = {key: torch.zeros_like(value) for key, value in state_a.items()}
    entries = measure_layers(model, zero, zero, {0.5: zero}, random_images(3))
    metrics = find(entries, "hidden2") | find(entries, "hidden2", 0.5)
    missing = {"weak_additivity_error", "overlap", "active_share_a", "commutativity", "decay_exponent", "lewc_error"}
    assert all(metrics[name] is None for name in missing)
    assert metrics["weak_additivity"] == 1
    json.dumps(entries, allow_nan=False)


def test_bad_input_is_said_in_one_line():
    model, state_a, state_b = two_models("mlp")
    with pytest.raises(InputError, match="images holds 0 examples; .*give at least one"):
        measure_layers(model, state_a, state_b, {}, random_images(0))
    with pytest.raises(InputError, match=r"coefficient is 1\.5; it must be a number at least 0 and at most 1"):
        measure_layers(model, state_a, state_b, {1.5: state_a}, random_images(2))
    with pytest.raises(InputError, match="batch_size is 0"):
        measure_layers(model, state_a, state_b, {}, random_images(2), batch_size=0)


def test_an_activation_that_lacks_memory_is_no_bad_input():
    def greedy(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")

    with pytest.raises(RuntimeError, match="not enough memory"):
        layerwise.weak_additivity(torch.ones(2, 3), torch.ones(2, 3), activation=greedy)
