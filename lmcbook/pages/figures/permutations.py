"""Merging after a permutation of model b: barriers against width, and what matching does inside of the networks."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.lab.records import Record, barriers_table, summaries_table
from lmcbook.pages.analysis.labels import ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import PAPER_DECAY, groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.against_width import Line, draw_lines, handles_of
from lmcbook.pages.figures.barriers import scale_values

ALIGNMENTS: dict[str, tuple[str, str, str]] = {
    "identity": ("as they are", style.STRONG, "o"),
    "random": ("b randomly permuted", style.CONTROL, "s"),
    "weight_matching": ("b matched by weights", style.WEAK, "^"),
    "activation_matching": ("b matched by activations", style.FOURTH, "D"),
}
"""Alignment → its name in legends, colour and marker."""

BARRIERS = (
    ("midpoint_accuracy_barrier", "accuracy (points)", 100.0),
    ("midpoint_loss_barrier", "loss (nats)", 1.0),
    ("midpoint_calibrated_loss_barrier", "calibrated loss (nats)", 1.0),
)
_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]


def alignment_table(records: Sequence[Record]) -> DataFrame:
    """What `barrier_by_alignment` draws: barriers at λ = ½, accuracies as fractions, losses in nats.

    Of several weight decays, the paper's, or the largest where that is not among them.
    """
    table = _main_decay(barriers_table(records))
    columns = [*_PAIR, "alignment", *(column for column, _, _ in BARRIERS), "inverse_temperature_midpoint"]
    return table[columns].reset_index(drop=True)


def barrier_by_alignment(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ against width: as they are, randomly permuted, matched by weights and by activations."""
    table = alignment_table(records)
    lines = {column: _alignment_lines(table, column) for column, _, _ in BARRIERS}
    return _barrier_panels(table, lines, "barrier", narrow=narrow, logarithmic=True)


def alignment_alt(records: Sequence[Record]) -> str:
    """`barrier_by_alignment` for those who do not see it."""
    table = alignment_table(records).assign(points=lambda drawn: 100 * drawn["midpoint_accuracy_barrier"].astype(float))
    parts = [
        f"{recipe_label(recipe)} {ALIGNMENTS[alignment][0]}: {ends_in_words(chosen, 'points')}"
        for (recipe, alignment), chosen in groups(table, "recipe", "alignment")
    ]
    return (
        "Barriers in accuracy, loss and calibrated loss against width, one colour for each alignment of model b. "
        f"Points of accuracy lost at λ = ½, {'; '.join(parts)}."
    )


def gain_table(records: Sequence[Record]) -> DataFrame:
    """What `matching_gain` draws: the barrier of the randomly permuted pair minus that of the same pair matched."""
    table = alignment_table(records)
    columns = [column for column, _, _ in BARRIERS]
    random = table[table["alignment"] == "random"][[*_PAIR, *columns]]
    matched = table[table["alignment"].isin(["weight_matching", "activation_matching"])]
    both = matched.merge(random, on=_PAIR, suffixes=("_matched", ""))
    gains = {column: both[column].astype(float) - both[f"{column}_matched"].astype(float) for column in columns}
    return both.assign(**gains)[[*_PAIR, "alignment", *columns]]


def matching_gain(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """What a search for a permutation gains over a random one, against width: each pair a point."""
    table = gain_table(records)
    lines = {column: _alignment_lines(table, column) for column, _, _ in BARRIERS}
    return _barrier_panels(table, lines, "gain", narrow=narrow, logarithmic=False)


def gain_alt(records: Sequence[Record]) -> str:
    """`matching_gain` for those who do not see it."""
    table = gain_table(records).assign(points=lambda drawn: 100 * drawn["midpoint_accuracy_barrier"])
    parts = [
        f"{recipe_label(recipe)} {ALIGNMENTS[alignment][0]}: {ends_in_words(chosen, 'points')}"
        for (recipe, alignment), chosen in groups(table, "recipe", "alignment")
    ]
    return (
        "Barrier of the randomly permuted minus that of the matched pair against width, a point for each pair. "
        f"In points of accuracy, {'; '.join(parts)}."
    )


_INSIDE = (
    ("overlap", "overlap of\nactive units"),
    ("reciprocal_orthogonality", "reciprocal\northogonality"),
    ("commutativity", "commutativity"),
    ("lewc_cosine", "cosine\nof the logits"),
    ("llfc_error", "error of LLFC\nat the logits"),
    ("decay_exponent", "decay exponent\nof the logits"),
)


def inside_table(records: Sequence[Record]) -> DataFrame:
    """What `matching_inside` draws: means over layers of each pair, as it is and matched by weights.

    Of several weight decays, the paper's, or the largest where that is not among them; of pairs that were measured both
    ways.
    """
    table = _main_decay(summaries_table(records))
    table = table[table["alignment"].isin(["identity", "weight_matching"])]
    ways = table.groupby(_PAIR)["alignment"].transform("nunique")
    names = [*_PAIR, "num_layers", "alignment", "expected_overlap", *(column for column, _ in _INSIDE)]
    return table[ways == 2][names].reset_index(drop=True)


def matching_inside(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Overlap of active units, reciprocal orthogonality and commutativity, before and after weight matching."""
    return _inside_panels(records, ("overlap", "reciprocal_orthogonality", "commutativity"), narrow=narrow)


def matching_laws(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """The merged logits before and after weight matching: direction, distance from LLFC, and size."""
    return _inside_panels(records, ("lewc_cosine", "llfc_error", "decay_exponent"), narrow=narrow)


def inside_alt(records: Sequence[Record]) -> str:
    """`matching_inside` for those who do not see it."""
    return "Overlap of active units, reciprocal orthogonality and commutativity, " + _inside_words(
        records, ("overlap", "reciprocal_orthogonality", "commutativity")
    )


def laws_alt(records: Sequence[Record]) -> str:
    """`matching_laws` for those who do not see it."""
    return (
        "Cosine of the merged logits with the two networks' mean, their error of LLFC, and their decay exponent, "
        + _inside_words(records, ("lewc_cosine", "llfc_error", "decay_exponent"))
    )


def _inside_words(records: Sequence[Record], columns: Sequence[str]) -> str:
    parts = []
    for (recipe, alignment), chosen in groups(inside_table(records), "recipe", "alignment"):
        values = ", ".join(f"{column.replace('_', ' ')} {ends_in_words(chosen, column)}" for column in columns)
        parts.append(f"{recipe_label(recipe)} {ALIGNMENTS[alignment][0]}: {values}")
    return f"against width, before and after weight matching. {'; '.join(parts)}."


def _inside_panels(records: Sequence[Record], columns: Sequence[str], *, narrow: bool) -> Figure:
    table = inside_table(records)
    recipes = list(table["recipe"].unique())
    labels = dict(_INSIDE)
    with style.applied():
        figure, axes = style.panels(len(recipes), len(columns), height=2.6, narrow=narrow, share_y="none")
        shown = [(recipe, column) for recipe in recipes for column in columns]
        for index, (axis, (recipe, column)) in enumerate(zip(axes, shown, strict=True)):
            chosen = table[table["recipe"] == recipe]
            lines = _alignment_lines(table, column)
            if column == "overlap":
                lines.append(_independent())
            draw_lines(axis, chosen, lines)
            axis.margins(y=0.08)
            axis.set_ylim(bottom=0)
            if column == "decay_exponent":
                _draw_laws(axis, chosen)
            axis.set_ylabel(labels[column])
            if index % len(columns) == 0:
                axis.set_title(recipe_label(recipe))
            if narrow or recipe == recipes[-1]:
                axis.set_xlabel("width multiplier")
        named = [*_alignment_lines(table, columns[0]), *([_independent()] if "overlap" in columns else [])]
        handles = handles_of(named)
        if "decay_exponent" in columns:
            handles += [
                Line2D([], [], label="exponent if orthogonal", **_ORTHOGONAL),
                Line2D([], [], label="exponent if alike", **_ALIKE),
            ]
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else min(len(handles), 4))
    return figure


def _draw_laws(axis: Axes, table: DataFrame) -> None:
    # under recomputed batch norm orthogonal networks have 2 in the place of L
    exponent = table["num_layers"].fillna(2).max()
    for value, look in ((exponent, _ORTHOGONAL), (1, _ALIKE)):
        axis.axhline(value, **look, zorder=1)
    axis.set_ylim(top=exponent + 0.35)


def _independent() -> Line:
    return Line(
        label="independent units",
        colour=style.CONTROL,
        where={"alignment": "identity"},
        column="expected_overlap",
        marker="s",
        hollow=True,
    )


def mechanism_table(records: Sequence[Record]) -> DataFrame:
    """What `two_mechanisms` draws: both conditions of each pair, as it is and matched by weights."""
    return inside_table(records)[[*_PAIR, "alignment", "reciprocal_orthogonality", "commutativity"]].dropna()


def two_mechanisms(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Each pair by both conditions, before and after weight matching; LLFC's and LEWC's own places are marked."""
    table = mechanism_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, drawn = rows.rows([3.6] * len(recipes), 1, narrow=narrow, legend_lines=5)
        for recipe, (part, (axis,)) in zip(recipes, drawn, strict=True):
            chosen = table[table["recipe"] == recipe]
            colours = style.width_colours(chosen["width_multiplier"])
            for (alignment, width), points in groups(chosen, "alignment", "width_multiplier"):
                look = _mechanism_look(colours[width], matched=alignment != "identity")
                axis.plot(points["commutativity"], points["reciprocal_orthogonality"], **look)
            axis.plot([0], [1], **_CORNER)
            axis.plot([1], [0], **_CORNER)
            axis.annotate("LLFC", (0, 1), (6, 6), textcoords="offset points", weight="bold")
            axis.annotate("LEWC", (1, 0), (6, 5), textcoords="offset points", weight="bold")
            axis.set_xlim(-0.06, max(1.25, chosen["commutativity"].max() + 0.08))
            axis.set_ylim(-0.04, max(1.15, chosen["reciprocal_orthogonality"].max() + 0.08))
            axis.set_xlabel("commutativity (0: LLFC's condition holds)")
            axis.set_ylabel("reciprocal orthogonality\n(0: LEWC's condition holds)")
            axis.set_title(recipe_label(recipe))
            handles = [
                Line2D([], [], label=width_label(width), **_mechanism_look(colour, matched=False))
                for width, colour in colours.items()
            ][::-1]
            ways = (("as they are", False), ("matched by weights", True))
            handles += [Line2D([], [], label=name, **_mechanism_look(style.INK, matched=way)) for name, way in ways]
            rows.legend(part, handles, title="width", narrow=narrow)
    return figure


def mechanism_alt(records: Sequence[Record]) -> str:
    """`two_mechanisms` for those who do not see it."""
    parts = []
    for (recipe, alignment), chosen in groups(mechanism_table(records), "recipe", "alignment"):
        name = f"{recipe_label(recipe)} {ALIGNMENTS[alignment][0]}"
        values = f"commutativity {ends_in_words(chosen, 'commutativity')}, reciprocal orthogonality "
        parts.append(f"{name}: {values}{ends_in_words(chosen, 'reciprocal_orthogonality')}")
    said = "Each pair as a point by commutativity and reciprocal orthogonality, before and after weight matching"
    return f"{said}. {'; '.join(parts)}."


def _mechanism_look(colour: str, *, matched: bool) -> dict[str, Any]:
    look = {"color": colour, "marker": "^" if matched else "o", "linestyle": "none", "markersize": 6, "mew": 1}
    return look | {"markerfacecolor": style.GROUND if matched else colour, "markeredgecolor": colour}


_ORTHOGONAL: dict[str, Any] = {"color": style.INK, "linestyle": "--", "linewidth": 1.0}
_ALIKE: dict[str, Any] = {"color": style.INK, "linestyle": ":", "linewidth": 1.0}
_CORNER: dict[str, Any] = {"marker": "x", "color": style.INK, "markersize": 7, "mew": 1.6, "linestyle": "none"}


def _barrier_panels(
    table: DataFrame, lines: dict[str, list[Line]], what: str, *, narrow: bool, logarithmic: bool
) -> Figure:
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, axes = style.panels(len(recipes), len(BARRIERS), height=2.9, narrow=narrow, share_y="none")
        shown = [(recipe, *each) for recipe in recipes for each in BARRIERS]
        for index, (axis, (recipe, column, label, factor)) in enumerate(zip(axes, shown, strict=True)):
            chosen = table[table["recipe"] == recipe]
            axis.set_ylabel(f"{what}: {label}")
            draw_lines(axis, chosen, lines[column], factor=factor)
            if logarithmic:
                scale_values(axis, factor * chosen[column].astype(float))
            else:
                axis.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
                axis.set_ylim(bottom=min(0, factor * chosen[column].min() * 1.1))
            if index % len(BARRIERS) == 0:
                axis.set_title(recipe_label(recipe))
            if narrow or recipe == recipes[-1]:
                axis.set_xlabel("width multiplier")
        handles = handles_of(next(iter(lines.values())))
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 2)
    return figure


def _alignment_lines(table: DataFrame, column: str) -> list[Line]:
    there = set(table["alignment"])
    return [
        Line(
            label=label,
            colour=colour,
            where={"alignment": alignment},
            column=column,
            marker=marker,
            hollow=alignment == "random",
        )
        for alignment, (label, colour, marker) in ALIGNMENTS.items()
        if alignment in there
    ]


def _main_decay(table: DataFrame) -> DataFrame:
    decays = set(table["weight_decay"])
    return table[table["weight_decay"] == (PAPER_DECAY if PAPER_DECAY in decays else max(decays, default=0.0))]
