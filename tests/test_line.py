"""The line between two networks: right logits, each λ computed once, within a bound of memory."""

import pytest
import torch

from lmcbook.errors import InputError
from lmcbook.evaluation import line as line_module
from lmcbook.evaluation import predict_logits, prediction
from lmcbook.merging import merge
from tests.helpers.evaluation_pairs import GRID, random_pair


@pytest.fixture(params=["mlp", "resnet20"])
def pair(request):
    return random_pair(request.param)


@pytest.fixture
def computed(monkeypatch):
    """The λ whose logits are computed, in order."""
    found: list[float] = []
    real = prediction.merged_logits

    def counted(*arguments, **options):
        logits_at = real(*arguments, **options)

        def noted(coefficient):
            found.append(coefficient)
            return logits_at(coefficient)

        return noted

    monkeypatch.setattr(line_module, "merged_logits", counted)
    return found


@pytest.mark.slow
def test_the_logits_are_those_of_the_merged_network(pair):
    line = pair.line()
    for coefficient, logits in line.walk(GRID):
        merged = merge(pair.model, pair.state_a, pair.state_b, coefficient, pair.train_images)
        exact = [predict_logits(pair.model, merged, part.images) for part in (pair.calibration, pair.test)]
        for found, expected in zip(logits, exact, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert all(map(torch.equal, line.logits_of_weights(coefficient), exact)), "to the bit"


def test_each_coefficient_is_computed_once_whoever_asks(pair, computed):
    line = pair.line()
    first, second = line.walk([0.0, 0.25, 1.0]), line.walk([0.25, 0.25, 0.0, 0.75])
    places = [next(first), next(second), next(second), next(first), *second, *first]
    assert [place for place, _ in places] == [0.0, 0.25, 0.25, 0.25, 0.0, 0.75, 1.0]
    assert computed == [0.0, 0.25, 0.75, 1.0]
    by_place = dict(places)
    assert all(torch.equal(logits.test, by_place[place].test) for place, logits in places)


def test_beyond_the_bound_only_ends_and_midpoint_are_kept(pair, computed, monkeypatch):
    monkeypatch.setattr(line_module, "MOST_BYTES_KEPT", 0)
    line = pair.line()
    for _ in range(2):
        list(line.walk(GRID))
    assert computed == [*GRID, 0.25, 0.75]


def test_the_trained_statistics_are_the_networks_own(pair):
    trained = pair.line().trained
    for state, logits in zip((pair.state_a, pair.state_b), trained, strict=True):
        assert torch.equal(logits.test, predict_logits(pair.model, state, pair.test.images))


def test_a_coefficient_outside_of_the_line_is_refused(pair):
    with pytest.raises(InputError, match=r"coefficients is -0\.5; it must be a number at least 0 and at most 1"):
        pair.line().logits(-0.5)
