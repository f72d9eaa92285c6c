"""Where reciprocal orthogonality stops falling with width."""

from dataclasses import replace

import pytest

from lmcbook.lab.records import Record
from lmcbook.pages import sentences
from lmcbook.pages.analysis.told import numbers_of
from tests.helpers.synthetic_records import make_layerwise_record


def with_floor(width: float, seeds: tuple[int, int]) -> Record:
    """Layer 2 has a floor, layer 3 falls like the inverse root of the width, layer 4 like its inverse."""
    record = make_layerwise_record(width, seeds=seeds)
    values = {2: 0.4, 3: 0.8 * width**-0.5, 4: 0.5 / width}
    layers = [
        entry | {"metrics": entry["metrics"] | {"reciprocal_orthogonality": values[entry["depth"]]}}
        if entry["depth"] in values and entry["coefficient"] is None
        else entry
        for entry in record.data["layers"]
    ]
    return replace(record, data=record.data | {"layers": layers}, digest="")


@pytest.mark.parametrize("widths", [(1.0, 4.0), (0.5, 1.0, 4.0)])
def test_powers_of_the_width_between_the_two_widest(widths):
    [one] = sentences.plateau_finding([with_floor(width, seeds) for width in widths for seeds in ((0, 1), (2, 3))])
    assert one == "MLP on digits, from ×1 to ×4, layers that hardly move: 2 (2 pairs each)."
    assert numbers_of([one]).drop(columns="network").to_numpy().tolist() == [
        ["2", "0.40", "0.40", "0.00"],
        ["3", "0.80", "0.40", "−0.50"],
        ["4", "0.50", "0.12", "−1.00"],
    ]


def test_one_width_or_batch_norm_says_nothing():
    assert sentences.plateau_finding([with_floor(1.0, (0, 1))]) == []
    convolutional = [make_layerwise_record(width, recipe="vgg11-digits", num_layers=9) for width in (1.0, 2.0)]
    assert sentences.plateau_finding(convolutional) == []
