"""The temperature explorer: confidence against accuracy of the merged network, and its loss, while β changes."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import width_label
from lmcbook.pages.widgets import drawing, trained
from lmcbook.pages.widgets.drawing import Chart, amount, percent
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers
from lmcbook.pages.widgets.source import Choice, Source, sources
from lmcbook.pages.widgets.trained import Drawn, Pairs

_READ = ("β", "loss", "calibration error", "fitted β")
_MEASURED = ("inverse_temperature", "loss", "expected_calibration_error")
_KINDS = {"merged": "merged", "ensemble": "ensemble"}
"""Kind in the record → whose logits they are: the merged network's, or the mean of the two networks'."""


def reliability(records: Sequence[Record] = (), **choice: Unpack[Choice]) -> Explorers:
    """Reliability diagram and loss at the midpoint for multiples of the fitted β: width, weight decay, merged or not.

    Args:
        records: interpolation records; those without ``data["temperatures"]`` are passed over.
        choice: see `Choice`.

    Raises:
        InputError: there is nothing to show.
    """
    return trained.of_networks(
        sources([record for record in records if "temperatures" in record.data], "interpolation", **choice), _explorer
    )


def _explorer(source: Source) -> Explorer:
    drawn = _Drawn(source)
    factors = drawn.factors()
    fitted = min(range(len(factors)), key=lambda index: abs(math.log(factors[index])))
    width = source.ends[-1]
    uncalibrated = drawn.nearest_to_one(width, source.weight_decays[0])
    return trained.of_network(
        source,
        "temperature",
        f"Temperature: {source.title} at λ = ½",
        controls=(
            *trained.width_and_decay(source, widest_first=True),
            Control(
                name="kind",
                label="logits",
                options={label: kind for kind, label in _KINDS.items()},
                kind="buttons",
            ),
            Control(
                name="step",
                label="β",
                options={_multiple(factor): index for index, factor in enumerate(factors)},
                play=True,
                start=uncalibrated,
            ),
        ),
        layers=(
            trained.layer(drawn.ground, "kind", source=source),
            trained.layer(drawn.marks, "kind", "step", source=source, over=True),
        ),
        note=(
            "β in multiples of the fitted β. A mark for each bin of confidence, larger where more test images lie; "
            "on the dashed line confidence is right. In the loss, bold: mean over pairs; thin: each pair; grey: the "
            "other widths; dotted: β = 1."
        ),
        stills={
            f"{width_label(width)}, β about 1": {"step": uncalibrated},
            f"{width_label(width)}, β as fitted": {"step": fitted},
        },
        finding=lambda: drawn.finding(width, uncalibrated),
        table=lambda: trained.table(source.records, _rows),
    )


def _rows(record: Record) -> list[dict[str, Any]]:
    return [
        {"logits": kind, **{name: entry[name] for name in _MEASURED}}
        for kind in _KINDS
        for entry in record.data["temperatures"][kind]
    ]


class _Drawn(Drawn):
    """The drawings of one network."""

    def factors(self) -> list[float]:
        """Multiples of the fitted β that were looked at; it stands in the middle of them."""
        merged = self.source.example().data["temperatures"]["merged"]
        steps = [entry["inverse_temperature"] for entry in merged]
        return [step / steps[len(steps) // 2] for step in steps]

    def nearest_to_one(self, width_multiplier: float, weight_decay: float) -> int:
        """The step at which the merged networks' β is nearest to 1."""
        records = self.source.at_hand(width_multiplier, weight_decay)
        if not records:
            return len(self.factors()) // 2
        steps = range(len(self.factors()))
        return min(steps, key=lambda step: abs(math.log(_mean(records, "merged", step, "inverse_temperature") or 1e9)))

    def ground(self, pairs: Pairs, kind: str) -> str:
        """What β does not change."""
        reliability, loss = self.kept(self._charts, pairs.weight_decay)
        at_one = loss.line([(1.0, loss.y[0]), (1.0, loss.y[1])], "e")
        return drawing.ground(
            drawing.svg(reliability.axes(), reliability.line([(0.0, 0.0), (1.0, 1.0)], "d")),
            drawing.svg(loss.axes(), at_one, *pairs.lines(loss, partial(_losses, kind=kind))),
            names=_READ,
        )

    def marks(self, pairs: Pairs, kind: str, step: int) -> str:
        """What β changes: the bins of confidence, the mark on the loss and the numbers."""
        records = pairs.records
        reliability, loss_chart = self.kept(self._charts, pairs.weight_decay)
        bins = _pooled([record.data["temperatures"][kind][step] for record in records])
        total = sum(count for count, _, _ in bins) or 1
        points: list[drawing.Point] = [(sure, right) for _, sure, right in bins]
        discs = [(sure, right, 2.5 + 9 * math.sqrt(count / total)) for count, sure, right in bins]
        beta, loss, error = (_mean(records, kind, step, name) for name in _MEASURED)
        numbers = (
            amount(beta, 2),
            amount(loss, 3, "nats"),
            percent(error, 1, "points"),
            amount(_mean(records, kind, len(self.factors()) // 2, "inverse_temperature"), 2),
        )
        confidence = sum(count * sure for count, sure, _ in bins) / total
        accuracy = sum(count * right for count, _, right in bins) / total
        return drawing.frame(
            drawing.svg(reliability.line(points, "l"), reliability.discs(discs, "m")),
            loss_chart.mark(beta or 1.0, loss, amount(loss, 2)),
            before=(
                f"Reliability diagram and loss against β at λ = ½. {self.source.title}, {_KINDS[kind]} logits, "
                f"{pairs.place}: mean confidence {percent(confidence, 1)}, accuracy {percent(accuracy, 1)}, "
            ),
            read=dict(zip(_READ, numbers, strict=True)),
        )

    def finding(self, width_multiplier: float, uncalibrated: int) -> str:
        """What the fitted β does to the merged networks of this width."""
        pairs = Pairs(self.source, width_multiplier, self.source.weight_decays[0])
        before, after = (
            {name: _mean(pairs.records, "merged", step, name) for name in _MEASURED}
            for step in (uncalibrated, len(self.factors()) // 2)
        )
        beta, error = "inverse_temperature", "expected_calibration_error"
        return (
            f"{self.source.title}, {pairs.place}: from "
            f"β = {amount(before[beta], 2)} to the fitted {amount(after[beta], 2)}, the expected calibration error "
            f"goes from {percent(before[error], 1, 'points')} to {percent(after[error], 1, 'points')} and the test "
            f"loss from {amount(before['loss'], 2)} to {amount(after['loss'], 2)} nats."
        )

    def _charts(self, weight_decay: float) -> tuple[Chart, Chart]:
        entries = [
            entry
            for record in self.source.known
            if record.config.training.weight_decay == weight_decay
            for kind in _KINDS
            for entry in record.data["temperatures"][kind]
        ]
        betas = [entry["inverse_temperature"] for entry in entries]
        low, high = math.floor(math.log2(min(betas, default=0.5))), math.ceil(math.log2(max(betas, default=32)))
        powers = range(low, high + 1, 1 if high - low < 8 else 2)
        # far too confident networks lose so much that everything else would lie on the ground
        highest = min(max((entry["loss"] for entry in entries), default=2.5), 3.0)
        loss_ticks = drawing.round_ticks(highest)
        return (
            Chart(
                title="accuracy",
                x=(0.0, 1.0),
                y=(0.0, 1.0),
                x_ticks=drawing.QUARTERS,
                y_ticks=drawing.QUARTERS,
                x_label="confidence",
            ),
            Chart(
                title="test loss (nats)",
                x=(2.0**low, 2.0**high),
                y=(0.0, max(loss_ticks)),
                x_ticks={2.0**power: _power(power) for power in powers},
                y_ticks=loss_ticks,
                x_label="inverse temperature β",
                logarithmic=True,
            ),
        )


def _pooled(entries: Sequence[dict[str, Any]]) -> list[tuple[int, float, float]]:
    """Count, mean confidence and accuracy of every bin that holds an example of some pair."""
    found = []
    for bins in zip(
        *(zip(each["counts"], each["confidence"], each["accuracy"], strict=True) for each in entries), strict=True
    ):
        filled = [one for one in bins if one[0]]
        count = sum(one[0] for one in filled)
        if count:
            sums = [sum(one[0] * one[index] for one in filled) for index in (1, 2)]
            found.append((count, sums[0] / count, sums[1] / count))
    return found


def _mean(records: Sequence[Record], kind: str, step: int, name: str) -> float | None:
    return drawing.mean([record.data["temperatures"][kind][step][name] for record in records])


def _losses(records: Sequence[Record], kind: str) -> list[drawing.Point]:
    steps = range(len(records[0].data["temperatures"][kind]))
    return [
        (_mean(records, kind, step, "inverse_temperature") or 1.0, _mean(records, kind, step, "loss")) for step in steps
    ]


def _multiple(factor: float) -> str:
    if abs(math.log(factor)) < 1e-3:
        return "fitted"
    return f"÷ {1 / factor:.2g}" if factor < 1 else f"× {factor:.2g}"


def _power(power: int) -> str:
    return str(2**power) if power >= 0 else f"1/{2**-power}"
