"""Sentences say what numbers mean; the numbers stand in a small table beside them."""

import re

import pytest
from pandas import DataFrame

from lmcbook.pages import sentences
from lmcbook.pages.analysis.told import Told, by_decay, change, from_narrow_to_wide, numbers_of, tables_of, together
from lmcbook.pages.figures.markup import listed, numbers_html
from lmcbook.pages.sentences.showing import as_markdown
from tests.helpers.control_records import batch_sweep, decay_sweep, flatness_sweep, penalty_sweep, start_sweep
from tests.helpers.counting import numbers_in
from tests.helpers.floor_records import floor_sweep
from tests.helpers.parts_records import parts_sweep
from tests.helpers.repair_records import repair_sweep
from tests.helpers.synthetic_records import layers_sweep, width_sweep

MOST = 8
PRODUCTS = decay_sweep(dips={1e-3: (0.05, 0.06)}) + decay_sweep(dips={3e-3: (0.04, 0.05)}, epochs=3)
SPARED = decay_sweep("vgg11-digits") + decay_sweep("vgg11-digits", decay_normalisation=False)
LAYERS, WIDTHS = layers_sweep(), width_sweep(widths=(1, 4, 16))
TOLD = {
    sentences.width_finding: WIDTHS,
    sentences.lewc_finding: LAYERS,
    sentences.signs_finding: LAYERS,
    sentences.activity_finding: LAYERS,
    sentences.rank_finding: LAYERS,
    sentences.orthogonality_finding: LAYERS,
    sentences.commutativity_finding: LAYERS,
    sentences.prediction_finding: WIDTHS,
    sentences.additivity_finding: LAYERS,
    sentences.explained_finding: LAYERS,
    sentences.histogram_finding: LAYERS,
    sentences.places_finding: LAYERS,
    sentences.overlap_finding: LAYERS,
    sentences.exponent_finding: LAYERS,
    sentences.law_finding: LAYERS,
    sentences.conditions_finding: LAYERS,
    sentences.mechanism_finding: LAYERS,
    sentences.decay_finding: decay_sweep(),
    sentences.decay_condition_finding: decay_sweep(),
    sentences.batch_finding: batch_sweep(),
    sentences.batch_width_finding: batch_sweep(),
    sentences.start_finding: start_sweep(),
    sentences.mechanism_start_finding: start_sweep(),
    sentences.chain_finding: [*LAYERS, *WIDTHS],
    sentences.plateau_finding: LAYERS,
    sentences.depth_finding: [*LAYERS, *WIDTHS],
    sentences.penalty_finding: penalty_sweep(),
    sentences.product_finding: PRODUCTS,
    sentences.last_layer_finding: decay_sweep(),
    sentences.normalisation_finding: SPARED,
    sentences.parts_finding: parts_sweep(),
    sentences.by_batch: parts_sweep(),
    sentences.made_of: parts_sweep(),
    sentences.lines_finding: flatness_sweep(pair=0.2),
    sentences.halfway_finding: flatness_sweep(pair=0.2),
    sentences.repair_finding: repair_sweep(),
    sentences.repair_by_batch: [*repair_sweep(), *repair_sweep(widths=(4,), batch_size=128)],
    sentences.decay_after_repair: repair_sweep(),
    sentences.excess_finding: repair_sweep(),
    sentences.trials_finding: repair_sweep(widths=(8, 32)),
    sentences.floor_finding: floor_sweep(0.1),
}


@pytest.mark.parametrize("finding", TOLD, ids=lambda finding: finding.__name__)
def test_a_sentence_has_few_numbers_and_no_number_is_lost(finding):
    said = finding(TOLD[finding])
    assert said
    for sentence in said:
        assert len(numbers_in(sentence)) <= MOST, sentence
        assert sentence.endswith(".") and "nan" not in sentence
    table = numbers_of(said)
    if any(isinstance(sentence, Told) for sentence in said):
        assert len(table) >= len(said) and table.columns[0] == "network"
        assert any(re.search(r"\d", cell) for cell in table.drop(columns="network").to_numpy().ravel())


def test_numbers_are_counted_as_readers_see_them():
    assert numbers_in("ResNet-20 at ×1/4: 3.5 ± 1.5 with weight decay 3e-3, layers 2…L (3 pairs).") == [
        *("×1/4", "3.5", "1.5", "3e-3", "3"),
    ]


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        ("A paragraph.", "A paragraph."),
        (["First.", "Second."], "- First.\n- Second."),
        ([], "Nothing is measured yet."),
        ("", ""),
    ],
)
def test_a_text_is_a_paragraph_and_sentences_are_a_list(finding, text):
    assert as_markdown(finding) == text


def test_what_is_shown_is_one_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle["text/markdown"]))
    sentences.show("One.", ["two", "three"], [])
    assert shown == ["One.\n\n- two\n- three\n\nNothing is measured yet."]


def test_the_page_shows_sentences_and_one_table():
    told = [Told(f"Sentence {name}.", [{"network": name, "lost": "3 < 4"}]) for name in ("one", "two")]
    page = listed([*told, "Without numbers."])
    assert page.count("<li>") == 3 and page.count("<table>") == 1 and page.count("<tr>") == 3
    assert "3 &lt; 4" in page and 'role="region" tabindex="0" aria-label=' in page
    assert "<table>" not in listed(["Without numbers."])
    assert as_markdown([*told]) == "- Sentence one.\n- Sentence two."


def test_rows_of_the_same_network_and_decay_are_one_and_a_network_that_repeats_becomes_a_heading():
    first = [{"network": "MLP", "decay": decay, "lost": lost} for decay, lost in (("3e-3", "1"), ("1e-4", "2"))]
    second = [{"network": "MLP", "decay": "1e-4", "moved": "5"}, {"network": "VGG", "decay": "1e-4", "moved": "6"}]
    told = [Told("One.", first), Told("Two.", second), "Three."]
    assert numbers_of(told).to_numpy().tolist() == [
        ["MLP", "3e-3", "1", "–"],
        ["MLP", "1e-4", "2", "5"],
        ["VGG", "1e-4", "–", "6"],
    ]
    page = numbers_html(told)
    heading = '<th scope="rowgroup" colspan="3"><span>MLP</span></th>'
    assert page.count("MLP") == 1 and heading in page and page.count("<th ") == 5
    alone = numbers_html(Told("One.", first[:1]))
    assert "rowgroup" not in alone and "<td>MLP</td>" in alone and numbers_html(["Three."]) == ""


def test_sentences_and_their_numbers_are_shown_one_after_the_other(monkeypatch):
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    sentences.show([Told("It falls.", [{"network": "one", "lost": "3"}])], "**Verdict.** So it is.")
    text, numbers = shown
    assert text["text/markdown"] == "- It falls.\n\n**Verdict.** So it is."
    assert numbers["text/html"].count("<table>") == 1 and "one" in numbers["text/plain"]
    shown.clear()
    sentences.show("Words alone.")
    assert len(shown) == 1


def test_networks_of_which_the_same_is_said_share_a_sentence():
    said = [
        Told("MLP on digits at ×4, logits: the cosine rises (3 pairs each).", [{"network": "MLP on digits at ×4"}]),
        Told("VGG-11 on digits, logits: the cosine falls (1 pair).", [{"network": "VGG-11 on digits"}]),
        Told("MLP on digits at ×8, logits: the cosine rises (3 pairs each).", [{"network": "MLP on digits at ×8"}]),
        "A sentence of no network.",
    ]
    first = "MLP on digits at ×4 and ×8, logits: the cosine rises (3 pairs each)."
    assert together(said) == [first, said[1], said[3]]
    other = Told("VGG-11 on digits, logits: the cosine rises (1 pair).", [{"network": "VGG-11 on digits"}])
    assert together([*said, other])[0] == (
        "MLP on digits at ×4 and ×8 and VGG-11 on digits, logits: the cosine rises (1 to 3 pairs each)."
    )
    assert listed([said[0], said[2]]).count("<li>") == 1 == as_markdown([said[0], said[2]]).count("- ")


def test_rows_of_two_kinds_are_two_tables():
    said = [
        Told("One.", [{"network": "a", "gain": "3"}, {"network": "b", "gain": "4"}]),
        Told("Two.", [{"network": "a", "width": "×1", "lost": "5"}]),
        Told("Three.", [{"network": "b", "lost": "6"}]),
    ]
    gains, lost = tables_of(said)
    assert gains.to_dict("list") == {"network": ["a", "b"], "gain": ["3", "4"]}
    assert lost.to_dict("list") == {"network": ["a", "b"], "width": ["×1", "–"], "lost": ["5", "6"]}
    assert listed(said).count("<table>") == 2 and tables_of("Words alone.") == []


def test_a_told_sentence_is_text():
    told = Told("It falls.", [{"a": "1"}])
    assert told == "It falls." and f"{told}!" == "It falls.!" and told.rows == ({"a": "1"},)


def test_ways_that_differ_are_told_apart():
    assert from_narrow_to_wide([("3e-3", "", "", "falls"), ("1e-4", "", "", "falls")]) == (
        "falls from narrow to wide with weight decay 3e-3 and 1e-4"
    )
    assert from_narrow_to_wide([("3e-3", "", "", "falls"), ("1e-4", "", "", "rises")]) == (
        "falls from narrow to wide with weight decay 3e-3, rises from narrow to wide with weight decay 1e-4"
    )
    assert [change(*each) for each in ((1, 0), (0, 1), (1, 1))] == ["falls", "rises", "stays"]
    # 0.43 and 0.43 on the page, and 43.1 and 43.4 in per cent
    assert [change(0.431, 0.434, digits=2), change(0.434, 0.431, digits=2)] == ["stays", "stays"]
    assert change(0.431, 0.434, factor=100, digits=1) == "rises"
    [one] = by_decay(layers_table_of_one_width(), "value", 1, 1)
    assert one == ("3e-3", "2.0 at ×4", "–", "was measured at one width")


def layers_table_of_one_width():
    return DataFrame({"weight_decay": [3e-3], "width_multiplier": [4.0], "value": [2.0]})
