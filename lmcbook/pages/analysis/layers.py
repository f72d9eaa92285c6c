"""Layer by layer: what was measured of pairs and of what they merge to, and how far each law is from it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pandas import DataFrame, Series, concat

from lmcbook.lab.records import Record, layers_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, as_they_are, paper_decay, widest

LEWC, LLFC, BATCH_NORM = "LEWC", "LLFC", "recomputed batch norm"
Number = TypeVar("Number", Series, float)
_OF_LAWS = ("lewc_error", "llfc_error", "decay_exponent", "output_norm")


def by_layer(metric: str, coefficient: float | None = None) -> Callable[[Sequence[Record]], DataFrame]:
    """The table of one ``metric`` of `lmcbook.lab.records.layers_table`, as a function of records.

    It has one row for each unpermuted pair and each layer, shortcuts aside, with the metric as the last column.
    ``coefficient`` is λ of the merged model; without it the two endpoints were measured.
    """

    def table(records: Sequence[Record]) -> DataFrame:
        of_layers = _layers(records)
        at = of_layers["coefficient"].isna() if coefficient is None else of_layers["coefficient"] == coefficient
        chosen = of_layers[(of_layers["metric"] == metric) & at].astype({"depth": int})
        columns = [*PAIR, "num_layers", "lewc_exponent", "batch_norm", "layer", "depth", "value"]
        return chosen[columns].rename(columns={"value": metric}).reset_index(drop=True)

    return table


lewc_cosine_table = by_layer("lewc_cosine", 0.5)
decay_exponent_table = by_layer("decay_exponent", 0.5)
weak_additivity_table = by_layer("weak_additivity")
opposite_signs_table = by_layer("opposite_signs")
reciprocal_orthogonality_table = by_layer("reciprocal_orthogonality")
commutativity_table = by_layer("commutativity")


def law_errors_table(records: Sequence[Record]) -> DataFrame:
    """The distance of each layer from what each law predicts, relative to the layer itself: one denominator for all.

    At the widest, with the paper's weight decay or the largest, of unpermuted pairs. Records have each law's
    error relative to its own prediction, and LLFC predicts $2^{\\ell-1}$ times more than LEWC. At λ = ½ the decay
    exponent gives the lengths of both predictions exactly. Elsewhere it does so for two networks whose layers are of
    one length, which records do not hold. The third law is that of recomputed batch norm: LLFC's in hidden
    layers, and at λ = ½ the logits $\\frac14(f^a + f^b)$, for which alone it has rows.
    """
    table = _layers(records)
    table = table[table["metric"].isin(_OF_LAWS) & table["coefficient"].notna()]
    parts = []
    for _, of_recipe in table.groupby("recipe", sort=False):
        chosen = widest(paper_decay(of_recipe))
        place = [*PAIR, "lewc_exponent", "batch_norm", "layer", "depth", "coefficient"]
        wide = chosen.pivot_table(index=place, columns="metric", values="value", dropna=False).reset_index()
        wide = in_units_of_the_layer(wide.dropna(subset=["llfc_error"]))
        wide[BATCH_NORM] = wide[BATCH_NORM].where(wide["batch_norm"] & (wide["depth"] == wide["depth"].max()))
        laws = [LEWC, LLFC, BATCH_NORM]
        parts.append(wide.melt([*PAIR, "layer", "depth", "coefficient"], laws, "law", "error").dropna())
    columns = [*PAIR, "layer", "depth", "coefficient", "law", "error"]
    return concat(parts, ignore_index=True).astype({"depth": int}) if parts else DataFrame(columns=columns)


def in_units_of_the_layer(table: DataFrame) -> DataFrame:
    """The columns ``LEWC``, ``LLFC`` and ``recomputed batch norm``: distances from predictions, over the layer's norm.

    A row of ``table`` is a layer of a pair at one λ, with ``lewc_error``, ``llfc_error``, ``output_norm`` and, at
    λ = ½, ``decay_exponent``. See `law_errors_table`.
    """
    place = [*PAIR, "lewc_exponent", "layer", "depth"]
    middle = table[table["coefficient"] == 0.5].set_index(place)
    # in units of the two models' root mean square norm: ‖fᵃ + fᵇ‖² = 2 + 2 ⟨fᵃ, fᵇ⟩ if both have one length
    both = (middle["output_norm"] * 2 ** middle["decay_exponent"]).rename("both")
    joined = table.join(both, on=place)
    share, depth, product = joined["coefficient"], joined["depth"], joined["both"] ** 2 / 2 - 1

    def relative(weight_a: Series, weight_b: Series) -> Series:
        of_middle = weight_a * joined["both"]
        elsewhere = (weight_a**2 + weight_b**2 + 2 * weight_a * weight_b * product).clip(lower=0) ** 0.5
        return of_middle.where(share == 0.5, elsewhere) / joined["output_norm"]

    lewc = joined["lewc_error"] * relative(share**depth, (1 - share) ** depth)
    llfc = joined["llfc_error"] * relative(share, 1 - share)
    halved = error_at_half_size(llfc, joined["decay_exponent"])
    return table.assign(**{LEWC: lewc, LLFC: llfc, BATCH_NORM: halved.where(share == 0.5)})


def relative_to_the_layer(error: Number, exponent: Number, law: Number | float) -> Number:
    """An ``error`` at λ = ½ relative to a prediction of the exponent ``law``, in units of the layer itself."""
    return error * 2 ** (exponent - law)


def alike_error(table: DataFrame) -> Series:
    """The distance from LLFC's prediction at λ = ½, in units of the layer, from ``llfc_error``, ``decay_exponent``."""
    return relative_to_the_layer(table["llfc_error"].astype(float), table["decay_exponent"].astype(float), 1)


def error_at_half_size(llfc_error: Series, exponent: Series) -> Series:
    """The distance from a prediction half of LLFC's, at λ = ½, from LLFC's; both in units of the layer."""
    # with LLFC's prediction of length p in units of the layer, its distance d has d² = p² + 1 − 2pc: it gives pc
    prediction = 2 ** (exponent - 1)
    along = (prediction**2 + 1 - llfc_error**2) / 2
    return ((prediction / 2) ** 2 + 1 - along).clip(lower=0) ** 0.5


def _layers(records: Sequence[Record]) -> DataFrame:
    """`layers_table` of unpermuted pairs, shortcuts aside."""
    table = Measurements.of(records).table(layers_table)
    return as_they_are(table[table["depth"].notna()])
