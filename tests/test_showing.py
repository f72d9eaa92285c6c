"""Tests of how sentences come onto a page."""

import pytest

from lmcbook.errors import InputError
from lmcbook.pages import figures, sentences
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
