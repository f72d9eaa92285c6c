"""The tables of the book, made from records alone: mean ± standard deviation (number of pairs)."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.labels import decay_label, mean_and_deviation, recipe_label, signed, width_label
from lmcbook.pages.analysis.lines import KINDS, halfway_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.one_network import DIGITS, agreement_table
from lmcbook.pages.analysis.permutations import ALIGNMENTS
from lmcbook.pages.analysis.resolution import resolution_table
from lmcbook.pages.analysis.starts import name_of, spawned_table
from lmcbook.pages.analysis.sweeps import FULL, decay_table, one_width, penalty_table
from lmcbook.pages.analysis.vocabulary import ACCURACY, decays
from lmcbook.pages.analysis.vocabulary import groups as groups_of
from lmcbook.pages.claims import (
    CLAIMS,
    GROUPS,
    Claim,
    Verdict,
    count,
    judge,
    verdict_matrix,
    verdict_sentence,
    verdict_table,
)
from lmcbook.pages.origin import origin, origin_html
from lmcbook.pages.table_markup import HEADING, head_and_body

Columns = Mapping[str, tuple[str, float, int]]
"""Title → column, factor and digits."""

_STYLE = f"""
.lmc-table {{overflow-x: auto; margin: 1rem 0}}
.lmc-table table {{font-size: .875em; border-collapse: collapse; width: auto; min-width: 100%}}
.lmc-table th, .lmc-table td {{padding: .3rem .5rem; text-align: left; vertical-align: top}}
.lmc-table td {{font-variant-numeric: tabular-nums}}
.lmc-table th[scope="rowgroup"] {{padding-top: .8rem}}
.lmc-table th[scope="rowgroup"] span, .lmc-table caption span {{{HEADING}}}
.lmc-claims :is(td, th):first-child {{min-width: 10rem}}
.lmc-claims :is(td, th):nth-child(2) {{min-width: 5.5rem}}
.lmc-table caption {{caption-side: top; text-align: left}}
.lmc-ledger summary {{cursor: pointer; font-weight: 600; padding: .35rem 0}}
"""


_UNMERGED: Columns = {"accuracy, unmerged (%)": ("endpoint_accuracy", 100, 1)}
_ACCURACY: Columns = {"accuracy barrier (points)": ("midpoint_accuracy_barrier", 100, 1)}
_LOSS: Columns = {"loss barrier (nats)": ("midpoint_loss_barrier", 1, 3)}
_CALIBRATED: Columns = {"calibrated loss barrier (nats)": ("midpoint_calibrated_loss_barrier", 1, 3)}
_CONDITIONS: Columns = {
    "reciprocal orthogonality": ("reciprocal_orthogonality", 1, 2),
    "weak additivity": ("weak_additivity", 1, 3),
}
_EFFECTIVE_RANK: Columns = {"relative effective rank": ("relative_effective_rank", 1, 3)}


def barriers(records: Sequence[Record], *, alignment: str = "identity") -> DataFrame:
    """Barriers at λ = ½ at every width: the numeric table that the paper's reviewers asked for.

    One row for each network, weight decay and width; each entry is mean ± standard deviation over the pairs.
    """
    table = Measurements.of(records).table(barriers_table)
    table = table[table["alignment"] == alignment]
    columns = {**_UNMERGED, **_ACCURACY, **_LOSS, **_CALIBRATED, "β": ("inverse_temperature_midpoint", 1, 2)}
    rows = [
        {
            "network": recipe_label(recipe),
            "weight decay": decay_label(decay),
            "width": width_label(width),
            "pairs": len(cell),
            **_means(cell, columns),
        }
        for (recipe,), of_recipe in groups_of(table, "recipe")
        for decay, of_decay in decays(of_recipe)
        for width, cell in _widths(of_decay)
    ]
    return DataFrame(rows, columns=["network", "weight decay", "width", "pairs", *columns])


def alignments(records: Sequence[Record], *, weight_decay: float = MAIN_WEIGHT_DECAY) -> DataFrame:
    """Barriers at λ = ½ at every width, a column for each alignment: mean ± standard deviation over pairs."""
    table = Measurements.of(records).table(barriers_table)
    table = table[table["weight_decay"] == weight_decay]
    named = {alignment: name for alignment, name in ALIGNMENTS.items() if alignment in set(table["alignment"])}
    rows = [
        {
            "network": recipe_label(recipe),
            "barrier:": label,
            "width": width_label(width),
            "pairs": str(cell.groupby("alignment").size().max()),
            **{
                name: mean_and_deviation(cell[cell["alignment"] == alignment][column], factor, digits)
                for alignment, name in named.items()
            },
        }
        for (recipe,), of_recipe in groups_of(table, "recipe")
        for column, label, factor, digits in (
            ("midpoint_accuracy_barrier", "accuracy (points)", 100, 1),
            ("midpoint_loss_barrier", "loss (nats)", 1, 3),
            ("midpoint_calibrated_loss_barrier", "calibrated loss (nats)", 1, 3),
        )
        for width, cell in _widths(of_recipe)
    ]
    return DataFrame(rows, columns=["network", "barrier:", "width", "pairs", *named.values()])


def weight_decays(records: Sequence[Record]) -> DataFrame:
    """Barriers, conditions and ranks at λ = ½ for each weight decay, of trainings as their recipe says.

    One row for each network and weight decay; each entry is mean ± standard deviation over the pairs.
    """
    table = Measurements.of(records).table(decay_table)
    columns = {**_UNMERGED, **_ACCURACY, **_CALIBRATED, **_CONDITIONS, **_EFFECTIVE_RANK}
    return _summarised(table[table["kind"] == FULL], "weight decay", "weight_decay", decay_label, columns)


def penalties(records: Sequence[Record]) -> DataFrame:
    """Ranks, conditions and barriers at λ = ½ for each penalty against low rank: mean ± standard deviation."""
    table = Measurements.of(records).table(penalty_table).sort_values("spread_penalty", kind="stable")
    stable_rank = {"relative stable rank": ("relative_stable_rank", 1, 3)}
    columns = {**_UNMERGED, **_ACCURACY, **_CALIBRATED, **_CONDITIONS, **stable_rank}
    return _summarised(table, "penalty", "spread_penalty", "{:g}".format, columns)


def batch_sizes(records: Sequence[Record]) -> DataFrame:
    """Training loss, barriers, ranks and conditions for each batch size at one width: mean ± standard deviation.

    The training loss is the mean of the last epoch, the others are at λ = ½.
    """
    table = Measurements.of(records).table(one_width)
    training_loss: Columns = {"training loss (nats)": ("training_loss", 1, 3)}
    columns = {**_UNMERGED, **training_loss, **_ACCURACY, **_LOSS, **_CALIBRATED, **_CONDITIONS, **_EFFECTIVE_RANK}
    return _summarised(table, "batch size", "batch_size", "{:g}".format, columns)


def resolution(records: Sequence[Record]) -> DataFrame:
    """The smallest accuracy barrier that the pairs at the widest can show, and the most that test images add to it."""
    table = Measurements.of(records).table(resolution_table)
    rows = [
        {
            "network": f"{recipe_label(row['recipe'])}, batches of {row['batch_size']}",
            "width": width_label(row["width_multiplier"]),
            "pairs": str(row["num_pairs"]),
            "barrier (points)": f"{100 * row[ACCURACY]:.1f}",
            "smallest that they show": f"{100 * row['smallest']:.1f}",
            "one test image": f"{100 / row['num_test']:.2g}",
            "standard error by the test images, at most": f"{100 * row['images']:.1f}",
        }
        for row in table.to_dict("records")
    ]
    names = ["network", "width", "pairs", "barrier (points)", "smallest that they show", "one test image"]
    return DataFrame(rows, columns=[*names, "standard error by the test images, at most"])


def halfway(records: Sequence[Record]) -> DataFrame:
    """Halfway along each kind of line from network a: each pair's means over its lines, mean ± standard deviation."""
    table = Measurements.of(records).table(halfway_table)
    columns = {
        "length (norm of a)": ("length", 1, 2),
        "loss (nats)": ("loss", 1, 3),
        "calibrated loss (nats)": ("calibrated_loss", 1, 3),
        "accuracy (%)": ("accuracy", 100, 1),
    }
    return _summarised(table, "line", "kind", KINDS.__getitem__, columns)


def starts(records: Sequence[Record]) -> DataFrame:
    """Barriers, laws and conditions at λ = ½ by what pairs have in common: mean ± standard deviation over pairs."""
    table = Measurements.of(records).table(spawned_table)
    columns = {
        **_ACCURACY,
        **_CALIBRATED,
        "decay exponent of the logits": ("decay_exponent", 1, 2),
        "error if orthogonal": ("orthogonal_error", 1, 2),
        "error if alike (LLFC)": ("alike_error", 1, 2),
        "reciprocal orthogonality": ("reciprocal_orthogonality", 1, 2),
        "commutativity": ("commutativity", 1, 2),
    }
    return _summarised(table, "in common", "in_common", name_of, columns)


def told(records: Sequence[Record]) -> DataFrame:
    """`agreement_table` as readers see it: a row for each kind of training and quantity."""
    rows = []
    table = Measurements.of(records).table(agreement_table)
    # a network's rows follow each other, so that it is one heading over them
    networks = {recipe: number for number, recipe in enumerate(table["recipe"].unique())}
    for _, row in table.sort_values("recipe", key=lambda names: names.map(networks), kind="stable").iterrows():
        digits = DIGITS[row["quantity"]]
        several = row["pairs"] > 1
        rows.append(
            {
                "network": recipe_label(row["recipe"]),
                "batch size": f"{row['batch_size']:g}",
                "weight decay": decay_label(row["weight_decay"]),
                "told": row["quantity"],
                "pairs": str(row["pairs"]),
                "mean error": signed(row["error"], digits),
                "bias": signed(row["bias"], digits),
                "95 % interval": f"{signed(row['low'], digits)} to {signed(row['high'], digits)}" if several else "–",
                "rank correlation": f"{signed(row['rank'], 2)} ({signed(row['rank_low'], 2)} to "
                f"{signed(row['rank_high'], 2)})"
                if row["rank"] == row["rank"]
                else "–",
            }
        )
    names = ["network", "batch size", "weight decay", "told", "pairs", "mean error", "bias", "95 % interval"]
    return DataFrame(rows, columns=[*names, "rank correlation"])


def _summarised(table: DataFrame, title: str, by: str, label: Callable[[Any], str], columns: Columns) -> DataFrame:
    """One row for each network, width and value of ``by``."""
    rows = [
        {"network": f"{recipe_label(recipe)}, {width_label(width)}", title: label(value), "pairs": str(len(cell))}
        | _means(cell, columns)
        for (recipe, width, value), cell in groups_of(table, "recipe", "width_multiplier", by)
    ]
    return DataFrame(rows, columns=["network", title, "pairs", *columns])


def _widths(table: DataFrame) -> list[tuple[float, DataFrame]]:
    """The parts of ``table`` that share a width, the narrowest first."""
    return [(width, table[table["width_multiplier"] == width]) for width in sorted(table["width_multiplier"].unique())]


def _means(cell: DataFrame, columns: Columns) -> dict[str, str]:
    return {
        title: mean_and_deviation(cell[column], factor, digits) for title, (column, factor, digits) in columns.items()
    }


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
        groups: this many columns from the left become a heading over the rows that share them, which saves their width.
    """
    from IPython.display import display

    text = to_html(table, caption=caption, records=records, command=command, name=name, groups=groups)
    display({"text/html": text, "text/plain": to_markdown(table)}, raw=True)


def show_verdicts(records: Sequence[Record], claims: Iterable[Claim] = CLAIMS, *, command: str = "") -> None:
    """Show the verdicts on those of ``claims`` that the records say anything of, and how many they are."""
    judged = [verdict for verdict in judge(records, claims) if verdict.values]
    if not judged:  # as on images of your own
        from IPython.display import display

        display({"text/markdown": "*No claim of the book is about networks that are trained so.*"}, raw=True)
        return
    show(verdict_matrix(judged), caption=verdict_sentence(judged), records=records, command=command)


def show_ledger(verdicts: Iterable[Verdict], *, records: Sequence[Record], command: str) -> None:
    """Show the ledger: a part for each group of claims, told with its counts and folded but for the first."""
    from IPython.display import display

    given = list(verdicts)
    text = ledger_html(given, records=records, command=command)
    display({"text/html": text, "text/plain": to_markdown(verdict_table(given))}, raw=True)


def ledger_html(verdicts: Sequence[Verdict], *, records: Sequence[Record], command: str) -> str:
    """What `show_ledger` puts on the page; its data are those of all parts."""
    parts: list[str] = []
    for group in GROUPS:
        given = [verdict for verdict in verdicts if verdict.claim.group == group]
        if given:
            counted = ", ".join(f"{number} {word}" for word, number in count(given).items() if number)
            summary = html.escape(f"{len(given)} on {group}: {counted}")
            table = to_html(verdict_table(given), caption=f"The ledger: {group}", groups=1)
            parts.append(f"<details{'' if parts else ' open'}><summary>{summary}</summary>{table}</details>")
    sources = origin_html(origin(records), command=command, table=verdict_table(verdicts), name="verdicts")
    return f'<div class="lmc-ledger">{"".join(parts)}</div>{sources}'


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
    label = html.escape(caption)
    data = table if name else None
    sources = origin_html(origin(records), command=command, table=data, name=name) if records else ""
    # a region that scrolls must be reachable by keyboard, and so it needs a name
    kind = "lmc-table lmc-claims" if table.columns[0] in ("claim", "claims") else "lmc-table"
    return (
        f'<style>{_STYLE}</style><div class="{kind}" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="dataframe"><caption><span>{label}</span></caption>'
        f"{head_and_body(table, groups)}</table></div>{sources}"
    )


def to_markdown(table: DataFrame) -> str:
    """The table as Markdown, for a README or a terminal."""
    rows = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    rows += [[str(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
