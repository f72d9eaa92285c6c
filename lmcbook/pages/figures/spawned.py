"""Pairs that share nothing, the order of the examples, or their start: barriers, laws and conditions as it moves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, concat

from lmcbook.lab.records import Record, layers_table, pairs_table
from lmcbook.pages.analysis.labels import recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.barriers import scale_values
from lmcbook.pages.figures.laws import error_at_half_size
from lmcbook.pages.figures.layers import label_room, name_layers
from lmcbook.pages.figures.panels import ACCURACY_BARRIER, LOSS_BARRIERS, MAIN, OTHER, Panel, Series, look_of

_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]
_COLUMNS = (
    *("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier", "endpoint_accuracy"),
    *("decay_exponent", "orthogonal_error", "llfc_error", "reciprocal_orthogonality", "commutativity"),
    "weak_additivity",
)
NOTHING, ORDER = "nothing", "order"


def in_common(shared: str, fraction: float) -> str:
    """What a pair has in common, in a word: ``nothing``, ``order``, or the part of the training, ``0 %``, ``10 %``."""
    return shared if shared != "start" else f"{100 * fraction:g} %"


def spawned_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair merged as it is: what it shares, barriers, and laws and conditions at λ = ½.

    ``in_common`` is ``nothing``, ``order``, or the part of the training that the two have in common. Exponent and
    errors are of the logits, conditions are means over layers. ``orthogonal_error`` is the distance from what
    orthogonal networks give: LEWC's prediction, or with recomputed batch norm half of LLFC's.
    """
    table = _with_words(pairs_table(records))
    halved = error_at_half_size(table["llfc_error"], table["decay_exponent"])
    table = table.assign(orthogonal_error=table["lewc_error"].where(table["num_layers"].notna(), halved))
    table = table.astype(dict.fromkeys(_COLUMNS, float))
    return _ordered(table)[[*_PAIR, "num_layers", "shared", "shared_fraction", "in_common", *_COLUMNS]]


def _with_words(table: DataFrame) -> DataFrame:
    """Pairs merged as they are and trained without a penalty, with what they have in common in a word."""
    table = table[(table["alignment"] == "identity") & (table["spread_penalty"] == 0)]
    return table.assign(
        in_common=[in_common(*each) for each in zip(table["shared"], table["shared_fraction"], strict=True)]
    )


def _ordered(table: DataFrame) -> DataFrame:
    place = table["shared"].map({NOTHING: 0, ORDER: 1, "start": 2}) + table["shared_fraction"]
    ordered = table.assign(place=place).sort_values(["place", "seed_a"], kind="stable").drop(columns="place")
    first = {recipe: index for index, recipe in enumerate(table["recipe"].unique())}
    return ordered.sort_values("recipe", key=lambda names: names.map(first), kind="stable").reset_index(drop=True)


_BARRIER_PANELS = (
    ACCURACY_BARRIER,
    replace(LOSS_BARRIERS, guide=0, logarithmic=False),
)
_MECHANISM_PANELS = (
    Panel(
        label="error of the law (logits)",
        series=(
            Series(column="orthogonal_error", label="if orthogonal", look=MAIN),
            Series(column="llfc_error", label="if alike (LLFC)", look=OTHER),
        ),
        logarithmic=True,
    ),
    Panel(
        label="condition (0: it holds)",
        series=(
            Series(column="reciprocal_orthogonality", look=MAIN),
            Series(column="commutativity", look=OTHER),
        ),
        guide=0,
        limits=(-0.03, None),
    ),
)


def barriers_by_start(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ of pairs that share nothing, the order of the examples, or ever more of their training.

    Every pair is a point; the line joins means over pairs that share their start.
    """
    table = spawned_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, drawn = rows.rows([2.9] * len(recipes), len(_BARRIER_PANELS), narrow=narrow, legend_lines=2)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            of_recipe = table[table["recipe"] == recipe]
            for axis, panel in zip(axes, _BARRIER_PANELS, strict=True):
                _draw_starts(axis, panel, of_recipe)
            axes[0].set_title(_title(of_recipe))
            rows.legend(part, _handles(_BARRIER_PANELS), title=None, narrow=narrow)
    return figure


def mechanisms_table(records: Sequence[Record]) -> DataFrame:
    """What `mechanisms_by_start` draws, one row for each number: of what pair, what it shares, which quantity.

    ``layer`` and ``depth`` say where the decay exponent was measured; errors are of the logits, conditions are means.
    """
    layers = _with_words(layers_table(records))
    at = (layers["metric"] == "decay_exponent") & (layers["coefficient"] == 0.5) & layers["depth"].notna()
    place = [*_PAIR, "num_layers", "shared", "shared_fraction", "in_common"]
    names = [series.column for panel in _MECHANISM_PANELS for series in panel.series]
    others = spawned_table(records).melt(place, names, "quantity", "value")
    table = concat([layers[at].rename(columns={"metric": "quantity"}), others], ignore_index=True)
    return _ordered(table[[*place, "layer", "depth", "quantity", "value"]])


def mechanisms_by_start(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    r"""The mechanisms changing places: exponents $e_\ell$ of every layer, errors of both laws, and both conditions.

    On the left a line for each kind of pair, with what the two laws say. In the middle and on the right every pair is
    a point, and lines join means over pairs that share their start.
    """
    table, drawn_table = spawned_table(records), mechanisms_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        exponents = drawn_table[drawn_table["quantity"] == "decay_exponent"]
        heights = [2.5 + label_room(exponents[exponents["recipe"] == recipe], panels=3) for recipe in recipes]
        figure, drawn = rows.rows(heights, 3, narrow=narrow, legend_lines=5)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            of_recipe = table[table["recipe"] == recipe]
            looks = _draw_exponents(axes[0], exponents[exponents["recipe"] == recipe], narrow=narrow)
            for axis, panel in zip(axes[1:], _MECHANISM_PANELS, strict=True):
                _draw_starts(axis, panel, of_recipe)
            axes[0].set_title(_title(of_recipe))
            handles = [Line2D([], [], label=name_of(kind), **look) for kind, look in looks.items()]
            rows.legend(part, handles + _handles(_MECHANISM_PANELS), title=None, narrow=narrow)
    return figure


def _draw_exponents(axis: Axes, table: DataFrame, *, narrow: bool) -> dict[str, dict[str, Any]]:
    kinds = list(table["in_common"].unique())
    starts = [kind for kind in kinds if kind not in (NOTHING, ORDER)]
    colours = style.width_colours(range(len(starts)))
    looks: dict[str, dict[str, Any]] = {
        NOTHING: {"color": style.INK, "linestyle": "-", "marker": "o"},
        ORDER: {"color": style.CONTROL, "linestyle": "--", "marker": "s"},
        **{kind: {"color": colours[index], "linestyle": "-", "marker": "^"} for index, kind in enumerate(starts)},
    }
    looks = {kind: {**looks[kind], "linewidth": 1.4, "markersize": 3.6} for kind in kinds}
    for kind, look in looks.items():
        mean = table[table["in_common"] == kind].groupby("depth")["value"].mean()
        axis.plot(mean.index, mean, **look)
    last, has_batch_norm = int(table["depth"].max()), bool(table["num_layers"].isna().any())
    for depth in range(1, last + 1):
        # under recomputed batch norm orthogonal networks lose nothing but half of their logits
        orthogonal = (2 if depth == last else 1) if has_batch_norm else depth
        for value, line in ((orthogonal, "--"), (1, ":")):
            axis.plot([depth - 0.42, depth + 0.42], [value] * 2, color=style.INK, linestyle=line, linewidth=1, zorder=1)
    name_layers(axis, table, panels=1 if narrow else 3)
    axis.set_ylabel("decay exponent")
    axis.set_ylim(0, None)
    return looks


def _draw_starts(axis: Axes, panel: Panel, table: DataFrame) -> None:
    kinds = list(table["in_common"].unique())
    places = {kind: place for place, kind in enumerate(kinds)}
    for series in panel.series:
        look, chosen = look_of(series.look), table.dropna(subset=[series.column])
        at, values = chosen["in_common"].map(places), panel.factor * chosen[series.column]
        axis.plot(at, values, **{**look, "linestyle": "none", "markersize": 4, "alpha": 0.8}, zorder=3)
        mean = values.groupby(at).mean()
        starts = [places[kind] for kind in kinds if kind not in (NOTHING, ORDER) and places[kind] in mean.index]
        axis.plot(starts, mean[starts], **{**look, "marker": "none"}, zorder=2)
        for place in set(mean.index) - set(starts):  # nothing lies between these, so no line may join them
            axis.plot([place - 0.3, place + 0.3], [mean[place]] * 2, **{**look, "marker": "none"}, zorder=2)
    axis.set_ylabel(panel.label)
    if panel.logarithmic:
        scale_values(axis, concat([panel.factor * table[series.column] for series in panel.series]))
    if panel.guide is not None:
        axis.axhline(panel.guide, color=style.INK, linewidth=1, zorder=1)
    axis.set_ylim(*panel.limits)
    axis.set_xticks(range(len(kinds)), kinds, rotation=90)
    axis.set_xlim(-0.6, len(kinds) - 0.4)
    axis.set_xlabel("in common")


def barriers_by_start_alt(records: Sequence[Record]) -> str:
    """`barriers_by_start` for those who do not see it."""
    return (
        "Accuracy and loss barriers against what the two networks have in common. Points of accuracy lost at λ = ½: "
        f"{_in_words(records, ('midpoint_accuracy_barrier',), 100)}."
    )


def mechanisms_by_start_alt(records: Sequence[Record]) -> str:
    """`mechanisms_by_start` for those who do not see it."""
    return (
        "Decay exponents of every layer, errors of the two laws and both conditions against what the two networks have "
        "in common. Decay exponent of the logits, reciprocal orthogonality and commutativity: "
        f"{_in_words(records, ('decay_exponent', 'reciprocal_orthogonality', 'commutativity'), 1)}."
    )


def _in_words(records: Sequence[Record], columns: Sequence[str], factor: float) -> str:
    parts = []
    for _, chosen in groups(spawned_table(records), "recipe"):
        means = factor * chosen.groupby("in_common", sort=False)[list(columns)].mean()
        values = ", ".join(
            f"{' and '.join(f'{value:.3g}' for value in row)} ({name_of(kind)})"
            for kind, row in zip(means.index, means.to_numpy(), strict=True)
        )
        parts.append(f"{_title(chosen)}: {values}")
    return "; ".join(parts)


def name_of(kind: str) -> str:
    return {NOTHING: "nothing shared", ORDER: "order alone", "0 %": "initialisation"}.get(kind, f"first {kind}")


def _handles(panels: Sequence[Panel]) -> list[Line2D]:
    named = [series for panel in panels for series in panel.series if series.label]
    return [Line2D([], [], label=series.label, **look_of(series.look)) for series in named]


def _title(table: DataFrame) -> str:
    width = width_label(table["width_multiplier"].iloc[0])
    return f"{recipe_label(table['recipe'].iloc[0])}, {width}"
