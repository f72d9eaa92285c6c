"""What a search for a permutation costs beside the training of the networks, and how that grows with width."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import ends_in_words, recipe_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.against_width import Line, draw_lines, handles_of

WEIGHTS, ACTIVATIONS, TRAINING = "matching by weights", "matching by activations", "training one network"
_KINDS = {"weight_matching": WEIGHTS, "activation_matching": ACTIVATIONS}
_LOOKS: dict[str, dict[str, Any]] = {
    WEIGHTS: {"colour": style.STRONG, "marker": "o"},
    ACTIVATIONS: {"colour": style.WEAK, "marker": "s"},
    TRAINING: {"colour": style.CONTROL, "marker": "D", "hollow": True},
}
_COLUMNS = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b", "what", "seconds"]


def cost_table(records: Sequence[Record]) -> DataFrame:
    """What `cost_against_width` draws: CPU seconds of each search, and wall-clock seconds of one training beside it.

    Records that do not say how long the search took, those of the first release, are left out.
    """
    rows = []
    for record in records:
        searching = record.provenance.get("alignment_cpu_seconds")
        if record.measurement != "interpolation" or record.config.alignment not in _KINDS or searching is None:
            continue
        training = record.config.training
        place = {
            "recipe": record.recipe,
            "width_multiplier": training.width_multiplier,
            "weight_decay": training.weight_decay,
            "seed_a": record.config.seeds[0],
            "seed_b": record.config.seeds[1],
        }
        rows.append(place | {"what": _KINDS[record.config.alignment], "seconds": searching})
        if record.config.alignment == "weight_matching":
            trained = [each["seconds"] for each in record.provenance["training"]]
            rows.append(place | {"what": TRAINING, "seconds": sum(trained) / len(trained)})
    return DataFrame(rows, columns=_COLUMNS)


def cost_against_width(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Seconds of the searches and of one training against the width multiplier, both axes logarithmic."""
    table = cost_table(records)
    recipes = list(table["recipe"].unique())
    lines = [
        Line(label=what, where={"what": what}, column="seconds", **look)
        for what, look in _LOOKS.items()
        if what in set(table["what"])
    ]
    with style.applied():
        columns = min(len(recipes), 3)
        figure, axes = style.panels(-(-len(recipes) // columns), columns, height=2.8, narrow=narrow)
        for index, (axis, recipe) in enumerate(zip(axes, recipes, strict=False)):
            draw_lines(axis, table[table["recipe"] == recipe], lines)
            axis.set_yscale("log")
            axis.set_title(recipe_label(recipe))
            axis.set_xlabel("width multiplier")
            if narrow or index % columns == 0:
                axis.set_ylabel("seconds")
        for unused in axes[len(recipes) :]:
            unused.remove()
        figure.legend(handles=handles_of(lines), loc="outside lower center", ncols=1 if narrow else 3)
    return figure


def cost_alt(records: Sequence[Record]) -> str:
    """`cost_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} {what}: {ends_in_words(chosen, 'seconds')}"
        for (recipe, what), chosen in groups(cost_table(records), "recipe", "what")
    ]
    return f"Seconds against width. {'; '.join(parts)}."


def read_search_costs(file: Path) -> tuple[DataFrame, dict[str, Any]]:
    """The rows and the provenance that ``benchmarks/matching_cost.py`` wrote.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return DataFrame(content["rows"]), content["provenance"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"file is {str(file)!r}; it must be what benchmarks/matching_cost.py writes ({error}): run that again"
        ) from error


def search_cost_against_units(table: DataFrame, *, narrow: bool = False) -> Figure:
    """CPU seconds and peak memory of weight matching against the number of units, both axes logarithmic."""
    quantities = {"cpu_seconds": ("CPU seconds, one thread", 1.0), "peak_memory_bytes": ("peak memory (GiB)", 2**-30)}
    looks = {"fast": (style.STRONG, "o", "-"), "best": (style.WEAK, "s", "--")}
    with style.applied():
        figure, axes = style.panels(1, 2, height=2.9, narrow=narrow, share_y="none")
        for axis, (column, (label, factor)) in zip(axes, quantities.items(), strict=True):
            for starts, (colour, marker, line) in looks.items():
                chosen = table[table["starts"] == starts].sort_values("units")
                look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line, "mec": style.GROUND}
                axis.plot(chosen["units"], factor * chosen[column], label=f'starts="{starts}"', markersize=5, **look)
            units = sorted(table["units"].unique())
            axis.set_xscale("log", base=2)
            axis.set_xticks(units, [f"{each:g}" for each in units])
            axis.minorticks_off()
            axis.set_yscale("log")
            axis.set_xlabel("units of a hidden layer")
            axis.set_ylabel(label)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
