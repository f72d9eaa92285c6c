"""The rows of a table as HTML, where columns from the left may become headings over the rows that share them."""

import html

from pandas import DataFrame

HEADING = "position: sticky; left: 0; display: inline-block; max-width: min(44rem, calc(100vw - 4rem))"
"""Style of the text of such a heading: it stays in view, and wraps, where the table is wider than the page."""


def head_and_body(table: DataFrame, groups: int = 0) -> str:
    """``<thead>`` and ``<tbody>``; of ``groups`` columns from the left, headings, which save their width."""
    columns = [str(column) for column in table.columns]
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns[groups:])
    body, group = [], None
    for row in table.itertuples(index=False):
        cells = [str(value) for value in row]
        if groups and cells[:groups] != group:
            group = cells[:groups]
            # the first speaks for itself, the others need their column's name: "MLP on digits, weight decay 3e-3"
            words = [group[0], *(f"{column} {cell}" for column, cell in zip(columns[1:groups], group[1:], strict=True))]
            span = len(columns) - groups
            said = f"<span>{html.escape(', '.join(words))}</span>"
            body.append(f'<tr><th scope="rowgroup" colspan="{span}">{said}</th></tr>')
        body.append(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells[groups:])}</tr>")
    return f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
