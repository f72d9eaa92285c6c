"""The paper's Table 1 and ours beside it: barriers with their spread, and how our networks were trained."""

from collections.abc import Iterable, Sequence

from pandas import DataFrame

from lmcbook.data import describe
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, recipe
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.labels import mean_and_spread, recipe_label, width_label
from lmcbook.pages.claims import PAPER_TABLE_1
from lmcbook.pages.origin import trained_on
from lmcbook.training.config import TrainingConfig
from lmcbook.training.schedule import decay_product

NOT_MEASURED = "not measured"

_ROWS = {
    ("identity", "as they are: accuracy barrier (points)"): ("accuracy_barrier", "midpoint_accuracy_barrier", 100.0),
    ("identity", "as they are: calibrated loss barrier (nats)"): (
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


def against_paper(
    records: Sequence[Record], *, alignments: Sequence[str] = ("identity", "weight_matching")
) -> DataFrame:
    """The paper's Table 1 beside ours, at the paper's weight decay.

    Ours are at the paper's width or, where nobody measured that yet, at our widest; the column *our width* says which.
    Two rows for each network and alignment: mean ± standard deviation (number of pairs), the schedule and the hardware
    of the trainings.

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
            ours = _measured(records, paper.recipe, alignment)
            widths = {record.config.training.width_multiplier for record in ours}
            width = paper.width_multiplier if paper.width_multiplier in widths else max(widths, default=None)
            ours = [record for record in ours if record.config.training.width_multiplier == width]
            # where a width was trained in full and on a shorter schedule, the full one counts
            ours = [record for record in ours if not record.short] or ours
            values = barriers_table(ours)[column]
            rows.append(
                {
                    "network": name,
                    "barrier at λ = ½": title,
                    "paper": f"{factor * getattr(paper, value):.3f}".replace("-", "−"),
                    "ours": mean_and_spread(values, factor=factor, digits=3) if ours else NOT_MEASURED,
                    "our width": width_label(width) if width is not None else "–",
                    **_training_of(ours),
                }
            )
    return DataFrame(rows)


def coverage(records: Sequence[Record], recipes: Sequence[str]) -> DataFrame:
    """What of the paper's main measurement is there: widths and pairs merged as they are, at the paper's weight decay.

    One row for each of ``recipes``.
    """
    rows = []
    for name in recipes:
        chosen = recipe(name)
        used = _measured(records, name, "identity")
        pairs: dict[float, set[tuple[int, int]]] = {}
        for record in used:
            pairs.setdefault(record.config.training.width_multiplier, set()).add(record.config.seeds)
        measured = ", ".join(f"{width_label(width)} ({len(pairs[width])})" for width in sorted(pairs))
        rows.append(
            {
                "network": recipe_label(name),
                "widths asked for": ", ".join(map(width_label, chosen.width_multipliers)),
                "widths measured (pairs)": measured or "none yet",
                **_training_of(used),
            }
        )
    return DataFrame(rows)


def _measured(records: Sequence[Record], name: str, alignment: str) -> list[Record]:
    """Records of independent pairs of this recipe, trained as it says and merged after this alignment."""
    own = recipe(name).training
    return [
        record
        for record in {record.address: record for record in records}.values()
        if (record.recipe, record.measurement, record.config.alignment) == (name, "interpolation", alignment)
        and record.config.shared == "nothing"
        and all(
            getattr(record.config.training, field) == getattr(own, field)
            for field in ("weight_decay", "num_layers", "decay_normalisation", "spread_penalty", "batch_size")
        )
    ]


def _training_of(records: Sequence[Record]) -> dict[str, str]:
    return {
        "schedule": _listed(schedule_of(record) for record in records),
        "trained on": _listed(trained_on(record) for record in records),
    }


def schedule_of(record: Record) -> str:
    """``31 epochs, decay product 5.02``: the second is what the recipes hold fixed, at the paper's weight decay."""
    training: TrainingConfig = record.config.training
    product = decay_product(training, describe(training.dataset).num_train, MAIN_WEIGHT_DECAY)
    return f"{training.epochs} epochs, decay product {product:.2f}" + (", short" if record.short else "")


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(sorted(set(texts))) or "–"
