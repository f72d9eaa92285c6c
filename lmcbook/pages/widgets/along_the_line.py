"""The barrier explorer: accuracy and loss of the merged network while λ runs from model b to model a."""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Unpack

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.curves import along_the_line_table
from lmcbook.pages.analysis.labels import decay_label, width_label
from lmcbook.pages.widgets import drawing, trained
from lmcbook.pages.widgets.drawing import Chart, amount, percent
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers
from lmcbook.pages.widgets.source import Choice, Source, sources
from lmcbook.pages.widgets.trained import Drawn, Pairs

STEPS = 12
"""Steps of the slider of λ, where the curve has this many."""

_READ = ("accuracy", "below its parents", "loss uncalibrated", "loss calibrated", "β")


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
            Control(
                name="calibrated", label="loss", options={"uncalibrated": False, "calibrated": True}, kind="buttons"
            ),
            Control(
                name="coefficient",
                label="λ",
                options={str(Fraction(each).limit_denominator(1000)): each for each in coefficients},
                play=True,
                start=coefficients.index(0.5),
            ),
        ),
        layers=(
            trained.layer(drawn.curves, "calibrated", source=source),
            trained.layer(drawn.marks, "calibrated", "coefficient", source=source, over=True),
        ),
        note="Bold: mean over pairs; thin: each pair; grey: other widths; dashed: the uncalibrated loss.",
        stills=trained.ends(source.ends, calibrated=True),
        finding=drawn.finding,
        table=lambda: along_the_line_table(source.records),
    )


class _Drawn(Drawn):
    """The drawings of one network."""

    def coefficients(self) -> list[float]:
        """Where the slider stops: λ of the curves, thinned to 13 if that leaves equal steps."""
        records = self.source.records
        if not records:
            return [index / STEPS for index in range(STEPS + 1)]
        grid = [float(each) for each in records[0].data["curve"]["coefficients"]]
        step, rest = divmod(len(grid) - 1, STEPS)
        return grid if rest or not step else grid[::step]

    def curves(self, pairs: Pairs, calibrated: bool) -> str:
        """What λ does not change."""
        accuracy, loss = self.kept(self._charts, pairs.weight_decay)
        uncalibrated = loss.line(_mean_curve(pairs.records, "loss"), "d") if calibrated else ""
        percents = partial(_mean_curve, name="accuracy", factor=100)
        losses = partial(_mean_curve, name="calibrated_loss" if calibrated else "loss")
        return drawing.ground(
            drawing.svg(accuracy.axes(), *pairs.lines(accuracy, percents, thinned=2)),
            drawing.svg(loss.axes(), *pairs.lines(loss, losses, between=uncalibrated, thinned=2)),
            names=_READ,
        )

    def marks(self, pairs: Pairs, calibrated: bool, coefficient: float) -> str:
        """What λ changes: the marks on the curves and the numbers."""
        accuracy_chart, loss_chart = self.kept(self._charts, pairs.weight_decay)
        accuracy, uncalibrated, calibrated_loss, beta = (
            pairs.mean(_at, name, coefficient)
            for name in ("accuracy", "loss", "calibrated_loss", "inverse_temperature")
        )
        numbers = (
            percent(accuracy, 1),
            percent(pairs.mean(_below_parents, coefficient), 1, "points"),
            amount(uncalibrated, 3, "nats"),
            amount(calibrated_loss, 3, "nats"),
            amount(beta, 2),
        )
        loss = calibrated_loss if calibrated else uncalibrated
        return drawing.frame(
            accuracy_chart.mark(coefficient, None if accuracy is None else 100 * accuracy, numbers[0]),
            loss_chart.mark(coefficient, loss, amount(loss, 2)),
            before=(
                f"Accuracy and {'calibrated ' if calibrated else ''}loss against λ. {self.source.title}, "
                f"{pairs.place}, λ = {Fraction(coefficient).limit_denominator(1000)}: "
            ),
            read=dict(zip(_READ, numbers, strict=True)),
            after=pairs.count,
        )

    def finding(self) -> str:
        """What happens at the midpoint between the narrowest and the widest networks."""
        parts = []
        for pairs in self.at_ends():
            accuracy, loss, calibrated = (
                pairs.mean(_at, name, 0.5) for name in ("accuracy", "loss", "calibrated_loss")
            )
            parts.append(
                f"width {width_label(pairs.width_multiplier)} has an accuracy of {percent(accuracy, 1)}, "
                f"a loss of {amount(loss, 2)} nats uncalibrated and of {amount(calibrated, 2)} calibrated"
            )
        decay = decay_label(self.source.weight_decays[0])
        return f"{self.source.title}, weight decay {decay}, at λ = ½: {'; '.join(parts)}."

    def _charts(self, weight_decay: float) -> tuple[Chart, Chart]:
        # one scale for all widths, which are to be compared; the usual decay's losses are several times as large
        known = [record for record in self.source.known if record.config.training.weight_decay == weight_decay]
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
