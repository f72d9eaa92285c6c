"""Tests of how sentences come onto a page."""

import pytest

from lmcbook.errors import InputError
from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis.told import Told, numbers_of
from lmcbook.pages.figures.markup import numbers_html
from lmcbook.pages.sentences.showing import as_markdown


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


def test_without_records_no_figure_is_shown_where_there_need_not_be_any(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *output, **_: shown.append(output))
    figures.show_any(figures.barrier_against_width, [], ["finding"], "command")
    assert shown == []
    with pytest.raises(InputError, match="has no records to draw"):
        figures.show(figures.barrier_against_width, [], ["finding"], "command")


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
