"""Sentences about layers and permutations: their numbers come from the records, and so do their directions."""

import pytest

from lmcbook.pages import sentences
from lmcbook.pages.analysis.told import numbers_of
from tests.helpers.synthetic_records import (
    make_layerwise_record,
    make_record,
)

OF_LAYERS = (
    *("lewc", "exponent", "law", "prediction", "depth", "orthogonality_error", "additivity", "signs", "explained"),
    *("histogram", "places", "activity", "overlap", "rank", "orthogonality", "commutativity"),
)
OF_PERMUTATIONS = ("alignment", "gain", "matched_calibration", "conditions", "mechanism")
FINDINGS = [getattr(sentences, f"{name}_finding") for name in (*OF_LAYERS, *OF_PERMUTATIONS)]


def own_depth(records):
    return [record for record in records if record.config.training.num_layers in (4, None)]


def plain(sentence: str) -> str:
    return sentence.replace("\u00a0", " ")


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.__name__)
def test_every_finding_has_a_whole_sentence_for_each_network_and_none_for_nothing(finding, perceptrons, convolutional):
    without_batch_norm = finding in (sentences.depth_finding, sentences.orthogonality_error_finding)
    said = finding([*perceptrons, *convolutional])
    assert len(said) == (1 if without_batch_norm else 2)
    assert said[0].startswith("MLP on digits") and all(each.endswith(".") for each in said)
    assert "nan" not in " ".join(said)
    assert finding([]) == []


def test_the_ends_of_the_widths_are_said_for_each_decay():
    records = [
        make_layerwise_record(width, seeds=seeds, weight_decay=decay)
        for width in (1, 16)
        for seeds in ((0, 1), (2, 3))
        for decay in (3e-3, 1e-4)
    ]
    [text] = sentences.lewc_finding(records)
    assert text == (
        "MLP on digits, cosine of the logits: rises from narrow to wide with weight decay 3e-3 and 1e-4 "
        "(2 pairs of networks)."
    )
    rows = numbers_of([text]).drop(columns="network").to_numpy().tolist()
    assert [plain(" ".join(row)) for row in rows] == [
        f"{decay} 0.600 ± 0.000 at ×1 0.868 ± 0.000 at ×16" for decay in ("3e-3", "1e-4")
    ]


def test_the_nearer_law_is_named_whichever_it_is():
    record = make_layerwise_record(16)
    [text] = sentences.exponent_finding([record])
    assert plain(text).endswith(
        "is 3.98 at ×16; LEWC says 4, LLFC says 1: it is nearer to the former (1 pair of networks)."
    )
    logits = next(
        each for each in record.data["layers"] if each["layer"] == "classifier" and each["coefficient"] == 0.5
    )
    logits["metrics"]["decay_exponent"] = 1.2
    assert "it is nearer to the latter" in sentences.exponent_finding([record])[0]
    [text] = sentences.exponent_finding([make_layerwise_record(16, recipe="vgg11-digits")])
    assert "orthogonal networks with batch norm have 2" in text


def test_temperatures_are_compared_for_each_depth():
    records = [make_record(8, depth_of_dip=0.1), make_record(8, depth_of_dip=0.1, num_layers=3)]
    [text] = sentences.depth_finding(records)
    # 6.4 is fitted, 4.4 and 8.8 are predicted
    assert text.endswith("β at λ = ½ is predicted at every depth to within a factor of 1.45, for each pair.")
    rows = numbers_of([text]).drop(columns="network").to_numpy().tolist()
    assert rows == [["3", "6.40", "4.40"], ["4", "6.40", "8.80"]]
    [text] = sentences.prediction_finding(records[:1])
    assert text == "MLP on digits at ×8: the fitted β is below the prediction with weight decay 3e-3."
    assert list(numbers_of([text])["fitted over predicted β"]) == ["0.73"]


def test_additivity_below_the_line_of_noise_is_called_below():
    record = make_layerwise_record(16)
    assert "the mean over hidden layers is above that with" in sentences.additivity_finding([record])[0]
    for layer in record.data["layers"]:
        if "units" in layer:
            layer["metrics"]["weak_additivity"] = 0.9
    [text] = sentences.additivity_finding([record])
    assert text.endswith("would have 0.930, and the mean over hidden layers is below that with weight decay 3e-3.")
    assert list(numbers_of([text])["cosine, mean over layers"]) == ["0.900"]


def test_matching_is_described_by_before_and_after():
    records = [make_layerwise_record(4), make_layerwise_record(4, alignment="weight_matching")]
    [text] = sentences.conditions_finding(records)
    assert "at ×4, mean over layers" in text and text.endswith("commutativity falls (1 pair of networks).")
    rows = numbers_of([text]).drop(columns="network").to_numpy().tolist()
    assert ["commutativity", "0.93", "0.20"] in rows
    [text] = sentences.mechanism_finding(records)
    assert ["decay exponent", "3.92", "1.10"] in numbers_of([text]).drop(columns="network").to_numpy().tolist()


def test_alignments_and_gains_are_those_of_the_records():
    records = [
        make_record(width, alignment=alignment, depth_of_dip=dip / width)
        for width in (1, 8)
        for alignment, dip in (("identity", 0.5), ("random", 0.48), ("weight_matching", 0.08))
    ]
    [text] = sentences.alignment_finding(records)
    assert "averaging costs the fewest points of accuracy with b matched by weights (" in text
    assert list(numbers_of([text]).iloc[0, 1:]) == ["6.2", "6.0", "1.0"]
    [text] = sentences.gain_finding(records)
    assert "what weight matching gains over a random permutation falls from narrow to wide (" in text
    assert list(numbers_of([text]).iloc[0, 1:]) == ["40.0 at ×1", "5.0 at ×8"]
    [text] = sentences.matched_calibration_finding(records)
    barriers = records[-1].data["barriers"]
    raw, calibrated = barriers["midpoint_loss_barrier"], barriers["midpoint_calibrated_loss_barrier"]
    lower = {width for width, record in zip((1, 8), records[2::3], strict=True) if _calibration_lowers(record)}
    named = " and ".join(f"×{width}" for width in sorted(lower)) or "no width"
    assert text.endswith(f"that weight matching leaves at {named} (1 pair of networks).")
    row = numbers_of(text).iloc[-1]
    assert (row["network"], row["loss barrier, matched (nats)"]) == ("MLP on digits at ×8", f"{raw:.3f}")
    assert row["calibrated"] == f"{calibrated:.3f}"


def _calibration_lowers(record) -> bool:
    barriers = record.data["barriers"]
    return barriers["midpoint_calibrated_loss_barrier"] < barriers["midpoint_loss_barrier"]


def test_ranks_of_a_network_of_two_layers_are_not_spoken_of():
    assert sentences.rank_finding([make_layerwise_record(4, num_layers=2)]) == []
