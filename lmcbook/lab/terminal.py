"""A terminal that cannot show every letter gets text that it can show."""

import codecs
import sys
import unicodedata

_SPELT = {"×": "x", "·": "*", "–": "-", "…": "...", "±": "+-", "½": "1/2", "✓": "ok", "λ": "lambda", "β": "beta"}


def make_printable() -> None:
    """Let stdout and stderr spell what their encoding lacks, in place of an error in the middle of a line."""
    codecs.register_error("lmcbook.spelt", _spell)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # what a test or a notebook put there may have none
        # the C locale escapes what it could not read as text, and fails at what it cannot write all the same
        if reconfigure is not None and (stream.errors == "strict" or codecs.lookup(stream.encoding).name == "ascii"):
            reconfigure(errors="lmcbook.spelt")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = unicodedata.normalize("NFKD", "".join(_SPELT.get(letter, letter) for letter in text))
    return "".join(
        letter if letter.isascii() else "?" for letter in plain if not unicodedata.combining(letter)
    ), error.end
