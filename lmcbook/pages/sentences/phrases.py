"""What several chapters' sentences are made of: a network's rows, changes along a sweep, and a verdict on nothing."""

from collections.abc import Mapping

from pandas import DataFrame

from lmcbook.pages.analysis.labels import mean_and_deviation
from lmcbook.pages.analysis.told import change

NO_VERDICT = "**Verdict.** Nothing is measured that could tell."


def by_recipe(table: DataFrame, alignment: str | None = "identity") -> list[tuple[str, DataFrame]]:
    """Each recipe with its rows, those of one alignment where the table tells alignments apart; None leaves all."""
    if alignment is not None and "alignment" in table:
        table = table[table["alignment"] == alignment]
    return [(recipe, table[table["recipe"] == recipe]) for recipe in table["recipe"].unique()]


def along(
    network: str, parts: Mapping[str, DataFrame], columns: Mapping[str, tuple[str, float, int]], where: str = ""
) -> tuple[list[dict[str, str]], str]:
    """A row of numbers for each column, and in words how each changes from the first of the ``parts`` to the last.

    Args:
        network: as the table has it.
        parts: the network's rows, each part by its title in the table.
        columns: a name in words, → a factor and a number of digits; a unit after " in " is for the table alone.
        where: the title of the names.
    """
    first, *_, last = (*parts.values(), *parts.values())
    rows = [
        {
            "network": network,
            where: name,
            **{title: mean_and_deviation(part[column], factor, digits) for title, part in parts.items()},
        }
        for column, (name, factor, digits) in columns.items()
    ]
    ways = [
        f"{name.split(' in ')[0]} {change(first[column].mean(), last[column].mean(), factor=factor, digits=digits)}"
        for column, (name, factor, digits) in columns.items()
    ]
    return rows, ", ".join(ways)
