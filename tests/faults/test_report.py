"""The book states the counts that the suite finds: the other tests here compare them, this one the page."""

import json

from tests.faults.report import COUNTS, shown, tables


def test_the_page_shows_what_was_counted():
    assert shown() == tables(json.loads(COUNTS.read_text()))
