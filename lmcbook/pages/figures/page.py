"""Puts a figure on a page: as SVG inside the page, with its finding, its data and where they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.lab.records import Record
from lmcbook.pages.analysis import barriers as of_barriers
from lmcbook.pages.analysis import calibrating as of_calibration
from lmcbook.pages.analysis import common_mode_controls as of_controls
from lmcbook.pages.analysis import curves as of_curves
from lmcbook.pages.analysis import floors as of_floors
from lmcbook.pages.analysis import layers as of_layers
from lmcbook.pages.analysis import lines as of_lines
from lmcbook.pages.analysis import one_network as told
from lmcbook.pages.analysis import parts as of_parts
from lmcbook.pages.analysis import permutations as matched
from lmcbook.pages.analysis import repairs as of_repairs
from lmcbook.pages.analysis import starts
from lmcbook.pages.analysis import sweeps as varied
from lmcbook.pages.analysis import temperatures as of_temperatures
from lmcbook.pages.analysis import units as of_units
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.claims.chain import chain_table
from lmcbook.pages.figures import (
    additivity,
    barriers,
    batch_size,
    calibrating,
    chain,
    common_mode_controls,
    costs,
    curves,
    laws,
    layers,
    lines,
    low_rank,
    one_network,
    parts,
    permutations,
    predictions,
    repairs,
    spawned,
    temperatures,
    units,
    weight_decay,
)
from lmcbook.pages.figures.markup import figure_html, file_name
from lmcbook.pages.origin import origin, origin_html

Draw = Callable[..., Figure]


@dataclass(frozen=True, slots=True)
class Companions:
    """What every figure has beside its drawing."""

    table: Callable[[Measurements], Any]
    """What it draws, of records: a table, or several."""
    alt: Callable[[Any], str]
    """What it shows, for those who do not see it."""
    data: Callable[[Any], DataFrame] = lambda table: table
    """What readers can take away as CSV."""


FIGURES: dict[Draw, Companions] = {
    curves.accuracy_against_coefficient: Companions(of_curves.accuracy_table, curves.accuracy_alt),
    curves.loss_against_coefficient: Companions(of_curves.loss_table, curves.loss_alt),
    curves.inverse_temperature_against_coefficient: Companions(
        of_curves.inverse_temperature_table, curves.inverse_temperature_alt
    ),
    barriers.barrier_against_width: Companions(of_barriers.barrier_table, barriers.barrier_alt),
    barriers.floor_against_width: Companions(of_floors.floor_fits, barriers.floor_alt, of_floors.floor_table),
    **{draw: Companions(table, quantity.alt) for draw, (table, quantity) in layers.QUANTITIES.items()},
    laws.law_errors_by_layer: Companions(of_layers.law_errors_table, laws.law_errors_alt),
    predictions.temperature_against_width: Companions(
        of_temperatures.temperature_width_table, predictions.temperature_width_alt
    ),
    predictions.temperature_against_depth: Companions(
        of_curves.temperature_depth_table, predictions.temperature_depth_alt
    ),
    predictions.temperature_error_against_orthogonality: Companions(
        of_temperatures.temperature_error_table, predictions.temperature_error_alt
    ),
    units.histograms_by_layer: Companions(of_units.histogram_table, units.histogram_alt),
    units.units_of_both_models: Companions(of_units.both_models_table, units.both_models_alt),
    units.active_units_against_width: Companions(of_units.active_table, units.active_alt),
    units.ranks_against_width: Companions(of_units.rank_table, units.rank_alt),
    additivity.weak_additivity_explained: Companions(of_units.gaussian_table, additivity.gaussian_alt),
    permutations.barrier_by_alignment: Companions(matched.alignment_table, permutations.alignment_alt),
    permutations.matching_gain: Companions(matched.gain_table, permutations.gain_alt),
    permutations.matching_conditions: Companions(matched.before_and_after_table, permutations.conditions_alt),
    permutations.matching_laws: Companions(matched.before_and_after_table, permutations.laws_alt),
    permutations.two_mechanisms: Companions(matched.mechanism_table, permutations.mechanism_alt),
    temperatures.loss_against_temperature: Companions(
        of_temperatures.sensitivity,
        temperatures.loss_against_temperature_alt,
        lambda sensitivity: sensitivity.losses,
    ),
    temperatures.temperature_error_against_conditions: Companions(
        of_temperatures.temperature_conditions_table, temperatures.temperature_conditions_alt
    ),
    calibrating.reliability_diagrams: Companions(of_calibration.reliability_table, calibrating.reliability_alt),
    calibrating.temperature_choices: Companions(of_calibration.choices_table, calibrating.temperature_choices_alt),
    calibrating.calibration_examples: Companions(of_calibration.examples_table, calibrating.calibration_examples_alt),
    costs.cost_against_width: Companions(matched.cost_table, costs.cost_alt),
    weight_decay.barriers_against_decay: Companions(varied.decay_table, weight_decay.barriers_against_decay_alt),
    weight_decay.conditions_against_decay: Companions(varied.decay_table, weight_decay.conditions_against_decay_alt),
    batch_size.against_batch_size: Companions(varied.one_width, batch_size.against_batch_size_alt),
    batch_size.barrier_by_batch_size: Companions(varied.several_widths, batch_size.barrier_by_batch_size_alt),
    parts.parts_of_orthogonality: Companions(of_parts.parts_table, parts.parts_alt),
    repairs.lost_by_repair: Companions(
        of_repairs.against_width_table, repairs.lost_by_repair_alt, of_repairs.barriers_of_ways
    ),
    repairs.repaired_curves: Companions(of_repairs.curves_of_ways, repairs.repaired_curves_alt),
    repairs.beyond_ensemble: Companions(of_repairs.excesses, repairs.beyond_ensemble_alt, of_repairs.excess_table),
    low_rank.against_penalty: Companions(varied.penalty_table, low_rank.against_penalty_alt),
    lines.loss_along_lines: Companions(of_lines.along_lines_table, lines.along_lines_alt),
    lines.halfway_against_width: Companions(of_lines.halfway_table, lines.halfway_alt),
    spawned.barriers_by_start: Companions(starts.spawned_table, spawned.barriers_by_start_alt),
    spawned.mechanisms_by_start: Companions(starts.mechanisms_table, spawned.mechanisms_by_start_alt),
    common_mode_controls.lost_by_control: Companions(
        of_controls.controls_table, common_mode_controls.lost_by_control_alt
    ),
    common_mode_controls.lost_by_placement: Companions(
        of_controls.placement_table, common_mode_controls.lost_by_placement_alt
    ),
    common_mode_controls.lost_by_number: Companions(of_controls.many_table, common_mode_controls.lost_by_number_alt),
    one_network.orthogonality_told: Companions(told.orthogonality_told_table, one_network.orthogonality_told_alt),
    one_network.lost_told: Companions(told.lost_told_table, one_network.lost_told_alt),
    chain.chain_by_network: Companions(chain_table, chain.chain_alt),
    weight_decay.against_decay_product: Companions(varied.decay_table, weight_decay.against_decay_product_alt),
}
"""Every figure of the book; a new figure is one more line."""


def show(
    draw: Draw, records: Sequence[Record], finding: Sequence[str] = (), command: str = "", *, name: str = ""
) -> None:
    """Show a figure of ``records`` in a notebook and in the book: ``draw`` of the table that is derived from them.

    It is drawn twice, for a wide page and for a phone, and the page shows that which fits. Caption and number are the
    book's: they stand in the cell's metadata (``mystnb.figure``).

    Args:
        draw: one of `FIGURES`.
        records: those of a chapter; as `lmcbook.pages.analysis.Measurements` they keep each table for the next figure.
        finding: sentences that say what the numbers say, computed from the same records.
        command: what makes the figure again.
        name: of the file of its data; by default the figure's own.

    Raises:
        InputError: there is nothing to draw, or ``draw`` is not one of `FIGURES`.
    """
    from IPython.display import display

    text, alt = _page(draw, records, finding, command, name)
    display({"text/html": text, "text/plain": alt}, raw=True)


def show_any(draw: Draw, records: Sequence[Record], finding: Sequence[str] = (), command: str = "") -> None:
    """`show`, of records that there need not be: without any nothing is shown."""
    if records:
        show(draw, records, finding, command)


def to_html(
    draw: Draw, records: Sequence[Record], finding: Sequence[str] = (), command: str = "", *, name: str = ""
) -> str:
    """What `show` puts on the page; takes the same arguments and raises the same errors."""
    return _page(draw, records, finding, command, name)[0]


def _page(draw: Draw, records: Sequence[Record], finding: Sequence[str], command: str, name: str) -> tuple[str, str]:
    """The figure as HTML, and its alt text; the table is derived once for all that it is needed for."""
    if draw not in FIGURES:
        raise InputError(f"draw is {draw!r}; it may be one of: {', '.join(each.__name__ for each in FIGURES)}")
    name = file_name(name or draw.__name__.replace("_", "-"))
    figure, records = FIGURES[draw], Measurements.of(records)
    drawn = records.table(figure.table)
    table = figure.data(drawn)
    if table.empty:
        raise InputError(f"figure {name} has no records to draw; measure some, or ask for others")
    alt = figure.alt(drawn)
    text = figure_html(
        lambda narrow: draw(drawn, narrow=narrow),
        name=name,
        alt=alt,
        finding=finding,
        origin=origin_html(origin(records), command=command, table=table, name=name),
    )
    return text, alt
