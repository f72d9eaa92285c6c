"""The two parts of reciprocal orthogonality, as sentences against width and batch size."""

from dataclasses import replace

from lmcbook.lab.records import Record
from lmcbook.pages import sentences
from lmcbook.pages.analysis.told import numbers_of
from tests.helpers.control_records import changed
from tests.helpers.drawn import text
from tests.helpers.one_network_records import told_records


def split(width: float, batch_size: int, seeds: tuple[int, int], isotropic: float, common: float) -> Record:
    """A record of the split: layer 3 has twice the isotropic part of layer 2, layer 4, the classifier, has others."""
    [record] = [each for each in told_records(width, seeds=seeds) if each.measurement == "common_mode"]
    parts = {2: (isotropic, common), 3: (2 * isotropic, common), 4: (9.0, 9.0)}
    layers = [
        {"layer": f"layer{depth}", "depth": depth, "metrics": {"isotropic": one, "common": other}}
        for depth, (one, other) in parts.items()
    ]
    return changed(replace(record, data={"layers": layers}, digest=""), batch_size=batch_size)


RECORDS = [
    split(width, size, seeds, 0.4 / width**0.5, 0.1 * size / 32)
    for width, sizes in ((1.0, (32,)), (4.0, (16, 32, 128)), (16.0, (32,)))
    for size in sizes
    for seeds in ((0, 1), (2, 3))
]


def test_one_part_falls_with_width_and_the_other_does_not():
    said = sentences.split_by_width(RECORDS)
    assert text(said) == (
        "MLP on digits, batches of 32, from narrow to wide: the isotropic part falls in every layer and the common "
        "part falls in no layer (2 pairs each)."
    )
    numbers = numbers_of(said).set_index("width").drop(columns="network")
    assert list(numbers.columns) == [f"layer {depth}, {part}" for depth in (2, 3) for part in ("isotropic", "common")]
    assert list(numbers.loc["×1"]) == ["0.40", "0.10", "0.80", "0.10"]
    assert list(numbers.loc["×16"]) == ["0.10", "0.10", "0.20", "0.10"]


def test_the_batch_size_at_the_width_with_the_most_of_them():
    said = sentences.split_by_batch(RECORDS)
    assert text(said).startswith("MLP on digits at ×4, from the smallest batches to the largest: the isotropic part")
    numbers = numbers_of(said).set_index("batches of")
    assert list(numbers.index) == ["16", "32", "128"] and list(numbers["layer 3, common"]) == ["0.05", "0.10", "0.40"]


def test_one_width_and_one_batch_size_say_nothing():
    assert sentences.split_by_width(RECORDS[:2]) == [] and sentences.split_by_batch(RECORDS[:2]) == []
    assert sentences.split_by_width([]) == []


def test_what_looks_the_same_does_not_fall():
    """A part of 0.434 at the narrowest and of 0.431 at the widest stands as 0.43 beside both."""
    said = sentences.split_by_width([split(1.0, 32, (0, 1), 0.434, 0.2), split(4.0, 32, (0, 1), 0.431, 0.1)])
    # layer 3 has twice as much: 0.868 and 0.862
    assert "the isotropic part falls in 1 of 2 layers and the common part falls in every layer" in text(said)
