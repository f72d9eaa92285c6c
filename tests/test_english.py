"""Turns of phrase that readers stumble over stay out of the book, of docstrings and of messages."""

import ast
import re
from functools import cache

import pytest

from tests.helpers.chapters import ROOT, SOURCES, figures_of, prose, sources

ENDS = (
    "is are that which with in to for from whose and or by at on has have had was were as than who where when would "
    "can does do did not a an the more must may will only its their it they we but if under over after before between "
    "without into beside there nor alone too again here gives? takes? falls? rises? needs? makes? costs? loses? says? "
    "stays? put merged measured trained"
)
"""What follows *one* where it stands for a noun, rather than before one."""
VERBS = "is|are|was|were|has|have|gives?|needs?|takes?|makes?|stands?|comes?|loses?|holds?|uses?|says?|may|can|must"

TICS = {
    r"\b(?:in|out)side\s+of\b": "inside, outside",
    r"\bso\s+(?:many|much)\b(?!\s+(?:that|as)\b)(?=[^.;:]*[.;:,)\n])(?<!with so many)": "this many, or the number",
    r"\bwhat\s+(?:[\w']+\s+){1,9}(?:is|are|was|were)\s+worth\b": "how good they are",
    r"\b(?<!this )one's\s+own\b": "your own",
    r"\beach\s+one(?:'s)?\b": "each network, each step",
    r"\bby\s+its\s+word\b": "literally",
    r"\boff\s+the\s+ground\b": "fails to train",
    r"\bdoes\s+not\s+care\s+for\b": "does not depend on",
    r"\bin\s+(?:too\s+low|a\s+lower)\s+a?\s?voice\b": "with smaller logits",
    r"\bfor\s+a\s+reason\s+of\s+its\s+own\b": "has a cause of its own",
    r"\bwhat\s+of\b(?! (?:it|them|that)\?)": "which part of, the part of it that",
    r"\bof\s+it\s+they\b": "they … it",
    r"\bcomputed\s+from\s+the\s+mean\s+over\s+pairs\b": "given by the interval over pairs",
    r"\bW_[ab]\s+z_[ab]\b": "W^b z^a",
    r"(?<!soon )\bas\s+it\s+(?:is|was)\b(?!\s+\w+ed\b)": "unchanged, plain, uncalibrated",
    r"(?<!soon )\bas\s+they\s+(?:are|were)\b(?!\s+\w+(?:ed|en)\b)": "unchanged, plain, unpermuted",
    r"\bat\s+hand\b": "there, loaded, known",
    r",\s+for\s+(?:it|they|there|we)\b": "because",
    r",\s+for\s+(?:(?!\b(?:example|that|those|which|whose|whom|what|where|each|every)\b)[^.;:(),|]){1,70}?\s"
    r"(?:is|are|was|were|would|cannot|may|both|has|have|does|do|did|means|needs?)\b": "because",
    r"\b(?:is|are|was|were|be|being|been)\s+(?:\w+\s+)?told\b(?!\s+(?:to|apart)\b)": "said, named, predicted",
    r"(?<![-\w])ones\b(?!\()": "the noun",
    r"\b(?:the|an?|this|that|every|no|any|some|its|their|our|(?<!of )which|another)\s+"
    r"(?:(?!(?:is|are|was|be|as|from|of|than|that|which|and|or|by|for|to|in|with|has|into|only|one)\b)[\w×¼½-]+\s+)?"
    rf"one(?=\s*(?:[.,;:)(?!—|]|$)|\s+(?:{'|'.join(ENDS.split())})\b"
    r"|\s+of\s+(?!the|them|these|its|our|two|three|several|many))": "the noun, that which",
    r"\b(?:for|of|at|with|on|from|in|by|to|under|over|beside|after|before|between|without)\s+each"
    r"(?=\s*(?:[.,;:)!?—]|$))": "each network, each layer",
    rf"\beach\s+(?:{VERBS})\b": "each network, each layer",
}
"""A pattern → what says it plainly. Each was found in the book, most of them many times."""
ALLOWED = (
    *("so many units that their product overflows", "so many that they do not touch", "so much that everything"),
    "zeros ones full zeros_like",  # names of torch's functions
    'where it wrote `"as they are"`',  # a value of an older version
)
COMMENT = re.compile(r"(?:^|\s)# .*$", re.MULTILINE)


def said_in(code: str) -> str:
    """What a program says in words: its strings, the parts of each joined, and its comments."""
    joined: list[str] = []
    plain: list[str] = []
    parts: set[int] = set()
    for node in ast.walk(ast.parse(code)):  # a string comes after what it is a part of
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in ast.walk(node)}
            joined.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            plain.append(node.value)
    return "\n\n".join([*joined, *plain, *COMMENT.findall(code)])


@cache
def texts() -> dict[str, str]:
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG"))]
    pages += [*(ROOT / "lmcbook").rglob("*.toml"), *(ROOT / "book").glob("_assets/*.js")]
    found = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in pages}
    code = [*(ROOT / "lmcbook").rglob("*.py"), *(ROOT / "book").glob("*.py"), *(ROOT / "book").glob("_extensions/*.py")]
    found |= {str(path.relative_to(ROOT)): said_in(path.read_text("utf-8")) for path in code}
    for chapter in SOURCES:
        captions = [figure.get("caption", "") for figure in figures_of(chapter)]
        found[chapter.name] = "\n\n".join([prose(chapter), *captions, *map(said_in, sources(chapter, "code"))])
    return found


@pytest.mark.parametrize("tic", TICS)
def test_a_tic_is_gone(tic):
    pattern = re.compile(tic, re.IGNORECASE)
    found = [
        f"{name}: …{text[max(0, hit.start() - 40) : hit.end() + 40]}…"
        for name, text in texts().items()
        for hit in pattern.finditer(text)
        if not any(each in text[max(0, hit.start() - 60) : hit.end() + 60] for each in ALLOWED)
    ]
    assert not found, f"say {TICS[tic]!r}: {found}"


def found_in(sentence: str) -> bool:
    return any(re.search(tic, sentence, re.IGNORECASE) for tic in TICS)


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
        "the loss as\nit is, and calibrated",
        "left as they are, they ask for the scale",
        "the weights that are at\nhand",
        "layer 1 is left out, for it is linear",
        "layer 1 is left out, for the image is the same",
        "this must fall, for two subspaces of small relative\nrank are nearly orthogonal",
        "whatever speaks against it is told at once",
        "the filled ones are means",
        "in the right one it is divided by the largest",
        "the only number is the one that LEWC says",
        "say what the two searches are, and write a line for each.",
        "say what each needs",
    ],
)
def test_the_patterns_find_what_they_are_for(sentence):
    assert found_in(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "as soon as it is written",
        "the tensors are read as they are needed",
        "the two can be told apart, and nobody is told to delete a file",
        "for a GPU, for the fast effort, for a reader in a hurry",
        "one pair each, the all-ones direction, torch.ones(3)",
        "which of the two is it, the one network or the other",
        "two units, of which one may move",
        "each network takes both halves, one line for each pair",
    ],
)
def test_the_patterns_leave_alone_what_is_right(sentence):
    assert not found_in(sentence)


def test_figures_captions_and_alternative_texts_are_read():
    assert "Filled: merged without a permutation." in texts()["01_width.ipynb"]
    assert said_in('# a comment\nsay(f"one {number} "\n    "two")\n').split("\n\n") == ["one … two", "# a comment"]
