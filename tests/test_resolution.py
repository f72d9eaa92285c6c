"""What few pairs and few test images can show."""

import math

import numpy as np
import pytest

from lmcbook.pages import tables
from lmcbook.pages.analysis.intervals import mean_interval
from lmcbook.pages.analysis.resolution import error_of_images, resolution_table
from tests.helpers.synthetic_records import make_record


def test_the_bound_on_the_images_holds_for_any_errors_and_is_attained():
    random = np.random.default_rng(0)
    for _ in range(50):
        a, b, m = (random.random(500) < rate for rate in random.uniform(0, 0.6, 3))
        each = m - (a + 0.0 + b) / 2
        assert each.std() / math.sqrt(500) <= error_of_images(m.mean(), (a.mean() + b.mean()) / 2, 500) + 1e-12
    parents, merged = np.arange(500) < 20, np.arange(500) >= 400
    each = merged - parents * 1.0
    assert each.std() / math.sqrt(500) == pytest.approx(error_of_images(merged.mean(), parents.mean(), 500))
    assert error_of_images(0.0, 0.0, 500) == 0.0


def test_the_smallest_barrier_is_the_one_whose_interval_begins_at_zero():
    dips = (0.03, 0.05, 0.1)
    records = [make_record(8, seeds=(2 * index, 2 * index + 1), depth_of_dip=dip) for index, dip in enumerate(dips)]
    [row] = resolution_table([*records, make_record(32, depth_of_dip=0.0)]).to_dict("records")
    assert (row["width_multiplier"], row["num_pairs"]) == (8, 3), "one pair at x32 shows nothing"
    shifted = [dip - sum(dips) / 3 + row["smallest"] for dip in dips]
    assert mean_interval(shifted).low == pytest.approx(0)
    [shown] = tables.resolution(records).to_dict("records")
    assert shown["network"] == "MLP on digits, batches of 32" and float(shown["one test image"]) == 0.2
    assert tables.resolution([]).empty
