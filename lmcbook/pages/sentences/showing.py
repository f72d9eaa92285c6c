"""Sentences on a page: as a paragraph, or as a list."""

from collections.abc import Sequence

from lmcbook.pages.analysis.told import numbers_of, together


def show(*findings: str | Sequence[str]) -> None:
    """Show texts, or sentences as a list, in a notebook; of no sentences, that nothing is measured yet.

    Numbers beside sentences follow as one small table for all of them.
    """
    from IPython.display import display

    from lmcbook.pages.figures.markup import STYLE, numbers_html  # matplotlib, which sentences do without

    text = "\n\n".join(map(as_markdown, findings))
    display({"text/markdown": text, "text/plain": text}, raw=True)
    told = [sentence for finding in findings for sentence in ([finding] if isinstance(finding, str) else finding)]
    if numbers := numbers_html(told):
        display({"text/html": f"<style>{STYLE}</style>{numbers}", "text/plain": numbers_of(told).to_string()}, raw=True)


def as_markdown(finding: str | Sequence[str]) -> str:
    """What `show` puts on the page of a text, or of a list of sentences."""
    if isinstance(finding, str):
        return finding
    return "\n".join(f"- {sentence}" for sentence in together(finding)) or "Nothing is measured yet."
