"""Sentences on a page: as a paragraph, or as a list."""

from collections.abc import Sequence


def show(*findings: str | Sequence[str]) -> None:
    """Show texts, or sentences as a list, in a notebook; of no sentences, that nothing is measured yet."""
    from IPython.display import display

    text = "\n\n".join(map(as_markdown, findings))
    display({"text/markdown": text, "text/plain": text}, raw=True)


def as_markdown(finding: str | Sequence[str]) -> str:
    """What `show` puts on the page of a text, or of a list of sentences."""
    if isinstance(finding, str):
        return finding
    return "\n".join(f"- {sentence}" for sentence in finding) or "Nothing is measured yet."
