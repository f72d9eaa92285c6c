"""Layer by layer: what was measured of pairs and of what they merge to, and how far each law is from it."""

from collections.abc import Callable, Sequence

from pandas import DataFrame, Series, concat

from lmcbook.lab.records import Record, layers_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, as_they_are, paper_decay, widest

LEWC, LLFC, BATCH_NORM = "LEWC", "LLFC", "recomputed batch norm"


def by_layer(metric: str, coefficient: float | None = None) -> Callable[[Sequence[Record]], DataFrame]:
    """The table of one ``metric`` of `lmcbook.lab.records.layers_table`, as a function of records.

    It has one row for each pair merged as it is and each layer, shortcuts aside, with the metric as the last column.
    ``coefficient`` is λ of the merged model; without it the two endpoints were measured.
    """

    def table(records: Sequence[Record]) -> DataFrame:
        of_layers = _layers(records)
        at = of_layers["coefficient"].isna() if coefficient is None else of_layers["coefficient"] == coefficient
        chosen = of_layers[(of_layers["metric"] == metric) & at].astype({"depth": int})
        columns = [*PAIR, "num_layers", "lewc_exponent", "layer", "depth", "value"]
        return chosen[columns].rename(columns={"value": metric}).reset_index(drop=True)

    return table


lewc_cosine_table = by_layer("lewc_cosine", 0.5)
decay_exponent_table = by_layer("decay_exponent", 0.5)
weak_additivity_table = by_layer("weak_additivity")
opposite_signs_table = by_layer("opposite_signs")
reciprocal_orthogonality_table = by_layer("reciprocal_orthogonality")
commutativity_table = by_layer("commutativity")


def law_errors_table(records: Sequence[Record]) -> DataFrame:
    """The distance of each layer from each law, relative to what the law predicts.

    At the widest, with the paper's weight decay or the largest, of pairs merged as they are. The third law is that of
    recomputed batch norm: LLFC's in hidden layers, and at λ = ½ the logits $\\frac14(f_a + f_b)$, for which alone
    it has rows. Their error follows from LLFC's and from the decay exponent.
    """
    table = _layers(records)
    table = table[table["metric"].isin(["lewc_error", "llfc_error", "decay_exponent"]) & table["coefficient"].notna()]
    parts = []
    for _, of_recipe in table.groupby("recipe", sort=False):
        chosen = widest(paper_decay(of_recipe))
        place = [*PAIR, "lewc_exponent", "layer", "depth", "coefficient"]
        wide = chosen.pivot_table(index=place, columns="metric", values="value", dropna=False).reset_index()
        wide = wide.dropna(subset=["llfc_error"]).rename(columns={"lewc_error": LEWC, "llfc_error": LLFC})
        if has_batch_norm(wide):
            halved = error_at_half_size(wide[LLFC], wide["decay_exponent"])
            wide[BATCH_NORM] = halved.where(wide["depth"] == wide["depth"].max())
        laws = [law for law in (LEWC, LLFC, BATCH_NORM) if law in wide]
        parts.append(wide.melt([*PAIR, "layer", "depth", "coefficient"], laws, "law", "error").dropna())
    columns = [*PAIR, "layer", "depth", "coefficient", "law", "error"]
    return concat(parts, ignore_index=True).astype({"depth": int}) if parts else DataFrame(columns=columns)


def has_batch_norm(table: DataFrame) -> bool:
    """Whether the networks of a table of layers have batch norm: LEWC's exponent is 2 then, and not their depth."""
    return bool((table["lewc_exponent"] < table["depth"].max()).any())


def error_at_half_size(llfc_error: Series, exponent: Series) -> Series:
    """The error against a prediction half of LLFC's, at λ = ½, from LLFC's error and the decay exponent there."""
    # with the merged layer's norm r relative to LLFC's prediction, LLFC's error is r² + 1 − 2rc: it gives the cosine c
    ratio = 2 ** (1 - exponent)
    cosine = (ratio**2 + 1 - llfc_error**2) / (2 * ratio)
    return ((2 * ratio) ** 2 + 1 - 4 * ratio * cosine).clip(lower=0) ** 0.5


def _layers(records: Sequence[Record]) -> DataFrame:
    """`layers_table` of pairs merged as they are, shortcuts aside."""
    table = Measurements.of(records).table(layers_table)
    return as_they_are(table[table["depth"].notna()])
