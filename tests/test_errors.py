"""What is said of errors of other packages: one line, whatever they say."""

import pytest

from lmcbook.errors import cut_short, described, one_line


class Odd(Exception):
    """An error of another package."""


@pytest.mark.parametrize(
    ("message", "told", "with_kind", "first_line"),
    [
        ("no such layer", "no such layer", "Odd: no such layer", "no such layer"),
        ("", "Odd", "Odd", "Odd"),
        (" \n\t", "Odd", "Odd", "Odd"),
        ("\n  first,\tlong\n\n  second\n", "first, long second", "Odd: first, long second", "first, long"),
        ("first\r\nsecond", "first second", "Odd: first second", "first"),
    ],
)
def test_an_error_is_told_in_one_line(message, told, with_kind, first_line):
    error = Odd(message)
    assert one_line(error) == told
    assert one_line(error, kind=True) == with_kind
    assert one_line(error, first_line=True) == first_line
    assert one_line(Odd()) == "Odd"


def test_a_long_message_is_cut_where_it_says_so():
    assert one_line(Odd("12345"), 5) == "12345"
    assert one_line(Odd("123456"), 5) == "1234…"
    assert one_line(Odd("123 456"), 5) == "123…", "no space before the mark"
    assert one_line(Odd("x" * 300), 200, kind=True) == f"Odd: {'x' * 194}…"
    assert len(described("x" * 300)) == len(cut_short("x" * 300, 60)) == 60
