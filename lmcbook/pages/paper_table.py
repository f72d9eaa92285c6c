"""The paper's Table 1 and ours beside it: barriers with their spread, and how our networks were trained."""

from collections.abc import Iterable, Sequence

from pandas import DataFrame

from lmcbook.data import describe
from lmcbook.lab import plan, recorded
from lmcbook.lab.plain import is_plain, is_the_recipes_own
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, recipe
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.labels import mean_and_deviation, recipe_label, width_label
from lmcbook.pages.claims import PAPER_TABLE_1
from lmcbook.pages.origin import trained_on
from lmcbook.training.config import TrainingConfig
from lmcbook.training.schedule import decay_product

NOT_MEASURED = "not measured"
BATCHES = {500: "as in the authors' earlier code", 125: "at the field's usual batch"}
"""The paper's batch size is not known to us: those that we train with, in words."""

_ROWS = {
    ("identity", "unpermuted: accuracy barrier (points)"): ("accuracy_barrier", "midpoint_accuracy_barrier", 100.0),
    ("identity", "unpermuted: calibrated loss barrier (nats)"): (
        "calibrated_loss_barrier",
        "midpoint_calibrated_loss_barrier",
        1.0,
    ),
    ("weight_matching", "b matched by weights: accuracy barrier (points)"): (
        "matched_accuracy_barrier",
        "midpoint_accuracy_barrier",
        100.0,
    ),
    ("weight_matching", "b matched by weights: loss barrier (nats)"): (
        "matched_loss_barrier",
        "midpoint_loss_barrier",
        1.0,
    ),
}
"""Alignment and title → the paper's value, our column, and the factor from fractions to what the title says."""


def known() -> list[Record]:
    """The records of the paper's data that are there, with each of `BATCHES`: what its Table 1 is compared with."""
    return [*recorded(plan.width, "paper"), *recorded(plan.small_batches, "paper")]


def against_paper(
    records: Sequence[Record], *, alignments: Sequence[str] = ("identity", "weight_matching")
) -> DataFrame:
    """The paper's Table 1 beside ours, at the paper's weight decay, with each of `BATCHES` side by side.

    Ours are at the paper's width or, where nobody measured that yet, at our widest; it stands beside each number.
    Two rows for each network and alignment: mean ± standard deviation (number of pairs), and the trainings' schedule.

    Args:
        records: those of other recipes, trainings and measurements are passed over.
        alignments: of the two that the paper has, those to show.
    """
    rows = []
    for paper in PAPER_TABLE_1:
        name = f"{recipe_label(paper.recipe)}, {width_label(paper.width_multiplier)} in the paper"
        for (alignment, title), (value, column, factor) in _ROWS.items():
            if alignment not in alignments:
                continue
            ours = {
                size: _at_the_papers_width(_measured(records, paper.recipe, alignment, size), paper.width_multiplier)
                for size in BATCHES
            }
            rows.append(
                {
                    "network": name,
                    "barrier at λ = ½": title,
                    "paper": f"{factor * getattr(paper, value):.3f}".replace("-", "−"),
                    **{name_of_batches(size): _said(chosen, column, factor) for size, chosen in ours.items()},
                    "schedule": _listed(schedule_of(record) for chosen in ours.values() for record in chosen),
                }
            )
    return DataFrame(rows)


def name_of_batches(size: int) -> str:
    """``ours, batches of 500 (as in the authors' earlier code)``: the column of our numbers with such batches."""
    return f"ours, batches of {size} ({BATCHES[size]})"


def _at_the_papers_width(records: Sequence[Record], width_multiplier: float) -> list[Record]:
    """Those at the paper's width, or else at the widest."""
    widths = {record.config.training.width_multiplier for record in records}
    width = width_multiplier if width_multiplier in widths else max(widths, default=None)
    chosen = [record for record in records if record.config.training.width_multiplier == width]
    # where a width was trained in full and on a shorter schedule, the full one counts
    return [record for record in chosen if not record.short] or chosen


def _said(records: Sequence[Record], column: str, factor: float) -> str:
    """``0.600 ± 0.200 (3) at ×16``."""
    if not records:
        return NOT_MEASURED
    values = mean_and_deviation(barriers_table(records)[column], factor, 3, count=True)
    return f"{values} at {width_label(records[0].config.training.width_multiplier)}"


def coverage(records: Sequence[Record], recipes: Sequence[str]) -> DataFrame:
    """How far the paper's main measurement goes here: widths, and unpermuted pairs, at its weight decay.

    One row for each of ``recipes`` and each of `BATCHES` that it has records with, its own always.
    """
    rows = []
    for name in recipes:
        chosen = recipe(name)
        for size in BATCHES:
            used = _measured(records, name, "identity", size)
            if not used and size != chosen.training.batch_size:
                continue
            pairs: dict[float, set[tuple[int, int]]] = {}
            for record in used:
                pairs.setdefault(record.config.training.width_multiplier, set()).add(record.config.seeds)
            measured = ", ".join(f"{width_label(width)} ({len(pairs[width])})" for width in sorted(pairs))
            rows.append(
                {
                    "network": recipe_label(name),
                    "batches": f"{size}, {BATCHES[size]}",
                    "widths asked for": ", ".join(map(width_label, chosen.width_multipliers)),
                    "widths measured (pairs)": measured or "none yet",
                    "schedule": _listed(schedule_of(record) for record in used),
                    "trained on": _listed(trained_on(record) for record in used),
                }
            )
    return DataFrame(rows)


def _measured(records: Sequence[Record], name: str, alignment: str, batch_size: int) -> list[Record]:
    """Records of independent pairs of this recipe, trained as it says but for the batches, after this alignment."""
    return [
        record
        for record in {record.address: record for record in records}.values()
        if (record.recipe, record.measurement, record.config.alignment) == (name, "interpolation", alignment)
        and record.config.training.batch_size == batch_size
        and is_plain(record.config)
        and is_the_recipes_own(name, record.config.training, "num_layers", "weight_decay")
    ]


def schedule_of(record: Record) -> str:
    """``31 epochs, decay product 5.02``: the second is what the recipes hold fixed, at the paper's weight decay."""
    training: TrainingConfig = record.config.training
    product = decay_product(training, describe(training.dataset).num_train, MAIN_WEIGHT_DECAY)
    return f"{training.epochs} epochs, decay product {product:.2f}" + (", short" if record.short else "")


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(sorted(set(texts))) or "–"
