"""The barrier explorer: accuracy and loss of the merged network while λ runs from model b to model a."""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Unpack

from pandas import DataFrame

from lmcbook.lab.records import Record, curves_table
from lmcbook.pages.analysis.labels import decay_label, width_label
from lmcbook.pages.analysis.vocabulary import PAIR
from lmcbook.pages.widgets import drawing, trained
from lmcbook.pages.widgets.drawing import Chart, amount, percent
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers, Layer
from lmcbook.pages.widgets.source import Choice, Source, sources

STEPS = 12
"""Steps of the slider of λ, where the curve has so many."""

_READ = ("accuracy", "below its parents", "loss as it is", "loss calibrated", "β")


def barrier(records: Sequence[Record] = (), **choice: Unpack[Choice]) -> Explorers:
    """Accuracy, loss and inverse temperature of the merged network: width, weight decay, calibrated or not, and λ.

    Args:
        records: interpolation records; others are passed over.
        choice: see `Choice`.

    Raises:
        InputError: there is nothing to show.
    """
    return trained.of_networks(sources(records, "interpolation", **choice), _explorer)


def _explorer(source: Source) -> Explorer:
    drawn = _Drawn(source)
    coefficients = drawn.coefficients()
    return trained.of_network(
        source,
        "barrier",
        f"The barrier: {source.title}",
        controls=(
            *trained.width_and_decay(source),
            Control(name="calibrated", label="loss", options={"as it is": False, "calibrated": True}, kind="buttons"),
            Control(
                name="coefficient",
                label="λ",
                options={str(Fraction(each).limit_denominator(1000)): each for each in coefficients},
                play=True,
                start=coefficients.index(0.5),
            ),
        ),
        layers=(
            Layer(controls=("width_multiplier", "weight_decay", "calibrated"), draw=drawn.curves),
            Layer(controls=("width_multiplier", "weight_decay", "calibrated", "coefficient"), draw=drawn.marks),
        ),
        note="Bold: mean over pairs; thin: each pair; grey: other widths; dashed, beside a calibrated loss: as it is.",
        stills={width_label(width): {"width_multiplier": width, "calibrated": True} for width in source.ends},
        finding=drawn.finding,
        table=lambda: _table(source),
    )


def _table(source: Source) -> DataFrame:
    measured = ("accuracy", "loss", "calibrated_loss", "inverse_temperature")
    return curves_table(source.records)[[*PAIR, "coefficient", *measured]]


class _Drawn:
    """The drawings of one network."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def coefficients(self) -> list[float]:
        """Where the slider stops: λ of the curves, thinned to 13 if that leaves equal steps."""
        records = self._source.records
        if not records:
            return [index / STEPS for index in range(STEPS + 1)]
        grid = [float(each) for each in records[0].data["curve"]["coefficients"]]
        step, rest = divmod(len(grid) - 1, STEPS)
        return grid if rest or not step else grid[::step]

    def curves(self, width_multiplier: float, weight_decay: float, calibrated: bool) -> str:
        """What λ does not change."""
        records = self._source.of(width_multiplier, weight_decay)
        accuracy, loss = self._charts(weight_decay)
        if not records:
            return drawing.nothing(trained.place(width_multiplier, weight_decay))
        kind = "calibrated_loss" if calibrated else "loss"
        parts: dict[str, list[str]] = {"accuracy": [accuracy.axes()], kind: [loss.axes()]}
        for name, chart in (("accuracy", accuracy), (kind, loss)):
            factor = 100 if name == "accuracy" else 1
            as_it_is = chart.line(_mean_curve(records, "loss"), "d") if name == "calibrated_loss" else ""
            parts[name] += trained.lines_of_pairs(
                chart,
                self._source,
                width_multiplier,
                weight_decay,
                partial(_mean_curve, name=name, factor=factor),
                between=as_it_is,
                thinned=2,
            )
        ground = drawing.panels(*(drawing.svg(*each) for each in parts.values()))
        return ground + drawing.room(*_READ)

    def marks(self, width_multiplier: float, weight_decay: float, calibrated: bool, coefficient: float) -> str:
        """What λ changes: the marks on the curves and the numbers."""
        records = self._source.of(width_multiplier, weight_decay)
        if not records:
            return ""
        accuracy_chart, loss_chart = self._charts(weight_decay)
        at = {
            name: drawing.mean([_at(record, name, coefficient) for record in records])
            for name in ("accuracy", "loss", "calibrated_loss", "inverse_temperature")
        }
        below = drawing.mean([_below_parents(record, coefficient) for record in records])
        loss = at["calibrated_loss" if calibrated else "loss"]
        drawings = [
            drawing.svg(
                chart.guide(coefficient),
                chart.dot(coefficient, value, "m", 6),
                chart.value(coefficient, value, label),
            )
            for chart, value, label in (
                (accuracy_chart, None if at["accuracy"] is None else 100 * at["accuracy"], percent(at["accuracy"], 1)),
                (loss_chart, loss, amount(loss, 2)),
            )
        ]
        numbers = (
            percent(at["accuracy"], 1),
            percent(below, 1, "points"),
            amount(at["loss"], 3, "nats"),
            amount(at["calibrated_loss"], 3, "nats"),
            amount(at["inverse_temperature"], 2),
        )
        read = dict(zip(_READ, numbers, strict=True))
        share = Fraction(coefficient).limit_denominator(1000)
        label = (
            f"Accuracy and {'calibrated ' if calibrated else ''}loss against λ. {self._source.title}, "
            f"{trained.place(width_multiplier, weight_decay)}, λ = {share}: {trained.read_out(read)}; "
            f"{trained.mean_of_pairs(records)}."
        )
        return drawing.panels(*drawings, label=label) + drawing.readout(read)

    def finding(self) -> str:
        """What happens at the midpoint between the narrowest and the widest networks."""
        decay = self._source.weight_decays[0]
        sentences = [f"{self._source.title}, weight decay {decay_label(decay)}, at λ = ½:"]
        for width in self._source.ends:
            records = self._source.of(width, decay)
            accuracy, loss, calibrated = (
                drawing.mean([_at(record, name, 0.5) for record in records])
                for name in ("accuracy", "loss", "calibrated_loss")
            )
            sentences.append(
                f"width {width_label(width)} has an accuracy of {percent(accuracy, 1)}, "
                f"a loss of {amount(loss, 2)} nats as it is and of {amount(calibrated, 2)} calibrated;"
            )
        return " ".join(sentences).rstrip(";") + "."

    def _charts(self, weight_decay: float) -> tuple[Chart, Chart]:
        # one scale for all widths, which are to be compared; the usual decay's losses are several times as large
        known = [record for record in self._source.known if record.config.training.weight_decay == weight_decay]
        highest = max(
            (value for record in known for value in record.data["curve"]["loss"] if value is not None), default=1.0
        )
        ticks = drawing.round_ticks(highest)
        x: dict = {"x": (0.0, 1.0), "x_ticks": drawing.QUARTERS, "x_label": "model b  ←   λ   →  model a"}
        percent = {float(each): str(each) for each in (0, 25, 50, 75, 100)}
        return (
            Chart(title="test accuracy (%)", y=(0.0, 100.0), y_ticks=percent, **x),
            Chart(title="test loss (nats)", y=(0.0, max(ticks)), y_ticks=ticks, **x),
        )


def _mean_curve(records: Sequence[Record], name: str, factor: float = 1) -> list[drawing.Point]:
    """The mean over pairs at every λ of the first pair's grid."""
    points: list[drawing.Point] = []
    for coefficient in records[0].data["curve"]["coefficients"]:
        value = drawing.mean([_at(record, name, coefficient) for record in records])
        points.append((coefficient, None if value is None else factor * value))
    return points


def _at(record: Record, name: str, coefficient: float) -> float | None:
    curve = record.data["curve"]
    place = coefficient * (len(curve["coefficients"]) - 1)
    # the grid of λ is even, from 0 to 1
    return curve[name][round(place)] if abs(place - round(place)) < 1e-6 else None


def _below_parents(record: Record, coefficient: float) -> float | None:
    """How much accuracy is lost at this λ against the straight line between the two networks."""
    here, of_b, of_a = (_at(record, "accuracy", each) for each in (coefficient, 0.0, 1.0))
    if here is None or of_a is None or of_b is None:
        return None
    return coefficient * of_a + (1 - coefficient) * of_b - here
