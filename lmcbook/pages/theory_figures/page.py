"""Puts figures on a page whose numbers no record holds: with their finding, their data and where they come from."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.pages.figures.markup import figure_html, file_name
from lmcbook.pages.origin import CONSTRUCTED, origin_html

Draw = Callable[..., Figure]


def show(
    draw: Draw,
    table: DataFrame,
    finding: str = "",
    *,
    name: str,
    alt: str,
    command: str,
    source: str = CONSTRUCTED,
    **options: Any,
) -> None:
    """Show ``draw(table)`` in a notebook and in the book, for a wide page and for a phone, with its data as CSV.

    Args:
        draw: a figure function, which takes ``narrow`` besides the table.
        table: what it draws.
        finding: what the numbers say, computed from them.
        name: of the figure, and of the file of its data; no two figures of a page may share one.
        alt: what the figure shows, for those who do not see it.
        command: what makes the figure again.
        source: where the numbers come from, in one sentence.
        options: further arguments of ``draw``.

    Raises:
        InputError: there is nothing to draw, no alternative text, or a name that cannot be a file's.
    """
    from IPython.display import display

    text = to_html(draw, table, finding, name=name, alt=alt, command=command, source=source, **options)
    display({"text/html": text, "text/plain": alt}, raw=True)


def to_html(
    draw: Draw,
    table: DataFrame,
    finding: str = "",
    *,
    name: str,
    alt: str,
    command: str = "",
    source: str = CONSTRUCTED,
    **options: Any,
) -> str:
    """What `show` puts on the page; takes the same arguments and raises the same errors."""
    file_name(name)
    if table.empty:
        raise InputError(f"table of figure {name} is empty; give it at least one row to draw")
    if not alt.strip():
        raise InputError(f"alt is empty; figure {name} needs a text for those who do not see it")
    return figure_html(
        lambda narrow: draw(table, narrow=narrow, **options),
        name=name,
        alt=alt,
        finding=finding,
        origin=origin_html([source], command=command, table=table, name=name),
    )
