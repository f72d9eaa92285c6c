"""The controls of the common mode: points lost with them, by networks at random places, and by many networks."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import signed
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.kit import draw_dots
from lmcbook.pages.figures.marks import handle, look_of, point_of
from lmcbook.pages.figures.scales import binary_scale, fractions

_NAMES = {
    "plain": "plain average",
    "lewc_mean": "repaired",
    "without_common_cross_talk": "without common cross-talk",
    "ensemble": "ensemble",
}
_MARKS = {
    "plain": (style.WEAK, "o"),
    "lewc_mean": (style.STRONG, "s"),
    "without_common_cross_talk": (style.FOURTH, "^"),
}
_OF_MANY = {**{kind: _MARKS[kind] for kind in ("plain", "lewc_mean")}, "ensemble": (style.FOURTH, "D")}


def lost_by_control(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Points lost at λ = ½ by each control, a panel for each batch size: small each pair, large the mean."""
    table = table[table["trained"] & ~table["control"].str.endswith(" networks")]
    parts = groups(table, "recipe", "batch_size")
    names = list(dict.fromkeys(table["control"]))
    with style.applied():
        height = 0.6 + 0.28 * max(part["control"].nunique() for _, part in parts)
        figure, axes = style.panels(1, len(parts), height=height, narrow=narrow, share_y="none")
        for axis, ((_, size), part) in zip(axes, parts, strict=True):
            shown = [name for name in names if name in set(part["control"])]
            places = {name: -float(index) for index, name in enumerate(shown)}
            for kind, (colour, marker) in _MARKS.items():
                rows = part.dropna(subset=[kind])
                at = rows["control"].map(places)
                axis.plot(rows[kind], at, **{**point_of(colour, marker, size=2.5), "alpha": 0.5}, zorder=2)
                mean = rows.groupby("control")[kind].mean()
                axis.plot(mean, mean.index.map(places), **point_of(colour, marker, size=6), zorder=3)
            axis.set_yticks([*places.values()], [*places])
            axis.axvline(0, color=style.INK, linewidth=0.8, zorder=1)
            axis.set_xlabel("points lost")
            axis.set_title(f"batches of {size:g}")
        _legend(figure, _MARKS, narrow=narrow)
    return figure


def lost_by_control_alt(table: DataFrame) -> str:
    """`lost_by_control` for those who do not see it."""
    table = table[table["trained"] & ~table["control"].str.endswith(" networks")]
    parts = []
    for (size,), part in groups(table, "batch_size"):
        means = part.groupby("control", sort=False)[["plain", "lewc_mean"]].mean()
        said = [f"{name} {_points(row['plain'])} and {_points(row['lewc_mean'])}" for name, row in means.iterrows()]
        parts.append(f"batches of {size:g}: {', '.join(said)}")
    return f"Points of accuracy lost at λ = ½ by the plain and by the repaired average, {'; '.join(parts)}."


def lost_by_placement(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Points lost by two narrow networks at random places, against the share used and, all used, against the units."""
    with style.applied():
        figure, axes = style.panels(1, 3, height=2.7, narrow=narrow, share_y="all")
        widest = table["units"].max()
        chosen = (
            (table[table["copies"] == 1], "share", "share of places used,\nunits not split"),
            (table[table["units"] == widest], "share", f"share of {widest:g} places used,\nby splitting units"),
            (table[table["share"] == 1], "units", "hidden units, all used\nby splitting units"),
        )
        for axis, (rows, across, label) in zip(axes, chosen, strict=True):
            for kind in ("plain", "lewc_mean"):
                draw_dots(axis, rows[across], rows[kind], look_of(*_MARKS[kind]))
            _octaves(axis, across, rows)
            axis.set_xlabel(label)
            axis.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
        axes[0].set_ylabel("points lost")
        _legend(figure, {kind: _MARKS[kind] for kind in ("plain", "lewc_mean")}, narrow=narrow)
    return figure


def _octaves(axis: Axes, across: str, rows: DataFrame) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(sorted(set(rows[across])))
    fractions(axis.xaxis)


def lost_by_placement_alt(table: DataFrame) -> str:
    """`lost_by_placement` for those who do not see it."""
    single, full = table[table["copies"] == 1], table[table["share"] == 1]
    shares = "; ".join(
        f"1/{1 / share:g} used: {_points(rows['plain'].mean())} and {_points(rows['lewc_mean'].mean())}"
        for (share,), rows in groups(single, "share")
    )
    units = "; ".join(
        f"{count:g} units, all used: {_points(rows['plain'].mean())} and {_points(rows['lewc_mean'].mean())}"
        for (count,), rows in groups(full, "units")
    )
    return f"Points lost by the plain and by the repaired average of networks at random places, {shares}; {units}."


def lost_by_number(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Points lost and calibrated loss of averages of k networks, and β over k^(L−1) times the ensemble's."""
    with style.applied():
        figure, axes = style.panels(1, 3, height=2.7, narrow=narrow, share_y="none")
        for kind, mark in _OF_MANY.items():
            look = look_of(*mark)
            draw_dots(axes[0], table["networks"], table[kind], look)
            draw_dots(axes[1], table["networks"], table[f"{kind}_loss"], look)
            if kind != "ensemble":  # the ensemble's β is what the others are compared with
                draw_dots(axes[2], table["networks"], 2 ** table[f"{kind}_error"], look)
        axes[0].axhline(0, color=style.INK, linewidth=0.8, zorder=1)
        axes[0].set_ylabel("points lost")
        axes[1].set_ylabel("calibrated loss (nats)")
        axes[2].set_ylabel("β over $k^{L-1}$ times\nthe ensemble's")
        axes[2].axhline(1, color=style.INK, linewidth=0.8, zorder=1)
        binary_scale(axes[2])
        fractions(axes[2].yaxis)
        for axis in axes:
            axis.set_xlabel("networks averaged")
            axis.set_xticks(sorted(set(table["networks"])))
        _legend(figure, _OF_MANY, narrow=narrow)
    return figure


def lost_by_number_alt(table: DataFrame) -> str:
    """`lost_by_number` for those who do not see it."""
    said = "; ".join(
        f"{count:g} networks: {_points(rows['plain'].mean())}, {_points(rows['lewc_mean'].mean())} and "
        f"{_points(rows['ensemble'].mean())} points"
        for (count,), rows in groups(table.sort_values("networks"), "networks")
    )
    return (
        "Points lost by the plain average, by the repaired average and by the ensemble against the number of networks. "
        f"{said}."
    )


def _points(value: float) -> str:
    return signed(value, 1)


def _legend(figure: Figure, marks: Mapping[str, tuple[str, str]], *, narrow: bool) -> None:
    handles: list[Line2D] = [handle(_NAMES[kind], point_of(*mark, size=6)) for kind, mark in marks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else len(marks))
