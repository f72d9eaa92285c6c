"""Puts on a page what a search for a permutation costs, as a benchmark measured it: no record holds it."""

from pathlib import Path

from lmcbook.pages import figures, sentences, theory_figures
from lmcbook.pages.analysis.permutations import read_search_costs

_ALT = "CPU seconds and peak memory of weight matching against the units of a layer, straight on logarithmic axes."


def show_search_costs(file: Path) -> None:
    """Show CPU seconds and peak memory of weight matching against the units of a layer, with where they come from.

    Args:
        file: what ``benchmarks/matching_cost.py`` wrote.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    table, measured = read_search_costs(file)
    theory_figures.show(
        figures.search_cost_against_units,
        table,
        sentences.search_cost_finding(table),
        name="search-cost-wide",
        alt=_ALT,
        command="python benchmarks/matching_cost.py",
        source=f"{measured['date'][:10]}, {measured['processor']}; commit {measured['commit'][:10]}.",
    )
