"""Merging after a permutation of model b: barriers against width, and what matching does inside the networks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series

from lmcbook.pages.analysis.labels import ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.permutations import ALIGNMENTS
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.against_width import Line, draw_lines, handles_of
from lmcbook.pages.figures.kit import network_rows, width_panels
from lmcbook.pages.figures.scales import scale_values

LOOKS: dict[str, tuple[str, str]] = {
    "identity": (style.STRONG, "o"),
    "random": (style.CONTROL, "s"),
    "weight_matching": (style.WEAK, "^"),
    "activation_matching": (style.FOURTH, "D"),
}
"""Alignment → its colour and marker."""

_BARRIERS = (
    ("midpoint_accuracy_barrier", "accuracy (points)", 100.0),
    ("midpoint_loss_barrier", "loss (nats)", 1.0),
    ("midpoint_calibrated_loss_barrier", "calibrated loss (nats)", 1.0),
)
_CONDITIONS = {
    "overlap": "overlap of\nactive units",
    "reciprocal_orthogonality": "reciprocal\northogonality",
    "commutativity": "commutativity",
}
_LOGITS = {
    "lewc_cosine": "cosine\nof the logits",
    "alike_error": "distance from LLFC\nover the logits",
    "decay_exponent": "decay exponent\nof the logits",
}


def barrier_by_alignment(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ against width: unpermuted, randomly permuted, matched by weights and by activations."""
    return _barrier_panels(table, "barrier", scale_values, narrow=narrow)


def alignment_alt(table: DataFrame) -> str:
    """`barrier_by_alignment` for those who do not see it."""
    return (
        "Barriers in accuracy, loss and calibrated loss against width, one colour for each alignment of model b. "
        f"Points of accuracy lost at λ = ½, {_points(table)}."
    )


def matching_gain(table: DataFrame, *, narrow: bool = False) -> Figure:
    """What a search for a permutation gains over a random permutation, against width: each pair a point."""

    def scale(axis: Axes, drawn: Series) -> None:
        axis.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
        axis.set_ylim(bottom=min(0, drawn.min() * 1.1))

    return _barrier_panels(table, "gain", scale, narrow=narrow)


def gain_alt(table: DataFrame) -> str:
    """`matching_gain` for those who do not see it."""
    return (
        "Barrier of the randomly permuted minus that of the matched pair against width, a point for each pair. "
        f"In points of accuracy, {_points(table)}."
    )


def _points(table: DataFrame) -> str:
    return "; ".join(
        f"{recipe_label(recipe)} {ALIGNMENTS[alignment]}: {ends_in_words(chosen, 'midpoint_accuracy_barrier', 100)}"
        for (recipe, alignment), chosen in groups(table, "recipe", "alignment")
    )


def _barrier_panels(table: DataFrame, what: str, scale: Callable[[Axes, Series], None], *, narrow: bool) -> Figure:
    def draw(axis: Axes, of_recipe: DataFrame, column: str, factor: float) -> None:
        draw_lines(axis, of_recipe, _alignment_lines(table, column), factor=factor)
        scale(axis, factor * of_recipe[column])

    panels = [(f"{what}: {label}", partial(draw, column=column, factor=factor)) for column, label, factor in _BARRIERS]
    legend = partial(handles_of, _alignment_lines(table, _BARRIERS[0][0]))
    return width_panels(table, panels, legend, height=2.9, narrow=narrow)


def matching_conditions(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Overlap of active units, reciprocal orthogonality and commutativity, before and after weight matching."""
    independent = Line(
        label="independent units",
        colour=style.CONTROL,
        where={"alignment": "identity"},
        column="expected_overlap",
        marker="s",
        hollow=True,
    )
    legend = partial(handles_of, [*_alignment_lines(table, "overlap"), independent])
    return _before_and_after(table, _CONDITIONS, legend, narrow=narrow, overlap=[independent])


def conditions_alt(table: DataFrame) -> str:
    """`matching_conditions` for those who do not see it."""
    return f"Overlap of active units, reciprocal orthogonality and commutativity, {_in_words(table, _CONDITIONS)}"


def matching_laws(table: DataFrame, *, narrow: bool = False) -> Figure:
    """The merged logits before and after weight matching: direction, distance from LLFC, and size."""

    def legend() -> list[Line2D]:
        laws = [("exponent if orthogonal", _ORTHOGONAL), ("exponent if alike", _ALIKE)]
        named = handles_of(_alignment_lines(table, "lewc_cosine"))
        return [*named, *(Line2D([], [], label=label, **look) for label, look in laws)]

    return _before_and_after(table, _LOGITS, legend, narrow=narrow)


def laws_alt(table: DataFrame) -> str:
    """`matching_laws` for those who do not see it."""
    said = (
        "Cosine of the merged logits with the two networks' mean, their distance from LLFC's prediction relative to "
        "their own norm, and their decay exponent"
    )
    return f"{said}, {_in_words(table, _LOGITS)}"


def _in_words(table: DataFrame, columns: Iterable[str]) -> str:
    parts = []
    for (recipe, alignment), chosen in groups(table, "recipe", "alignment"):
        values = ", ".join(f"{column.replace('_', ' ')} {ends_in_words(chosen, column)}" for column in columns)
        parts.append(f"{recipe_label(recipe)} {ALIGNMENTS[alignment]}: {values}")
    return f"against width, before and after weight matching. {'; '.join(parts)}."


def _before_and_after(
    table: DataFrame,
    labels: Mapping[str, str],
    legend: Callable[[], Sequence[Line2D]],
    *,
    narrow: bool,
    **more: list[Line],
) -> Figure:
    def draw(axis: Axes, of_recipe: DataFrame, column: str) -> None:
        draw_lines(axis, of_recipe, [*_alignment_lines(table, column), *more.get(column, ())])
        axis.margins(y=0.08)
        axis.set_ylim(bottom=0)
        if column == "decay_exponent":
            # under recomputed batch norm orthogonal networks have 2 in the place of L
            exponent = of_recipe["lewc_exponent"].max()
            for value, look in ((exponent, _ORTHOGONAL), (1, _ALIKE)):
                axis.axhline(value, **look, zorder=1)
            axis.set_ylim(top=exponent + 0.35)

    panels = [(label, partial(draw, column=column)) for column, label in labels.items()]
    return width_panels(table, panels, legend, height=2.6, narrow=narrow, columns=min(len(legend()), 4))


def two_mechanisms(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Each pair by both conditions, before and after weight matching; LLFC's and LEWC's own places are marked."""

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        [axis] = axes
        colours = style.width_colours(of_recipe["width_multiplier"])
        for (alignment, width), points in groups(of_recipe, "alignment", "width_multiplier"):
            look = _mechanism_look(colours[width], matched=alignment != "identity")
            axis.plot(points["commutativity"], points["reciprocal_orthogonality"], **look)
        axis.plot([0], [1], **_CORNER)
        axis.plot([1], [0], **_CORNER)
        axis.annotate("LLFC", (0, 1), (6, 6), textcoords="offset points", weight="bold")
        axis.annotate("LEWC", (1, 0), (6, 5), textcoords="offset points", weight="bold")
        axis.set_xlim(-0.06, max(1.25, of_recipe["commutativity"].max() + 0.08))
        axis.set_ylim(-0.04, max(1.15, of_recipe["reciprocal_orthogonality"].max() + 0.08))
        axis.set_xlabel("commutativity (0: LLFC's condition holds)")
        axis.set_ylabel("reciprocal orthogonality\n(0: LEWC's condition holds)")
        axis.set_title(recipe_label(of_recipe["recipe"].iloc[0]))
        handles = [
            Line2D([], [], label=width_label(width), **_mechanism_look(colour, matched=False))
            for width, colour in colours.items()
        ][::-1]
        ways = (("unpermuted", False), ("matched by weights", True))
        return handles + [Line2D([], [], label=name, **_mechanism_look(style.INK, matched=way)) for name, way in ways]

    return network_rows(table, 1, draw, height=3.6, narrow=narrow, legend_lines=5, title="width")


def mechanism_alt(table: DataFrame) -> str:
    """`two_mechanisms` for those who do not see it."""
    parts = []
    for (recipe, alignment), chosen in groups(table, "recipe", "alignment"):
        name = f"{recipe_label(recipe)} {ALIGNMENTS[alignment]}"
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


def _alignment_lines(table: DataFrame, column: str) -> list[Line]:
    there = set(table["alignment"])
    return [
        Line(
            label=ALIGNMENTS[alignment],
            colour=colour,
            where={"alignment": alignment},
            column=column,
            marker=marker,
            hollow=alignment == "random",
        )
        for alignment, (colour, marker) in LOOKS.items()
        if alignment in there
    ]
