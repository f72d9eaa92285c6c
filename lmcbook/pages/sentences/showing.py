"""Sentences on a page: as a paragraph, or as a list."""

from collections.abc import Sequence

from lmcbook.pages.analysis.told import numbers_of


def show(*findings: str | Sequence[str]) -> None:
    """Show texts, or sentences as a list, in a notebook; of no sentences, that nothing is measured yet."""
    from IPython.display import display

    text = "\n\n".join(map(as_markdown, findings))
    display({"text/markdown": text, "text/plain": text}, raw=True)


def as_markdown(finding: str | Sequence[str]) -> str:
    """What `show` puts on the page of a text, or of a list of sentences."""
    if isinstance(finding, str):
        return finding
    said = "\n".join(f"- {sentence}" for sentence in finding) or "Nothing is measured yet."
    table = numbers_of(finding)
    if table.empty:
        return said
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return said + "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)
