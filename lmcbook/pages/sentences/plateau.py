"""Where reciprocal orthogonality stops falling with width; numbers are computed."""

from collections.abc import Sequence

from numpy import log

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import pair_count, recipe_label, signed, width_label
from lmcbook.pages.analysis.layers import reciprocal_orthogonality_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.told import Told
from lmcbook.pages.analysis.vocabulary import groups, paper_decay

FLAT = 0.1
"""A layer whose power of the width is smaller than this hardly moves; cross-talk at random places has −½."""


def plateau_finding(records: Sequence[Record]) -> list[str]:
    """Reciprocal orthogonality of each layer at the two widest, and as which power of the width it falls there.

    A sentence for each network without batch norm, at the paper's weight decay.
    """
    sentences: list[str] = []
    table = paper_decay(Measurements.of(records).table(reciprocal_orthogonality_table))
    for (recipe,), chosen in groups(table[~table["batch_norm"]], "recipe"):
        means = chosen.groupby(["width_multiplier", "depth"])["reciprocal_orthogonality"].mean().unstack("depth")
        if len(means) < 2:
            continue
        narrow, wide = means.index[-2:]
        before, after = means.loc[narrow], means.loc[wide]
        powers = log(after / before) / log(wide / narrow)
        counts = chosen[chosen["width_multiplier"] >= narrow].groupby(["width_multiplier", "depth"]).size()
        rows = [
            {
                "network": recipe_label(recipe),
                "layer": f"{depth}",
                f"at {width_label(narrow)}": f"{first:.2f}",
                f"at {width_label(wide)}": f"{second:.2f}",
                "power of the width": signed(power, 2),
            }
            for depth, first, second, power in zip(means.columns, before, after, powers, strict=True)
        ]
        flat = [f"{depth}" for depth, power in zip(means.columns, powers, strict=True) if abs(power) < FLAT]
        still = f"layers that hardly move: {', '.join(flat)}" if flat else "every layer still moves"
        ends = f"from {width_label(narrow)} to {width_label(wide)}"
        sentences.append(Told(f"{recipe_label(recipe)}, {ends}, {still} ({pair_count(*counts)} each).", rows))
    return sentences
