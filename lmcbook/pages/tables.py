"""The tables of the book, made from records alone: mean ± standard deviation (number of pairs)."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.labels import decay_label, mean_and_spread, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups as groups_of
from lmcbook.pages.figures.batch_size import one_width
from lmcbook.pages.figures.lines import KINDS, halfway_table
from lmcbook.pages.figures.low_rank import penalty_table
from lmcbook.pages.figures.page import origin_html
from lmcbook.pages.figures.permutations import ALIGNMENTS
from lmcbook.pages.figures.spawned import name_of, spawned_table
from lmcbook.pages.figures.weight_decay import FULL, decay_table

_STYLE = """
.lmc-table {overflow-x: auto; margin: 1rem 0}
.lmc-table table {font-size: .875em; border-collapse: collapse; width: auto; min-width: 100%}
.lmc-table th, .lmc-table td {padding: .3rem .6rem; text-align: left; vertical-align: top}
.lmc-table td {font-variant-numeric: tabular-nums}
.lmc-table th[scope="rowgroup"] {padding-top: .8rem}
.lmc-table caption {caption-side: top; text-align: left}
"""


def barriers(records: Sequence[Record], *, alignment: str = "identity") -> DataFrame:
    """Barriers at λ = ½ at every width: the numeric table that the paper's reviewers asked for.

    One row for each network, weight decay and width; each entry is mean ± standard deviation over the pairs.
    """
    table = barriers_table(records)
    table = table[table["alignment"] == alignment]
    columns = {
        "accuracy, unmerged (%)": ("endpoint_accuracy", 100, 1),
        "accuracy barrier (points)": ("midpoint_accuracy_barrier", 100, 1),
        "loss barrier (nats)": ("midpoint_loss_barrier", 1, 3),
        "calibrated loss barrier (nats)": ("midpoint_calibrated_loss_barrier", 1, 3),
        "β": ("inverse_temperature_midpoint", 1, 2),
    }
    rows = []
    for recipe in table["recipe"].unique():
        of_recipe = table[table["recipe"] == recipe]
        for decay in sorted(of_recipe["weight_decay"].unique(), reverse=True):
            of_decay = of_recipe[of_recipe["weight_decay"] == decay]
            for width in sorted(of_decay["width_multiplier"].unique()):
                cell = of_decay[of_decay["width_multiplier"] == width]
                names = {
                    "network": recipe_label(recipe),
                    "weight decay": decay_label(decay),
                    "width": width_label(width),
                    "pairs": len(cell),
                }
                rows.append(
                    names
                    | {
                        title: mean_and_spread(cell[column], factor=factor, digits=digits, count=False)
                        for title, (column, factor, digits) in columns.items()
                    }
                )
    return DataFrame(rows, columns=["network", "weight decay", "width", "pairs", *columns])


def alignments(records: Sequence[Record], *, weight_decay: float = 3e-3) -> DataFrame:
    """Barriers at λ = ½ at every width, a column for each alignment: mean ± standard deviation over pairs."""
    table = barriers_table(records)
    table = table[table["weight_decay"] == weight_decay]
    named = {alignment: name for alignment, (name, _, _) in ALIGNMENTS.items() if alignment in set(table["alignment"])}
    rows = []
    for recipe in table["recipe"].unique():
        of_recipe = table[table["recipe"] == recipe]
        for column, label, factor, digits in (
            ("midpoint_accuracy_barrier", "accuracy (points)", 100, 1),
            ("midpoint_loss_barrier", "loss (nats)", 1, 3),
            ("midpoint_calibrated_loss_barrier", "calibrated loss (nats)", 1, 3),
        ):
            for width in sorted(of_recipe["width_multiplier"].unique()):
                cell = of_recipe[of_recipe["width_multiplier"] == width]
                row = {"network": recipe_label(recipe), "barrier:": label, "width": width_label(width)}
                row |= {"pairs": str(cell.groupby("alignment").size().max())}
                for alignment, name in named.items():
                    values = cell[cell["alignment"] == alignment][column]
                    row[name] = mean_and_spread(values, factor=factor, digits=digits, count=False)
                rows.append(row)
    return DataFrame(rows, columns=["network", "barrier:", "width", "pairs", *named.values()])


def weight_decays(records: Sequence[Record]) -> DataFrame:
    """Barriers, conditions and ranks at λ = ½ for each weight decay, of trainings as their recipe says.

    One row for each network and weight decay; each entry is mean ± standard deviation over the pairs.
    """
    columns = {
        "accuracy, unmerged (%)": ("endpoint_accuracy", 100, 1),
        "accuracy barrier (points)": ("midpoint_accuracy_barrier", 100, 1),
        "calibrated loss barrier (nats)": ("midpoint_calibrated_loss_barrier", 1, 3),
        "reciprocal orthogonality": ("reciprocal_orthogonality", 1, 2),
        "weak additivity": ("weak_additivity", 1, 3),
        "relative effective rank": ("relative_effective_rank", 1, 3),
    }
    table = decay_table(records)
    return _summarised(table[table["kind"] == FULL], "weight decay", "weight_decay", decay_label, columns)


def penalties(records: Sequence[Record]) -> DataFrame:
    """Ranks, conditions and barriers at λ = ½ for each penalty against low rank: mean ± standard deviation."""
    columns = {
        "accuracy, unmerged (%)": ("endpoint_accuracy", 100, 1),
        "accuracy barrier (points)": ("midpoint_accuracy_barrier", 100, 1),
        "calibrated loss barrier (nats)": ("midpoint_calibrated_loss_barrier", 1, 3),
        "reciprocal orthogonality": ("reciprocal_orthogonality", 1, 2),
        "weak additivity": ("weak_additivity", 1, 3),
        "relative stable rank": ("relative_stable_rank", 1, 3),
    }
    table = penalty_table(records).sort_values("spread_penalty", kind="stable")
    return _summarised(table, "penalty", "spread_penalty", lambda penalty: f"{penalty:g}", columns)


def batch_sizes(records: Sequence[Record]) -> DataFrame:
    """Barriers, ranks and conditions at λ = ½ for each batch size at one width: mean ± standard deviation."""
    columns = {
        "accuracy, unmerged (%)": ("endpoint_accuracy", 100, 1),
        "accuracy barrier (points)": ("midpoint_accuracy_barrier", 100, 1),
        "loss barrier (nats)": ("midpoint_loss_barrier", 1, 3),
        "calibrated loss barrier (nats)": ("midpoint_calibrated_loss_barrier", 1, 3),
        "reciprocal orthogonality": ("reciprocal_orthogonality", 1, 2),
        "weak additivity": ("weak_additivity", 1, 3),
        "relative effective rank": ("relative_effective_rank", 1, 3),
    }
    return _summarised(one_width(records), "batch size", "batch_size", lambda size: f"{size:g}", columns)


def halfway(records: Sequence[Record]) -> DataFrame:
    """Halfway along each kind of line from network a: each pair's means over its lines, mean ± standard deviation."""
    columns = {
        "length (norm of a)": ("length", 1, 2),
        "loss (nats)": ("loss", 1, 3),
        "calibrated loss (nats)": ("calibrated_loss", 1, 3),
        "accuracy (%)": ("accuracy", 100, 1),
    }
    names = {kind: name.replace("\n", " ") for kind, (name, _) in KINDS.items()}
    return _summarised(halfway_table(records), "line", "kind", names.__getitem__, columns)


def starts(records: Sequence[Record]) -> DataFrame:
    """Barriers, laws and conditions at λ = ½ by what pairs have in common: mean ± standard deviation over pairs."""
    columns = {
        "accuracy barrier (points)": ("midpoint_accuracy_barrier", 100, 1),
        "calibrated loss barrier (nats)": ("midpoint_calibrated_loss_barrier", 1, 3),
        "decay exponent of the logits": ("decay_exponent", 1, 2),
        "error if orthogonal": ("orthogonal_error", 1, 2),
        "error if alike (LLFC)": ("llfc_error", 1, 2),
        "reciprocal orthogonality": ("reciprocal_orthogonality", 1, 2),
        "commutativity": ("commutativity", 1, 2),
    }
    return _summarised(spawned_table(records), "in common", "in_common", name_of, columns)


def _summarised(
    table: DataFrame,
    title: str,
    by: str,
    label: Callable[[Any], str],
    columns: Mapping[str, tuple[str, float, int]],
) -> DataFrame:
    """One row for each network, width and value of ``by``; ``columns`` are title → (column, factor, digits)."""
    rows = []
    for (recipe, width, value), cell in groups_of(table, "recipe", "width_multiplier", by):
        names = {"network": f"{recipe_label(recipe)}, {width_label(width)}", title: label(value)}
        means = {
            heading: mean_and_spread(cell[column], factor=factor, digits=digits, count=False)
            for heading, (column, factor, digits) in columns.items()
        }
        rows.append(names | {"pairs": str(len(cell))} | means)
    return DataFrame(rows, columns=["network", title, "pairs", *columns])


def show(
    table: DataFrame,
    *,
    caption: str,
    records: Sequence[Record] = (),
    command: str = "",
    name: str = "",
    groups: int = 0,
) -> None:
    """Show a table in a notebook and in the book.

    Args:
        table: what to show, as it stands.
        caption: says what it is.
        records: those that its numbers come from, to say where and when they were measured.
        command: what makes the table again.
        name: of the file of its data; without one there is none.
        groups: so many columns from the left become a heading over the rows that share them, which saves their width.
    """
    from IPython.display import display

    text = to_html(table, caption=caption, records=records, command=command, name=name, groups=groups)
    display({"text/html": text, "text/plain": to_markdown(table)}, raw=True)


def to_html(
    table: DataFrame,
    *,
    caption: str,
    records: Sequence[Record] = (),
    command: str = "",
    name: str = "",
    groups: int = 0,
) -> str:
    """What `show` puts on the page: a table that scrolls by itself where the page is narrower than it."""
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
            body.append(f'<tr><th scope="rowgroup" colspan="{span}">{html.escape(", ".join(words))}</th></tr>')
        body.append(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells[groups:])}</tr>")
    label = html.escape(caption)
    origin = origin_html(records, command=command, table=table if name else None, name=name) if records else ""
    # a region that scrolls must be reachable by keyboard, and so it needs a name
    return (
        f'<style>{_STYLE}</style><div class="lmc-table" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="dataframe"><caption>{label}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>{origin}"
    )


def to_markdown(table: DataFrame) -> str:
    """The table as Markdown, for a README or a terminal."""
    rows = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    rows += [[str(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
