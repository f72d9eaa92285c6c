"""Layer by layer, coloured by width: what merged networks compute (Fig. 3), what holds of pairs (Fig. 4, 8, 10)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis import layers
from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.kit import network_rows
from lmcbook.theory.gaussian import INDEPENDENT_COSINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """A line to read a figure against: what a law says of each layer."""

    label: str
    value: Callable[[int, int], float]
    """(ℓ, L) → the value."""
    line: str
    """The line style."""
    networks: tuple[bool, ...] = (False, True)
    """Drawn for networks with batch norm (``True``), without (``False``) or both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What one figure shows of every layer."""

    metric: str
    label: str
    title: str
    """What it is, as the beginning of a sentence."""
    guides: tuple[Guide, ...] = ()
    limits: tuple[float | None, float | None] = (None, None)

    def alt(self, table: DataFrame) -> str:
        """The figure for those who do not see it."""
        parts = []
        for (recipe, decay), chosen in groups(table, "recipe", "weight_decay"):
            last = chosen[chosen["depth"] == chosen["depth"].max()]
            name = f"{recipe_label(recipe)} with weight decay {decay_label(decay)}"
            parts.append(f"{name}, {last['layer'].iloc[0]}: {ends_in_words(last, self.metric)}")
        return f"{self.title}, layer by layer, one line for each width. In the last layer shown, {'; '.join(parts)}."

    def draw(self, table: DataFrame, *, narrow: bool = False) -> Figure:
        """A row of panels for each network, a panel for each weight decay; every pair a point, a line for the mean."""
        decays = sorted(table["weight_decay"].unique(), reverse=True)

        def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
            colours = style.width_colours(of_recipe["width_multiplier"])
            guides = self._guides_of(of_recipe)
            for index, (axis, decay) in enumerate(zip(axes, decays, strict=True)):
                axis.sharey(axes[0])
                _draw_widths(axis, of_recipe[of_recipe["weight_decay"] == decay], self.metric, colours)
                _draw_guides(axis, of_recipe, guides)
                name_layers(axis, of_recipe)
                name = recipe_label(of_recipe["recipe"].iloc[0])
                axis.set_title(f"{name},\nweight decay {decay_label(decay)}")
                if index == 0 or narrow:
                    axis.set_ylabel(self.label)
            axes[0].margins(y=0.08)
            axes[0].set_ylim(*self.limits)
            return [*layer_handles(colours), *(_guide_handle(guide) for guide in guides)]

        def height(of_recipe: DataFrame) -> float:
            return 2.35 + label_room(of_recipe)

        return network_rows(table, len(decays), draw, height=height, narrow=narrow, legend_lines=4, title="width")

    def _guides_of(self, table: DataFrame) -> list[Guide]:
        return [guide for guide in self.guides if bool(table["batch_norm"].any()) in guide.networks]


def _draw_widths(axis: Axes, table: DataFrame, column: str, colours: dict[float, str]) -> None:
    for index, (width, colour) in enumerate(colours.items()):
        chosen = table[table["width_multiplier"] == width].dropna(subset=[column])
        if chosen.empty:
            continue
        # beside each other, or the points of one width would cover those of the next
        shift = 0.3 * (index - (len(colours) - 1) / 2) / max(len(colours) - 1, 1)
        axis.plot(
            chosen["depth"] + shift, chosen[column], "o", color=colour, markersize=2.6, alpha=0.6, mew=0, zorder=2
        )
        mean = chosen.groupby("depth")[column].mean()
        axis.plot(mean.index + shift, mean, color=colour, zorder=3 + index, **_marker(index))


def _draw_guides(axis: Axes, table: DataFrame, guides: Iterable[Guide]) -> None:
    depths = sorted(table["depth"].unique())
    for guide in guides:
        # a step for each layer: between layers a law says nothing
        for depth in depths:
            value = guide.value(depth, depths[-1])
            axis.plot([depth - 0.42, depth + 0.42], [value, value], **_guide_look(guide), zorder=1.5)


def _guide_look(guide: Guide) -> dict[str, Any]:
    return {"color": style.INK, "linestyle": guide.line, "linewidth": 1.1}


def _guide_handle(guide: Guide) -> Line2D:
    return Line2D([], [], label=guide.label, **_guide_look(guide))


def layer_handles(colours: dict[float, str]) -> list[Line2D]:
    """What a legend shows for each width, widest first."""
    return [
        Line2D([], [], color=colour, label=width_label(width), **_marker(index))
        for index, (width, colour) in enumerate(colours.items())
    ][::-1]


def _marker(index: int) -> dict[str, Any]:
    marker = style.MARKERS[index % len(style.MARKERS)]
    return {
        "marker": marker,
        "markersize": 4.5,
        "markeredgecolor": style.GROUND,
        "markeredgewidth": 0.5,
        "linewidth": 1.6,
    }


def name_layers(axis: Axes, table: DataFrame, *, panels: int = 2) -> None:
    """The layers of ``table`` by their names, upright where they have no room to lie; ``panels`` stand side by side.

    Where not even that leaves room, only every other layer gets its name, the last in any case.
    """
    names = table.drop_duplicates("depth").sort_values("depth")
    many = len(names) > 12
    named = names.iloc[:: -2 if many and panels > 2 else -1].sort_values("depth")
    axis.set_xticks(list(named["depth"]), list(named["layer"]), rotation=90 if _upright(names["layer"], panels) else 0)
    axis.set_xlim(names["depth"].min() - 0.5, names["depth"].max() + 0.5)
    axis.grid(visible=False, axis="x")
    axis.set_xlabel("layer")
    if many:
        axis.tick_params(axis="x", labelsize=6.5)


def label_room(table: DataFrame, *, panels: int = 2) -> float:
    """Inches that the names of the layers take beyond those of numbers."""
    names = table["layer"].unique()
    return 0.25 + 0.055 * max(map(len, names)) if _upright(names, panels) else 0.2


def _upright(names: Iterable[str], panels: int) -> bool:
    return len(list(names)) > (4 if panels <= 2 else 2)


LEWC_COSINE = Quantity(
    metric="lewc_cosine",
    label="cosine",
    title="Cosine of the merged network's layers with the mean of the two networks' layers at λ = ½",
    limits=(None, 1.02),
)

DECAY_EXPONENT = Quantity(
    metric="decay_exponent",
    label="decay exponent",
    title="Decay exponent of the merged network's layers at λ = ½",
    guides=(
        Guide(label="LEWC: ℓ", value=lambda depth, _: depth, line="--", networks=(False,)),
        Guide(
            label="batch norm:\n1, logits 2",
            value=lambda depth, last: 2 if depth == last else 1,
            line="--",
            networks=(True,),
        ),
        Guide(label="LLFC: 1", value=lambda depth, _: 1, line=":"),
    ),
    limits=(0, None),
)
"""What tells LEWC and LLFC apart: their directions at λ = ½ are the same."""

WEAK_ADDITIVITY = Quantity(
    metric="weak_additivity",
    label="cosine",
    title="Cosine of the two sides of weak additivity at λ = ½",
    guides=(Guide(label="independent\nGaussians", value=lambda *_: INDEPENDENT_COSINE, line="--"),),
    limits=(None, 1.01),
)

OPPOSITE_SIGNS = Quantity(
    metric="opposite_signs",
    label="share of opposite signs",
    title="Share of pre-activations that have opposite signs in the two networks",
    guides=(Guide(label="independent\nsigns", value=lambda *_: 0.5, line="--"),),
    limits=(0, None),
)

RECIPROCAL_ORTHOGONALITY = Quantity(
    metric="reciprocal_orthogonality",
    label="ratio of norms",
    title="Reciprocal orthogonality, ‖W^b z^a‖ / ‖W^a z^a‖ and its mirror, 0 where it holds",
    guides=(Guide(label="as strong as\nits own", value=lambda *_: 1.0, line=":"),),
    limits=(0, None),
)

COMMUTATIVITY = Quantity(
    metric="commutativity",
    label="ratio of norms",
    title="Commutativity, ‖(W^a − W^b)(z^a − z^b)‖ / ‖W^a z^a + W^b z^b‖, 0 where it holds",
    guides=(Guide(label="exactly\northogonal", value=lambda *_: 1.0, line="--"),),
    limits=(0, None),
)


def lewc_cosine_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Cosine of the merged network's layers with the mean of the two networks' layers, λ = ½: the paper's Fig. 3."""
    return LEWC_COSINE.draw(table, narrow=narrow)


def decay_exponent_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    r"""The exponents $e_\ell$ with which layers of the merged network fade, against what the two laws say."""
    return DECAY_EXPONENT.draw(table, narrow=narrow)


def weak_additivity_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Cosine of the two sides of Definition 5.1 at λ = ½, with the limit of Theorem 5.4: the paper's Fig. 4."""
    return WEAK_ADDITIVITY.draw(table, narrow=narrow)


def opposite_signs_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """The share of pre-activations with opposite signs in the two networks, where weak additivity fails."""
    return OPPOSITE_SIGNS.draw(table, narrow=narrow)


def reciprocal_orthogonality_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Definition 5.2 as a ratio of norms, both directions, layers 2…L: the paper's Fig. 8."""
    return RECIPROCAL_ORTHOGONALITY.draw(table, narrow=narrow)


def commutativity_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Definition C.1 as a ratio of norms, layers 2…L: the paper's Fig. 10."""
    return COMMUTATIVITY.draw(table, narrow=narrow)


QUANTITIES: dict[Callable[..., Figure], tuple[Callable[[Sequence[Record]], DataFrame], Quantity]] = {
    lewc_cosine_by_layer: (layers.lewc_cosine_table, LEWC_COSINE),
    decay_exponent_by_layer: (layers.decay_exponent_table, DECAY_EXPONENT),
    weak_additivity_by_layer: (layers.weak_additivity_table, WEAK_ADDITIVITY),
    opposite_signs_by_layer: (layers.opposite_signs_table, OPPOSITE_SIGNS),
    reciprocal_orthogonality_by_layer: (layers.reciprocal_orthogonality_table, RECIPROCAL_ORTHOGONALITY),
    commutativity_by_layer: (layers.commutativity_table, COMMUTATIVITY),
}
"""Figure → its table, and what it shows of every layer."""
