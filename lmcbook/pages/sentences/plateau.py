"""Where reciprocal orthogonality stops falling with width; numbers are computed."""

from collections.abc import Sequence

from numpy import log

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import pair_count, recipe_label, signed, width_label
from lmcbook.pages.analysis.layers import reciprocal_orthogonality_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import groups, has_batch_norm, paper_decay


def plateau_finding(records: Sequence[Record]) -> list[str]:
    """Reciprocal orthogonality of each layer at the two widest, and as which power of the width it falls there.

    A sentence for each network without batch norm, at the paper's weight decay.
    """
    sentences = []
    table = paper_decay(Measurements.of(records).table(reciprocal_orthogonality_table))
    for (recipe,), chosen in groups(table[~has_batch_norm(table)], "recipe"):
        means = chosen.groupby(["width_multiplier", "depth"])["reciprocal_orthogonality"].mean().unstack("depth")
        if len(means) < 2:
            continue
        narrow, wide = means.index[-2:]
        before, after = means.loc[narrow], means.loc[wide]
        powers = log(after / before) / log(wide / narrow)
        counts = chosen[chosen["width_multiplier"] >= narrow].groupby(["width_multiplier", "depth"]).size()
        said = "; ".join(
            f"layer {depth} {first:.2f} → {second:.2f}, power {signed(power, 2)}"
            for depth, first, second, power in zip(means.columns, before, after, powers, strict=True)
        )
        sentences.append(
            f"{recipe_label(recipe)}, {width_label(narrow)} → {width_label(wide)}: {said} ({pair_count(*counts)} each)."
        )
    return sentences
