"""Turns of phrase that readers stumble over stay out of the book, of docstrings and of messages."""

import re

import pytest

from tests.helpers.chapters import ROOT, SOURCES, prose

TICS = {
    r"\b(?:in|out)side of\b": "inside, outside",
    r"\bso (?:many|much)\b(?! (?:that|as)\b)(?=[^.;:]*[.;:,)\n])(?<!with so many)": "this many, or the number",
    r"\bwhat\s+(?:[\w']+\s+){1,9}(?:is|are|was|were)\s+worth\b": "how good they are",
    r"\b(?<!this )one's own\b": "your own",
    r"\beach one(?:'s)?\b": "each network, each step",
    r"\bby its word\b": "literally",
    r"\boff the ground\b": "fails to train",
    r"\bdoes not care for\b": "does not depend on",
    r"\bin (?:too low|a lower) a? ?voice\b": "with smaller logits",
    r"\bfor a reason of its own\b": "has a cause of its own",
    r"\bwhat of\b(?! (?:it|them|that)\?)": "which part of, the part of it that",
    r"\bof it they\b": "they … it",
    r"\bcomputed from the mean over pairs\b": "given by the interval over pairs",
    r"\bW_[ab] z_[ab]\b": "W^b z^a",
}
"""A pattern → what says it plainly. Each was found in the book, most of them many times."""
ALLOWED = ("so many units that their product overflows", "so many that they do not touch", "so much that everything")


def texts() -> dict[str, str]:
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG"))]
    code = [*(ROOT / "lmcbook").rglob("*.py"), *(ROOT / "lmcbook").rglob("*.toml")]
    code += [*(ROOT / "book").glob("_extensions/*.py"), *(ROOT / "book").glob("_assets/*.js")]
    found = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (*pages, *code)}
    return found | {path.name: prose(path) for path in SOURCES}


TEXTS = texts()


@pytest.mark.parametrize("tic", TICS)
def test_a_tic_is_gone(tic):
    pattern = re.compile(tic, re.IGNORECASE)
    found = [
        f"{name}: …{text[max(0, hit.start() - 40) : hit.end() + 40]}…"
        for name, text in TEXTS.items()
        for hit in pattern.finditer(text)
        if not any(each in text[max(0, hit.start() - 60) : hit.end() + 60] for each in ALLOWED)
    ]
    assert not found, f"say {TICS[tic]!r}: {found}"


@pytest.mark.parametrize(
    "sentence",
    [
        "A diamond inside of its bar",
        "averaging costs so many points of accuracy: 3",
        "what the logits are worth at this inverse temperature",
        "an ensemble of the two, in a lower voice",
        "one did not come off the ground with small batches",
        "watch what the mixture of\ntheir weights is worth",
        "what two networks of one's own need",
        "before and after each one",
        "what of it is the same for all images, one bias takes away",
        "of it they describe, of other networks they test",
        "verdicts are computed from the mean over pairs",
    ],
)
def test_the_patterns_find_what_they_are_for(sentence):
    assert any(re.search(tic, sentence, re.IGNORECASE) for tic in TICS)
