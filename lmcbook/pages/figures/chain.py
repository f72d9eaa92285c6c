"""The paper's chain of causes by network, each link in the colour of its verdict."""

from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.claims.chain import LINKS
from lmcbook.pages.claims.verdict import VERDICTS
from lmcbook.pages.figures import style

_LOOKS: dict[str, tuple[str, str, float]] = {
    "reproduced": (style.STRONG, "o", 1.0),
    "partly": (style.FOURTH, "p", 1.0),
    "not reproduced": (style.WEAK, "X", 1.0),
    "undecided": (style.CONTROL, "o", 0.0),
    "not measured": (style.CONTROL, "_", 1.0),
}
"""Verdict → colour, marker, and whether the marker is filled: told apart without colour too."""


def chain_by_network(table: DataFrame, *, narrow: bool = False) -> Figure:
    """A row for each network and a column for each link, from width to the average; joined where two links hold."""
    links, networks = list(LINKS), list(table["network"].unique())
    with style.applied():
        height = 2.6 + (0.62 if narrow else 0.36) * len(networks)
        figure, [axis] = style.panels(1, 1, height=height, narrow=narrow)
        for row, network in enumerate(networks):
            _draw_row(axis, row, table[table["network"] == network].set_index("link")["verdict"].to_dict())
            if narrow:
                axis.annotate(network, (-0.35, row - 0.32), fontsize="small", va="bottom")
        axis.set_xticks(range(len(links)), links, rotation=45, ha="left", rotation_mode="anchor")
        axis.xaxis.tick_top()
        axis.set_yticks([] if narrow else range(len(networks)), [] if narrow else networks)
        axis.set_xlim(-0.5, len(links) - 0.5)
        axis.set_ylim(len(networks) - 0.5, -0.5 - (0.3 if narrow else 0))
        axis.grid(visible=False)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        shown = [word for word in VERDICTS if word in set(table["verdict"])]
        handles = [Line2D([], [], linestyle="none", label=word, **_look(word)) for word in shown]
        figure.legend(handles=handles, loc="outside lower center", ncols=2 if narrow else len(shown))
    return figure


def chain_alt(table: DataFrame) -> str:
    """`chain_by_network` for those who do not see it."""
    parts = []
    for link in LINKS:
        words = list(table[table["link"] == link]["verdict"])
        counted = ", ".join(f"{words.count(word)} {word}" for word in VERDICTS if word in words)
        parts.append(f"{link}: {counted}")
    return f"The chain from width to the average, over {table['network'].nunique()} networks. {'; '.join(parts)}."


def _draw_row(axis: Axes, row: int, words: dict[str, str]) -> None:
    given = [words.get(link, "not measured") for link in LINKS]
    for place, (left, right) in enumerate(pairwise(given)):
        if left == right == "reproduced":
            axis.plot([place, place + 1], [row, row], color=style.STRONG, linewidth=1.6, zorder=1)
    for place, word in enumerate(given):
        axis.plot([place], [row], linestyle="none", zorder=2, **_look(word))


def _look(word: str) -> dict[str, Any]:
    colour, marker, filled = _LOOKS[word]
    return {
        "color": colour,
        "marker": marker,
        "markersize": 10,
        "markeredgecolor": colour,
        "markeredgewidth": 1.6 if word == "undecided" else 1.0,
        "markerfacecolor": colour if filled else style.GROUND,
    }
