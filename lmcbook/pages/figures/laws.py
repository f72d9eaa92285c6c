"""How far the layers of merged networks are from what each law says of them."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series, concat

from lmcbook.lab.records import Record, layers_table
from lmcbook.pages.analysis.labels import recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import PAPER_DECAY, groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.layers import label_room, name_layers

LEWC, LLFC, BATCH_NORM = "LEWC", "LLFC", "recomputed batch norm"
_LAWS: dict[str, dict[str, Any]] = {
    LEWC: {"color": style.STRONG, "marker": "o", "linestyle": "-"},
    LLFC: {"color": style.WEAK, "marker": "s", "linestyle": "--"},
    BATCH_NORM: {"color": style.CONTROL, "marker": "D", "linestyle": ":"},
}
_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]
_FRACTIONS = {0.25: "¼", 0.5: "½", 0.75: "¾"}


def law_errors_table(records: Sequence[Record]) -> DataFrame:
    """What `law_errors_by_layer` draws: the distance of each layer from each law, relative to what the law predicts.

    At the widest, with the paper's weight decay or the largest, of pairs merged as they are. The third law is that of
    recomputed batch norm: LLFC's in hidden layers, and at λ = ½ the logits $\\frac14(f_a + f_b)$, for which alone
    it has rows. Their error follows from LLFC's and from the decay exponent.
    """
    table = layers_table(records)
    table = table[(table["alignment"] == "identity") & table["depth"].notna() & table["coefficient"].notna()]
    table = table[table["metric"].isin(["lewc_error", "llfc_error", "decay_exponent"])]
    parts = []
    for _, of_recipe in table.groupby("recipe", sort=False):
        decays = of_recipe["weight_decay"].unique()
        chosen = of_recipe[of_recipe["weight_decay"] == (PAPER_DECAY if PAPER_DECAY in decays else max(decays))]
        chosen = chosen[chosen["width_multiplier"] == chosen["width_multiplier"].max()]
        place = [*_PAIR, "num_layers", "layer", "depth", "coefficient"]
        wide = chosen.pivot_table(index=place, columns="metric", values="value", dropna=False).reset_index()
        wide = wide.dropna(subset=["llfc_error"]).rename(columns={"lewc_error": LEWC, "llfc_error": LLFC})
        if wide["num_layers"].isna().any():
            halved = error_at_half_size(wide[LLFC], wide["decay_exponent"])
            wide[BATCH_NORM] = halved.where(wide["depth"] == wide["depth"].max())
        laws = [law for law in _LAWS if law in wide]
        parts.append(wide.melt([*_PAIR, "layer", "depth", "coefficient"], laws, "law", "error").dropna())
    columns = [*_PAIR, "layer", "depth", "coefficient", "law", "error"]
    return concat(parts, ignore_index=True).astype({"depth": int}) if parts else DataFrame(columns=columns)


def error_at_half_size(llfc_error: Series, exponent: Series) -> Series:
    """The error against a prediction half of LLFC's, at λ = ½, from LLFC's error and the decay exponent there."""
    # with the merged layer's norm r relative to LLFC's prediction, LLFC's error is r² + 1 − 2rc: it gives the cosine c
    ratio = 2 ** (1 - exponent)
    cosine = (ratio**2 + 1 - llfc_error**2) / (2 * ratio)
    return ((2 * ratio) ** 2 + 1 - 4 * ratio * cosine).clip(lower=0) ** 0.5


def law_errors_by_layer(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """How far each layer of the widest merged networks is from what each law says, at λ = ¼, ½ and ¾."""
    table = law_errors_table(records)
    recipes = list(table["recipe"].unique())
    coefficients = sorted(table["coefficient"].unique())
    with style.applied():
        heights = [2.2 + label_room(table[table["recipe"] == recipe], panels=len(coefficients)) for recipe in recipes]
        figure, drawn = rows.rows(heights, len(coefficients), narrow=narrow, legend_lines=2)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            of_recipe = table[table["recipe"] == recipe]
            laws = [law for law in _LAWS if law in set(of_recipe["law"])]
            for index, (axis, coefficient) in enumerate(zip(axes, coefficients, strict=True)):
                axis.sharey(axes[0])
                for law in laws:
                    chosen = of_recipe[(of_recipe["law"] == law) & (of_recipe["coefficient"] == coefficient)]
                    look = {**_LAWS[law], "markeredgecolor": style.GROUND, "mew": 0.5}
                    axis.plot(chosen["depth"], chosen["error"], **{**look, "linestyle": "none", "markersize": 4})
                    mean = chosen.groupby("depth")["error"].mean()
                    axis.plot(mean.index, mean, **{**look, "marker": "none", "linewidth": 1.6})
                name_layers(axis, of_recipe, panels=1 if narrow else len(coefficients))
                width = width_label(of_recipe["width_multiplier"].iloc[0])
                name = f"{recipe_label(recipe)}, {width}\n" if index == 0 or narrow else "\n"
                axis.set_title(f"{name}λ = {_FRACTIONS.get(coefficient, f'{coefficient:g}')}")
                if index == 0 or narrow:
                    axis.set_ylabel("relative error")
            # under batch norm LEWC's error grows like 2^ℓ and would leave nothing to see of the others
            axes[0].set_ylim(0, 1.6 if BATCH_NORM in laws else None)
            rows.legend(part, _law_handles(laws), title=None, narrow=narrow)
    return figure


def _law_handles(laws: Sequence[str]) -> list[Line2D]:
    return [
        Line2D([], [], label=law.replace(" ", "\n", 1), markeredgecolor=style.GROUND, mew=0.5, **_LAWS[law])
        for law in laws
    ]


def law_errors_alt(records: Sequence[Record]) -> str:
    """`law_errors_by_layer` for those who do not see it."""
    parts = []
    for (recipe, width), chosen in groups(law_errors_table(records), "recipe", "width_multiplier"):
        last = chosen[(chosen["depth"] == chosen["depth"].max()) & (chosen["coefficient"] == 0.5)]
        values = ", ".join(f"{law} {mean:.3g}" for law, mean in last.groupby("law", sort=False)["error"].mean().items())
        parts.append(f"{recipe_label(recipe)} {width_label(width)}: {values}")
    return f"Relative errors of the laws, layer by layer. Of the logits at λ = ½, {'; '.join(parts)}."
