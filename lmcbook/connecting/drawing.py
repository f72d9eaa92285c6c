"""The figure of a comparison: how good the networks along the line are, and where its remedies stand."""

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from lmcbook.connecting.connection import Connection

INK = "#010203"
"""Of text and axes: a report replaces it by the colour of the page's own text, light or dark."""

# readable on white and on black (Okabe and Ito's palette), and told apart by their marks as well
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a00", "#a05a2c")
MARKS = ("o", "s", "D", "^", "v", "P", "X", "*")


def figure(connection: "Connection") -> Figure:
    """Accuracy (if there is one) and loss along λ, one above the other, with marks for the rows at their λ."""
    panels = ["accuracy", "loss"] if connection.task == "classification" else ["loss"]
    marked = sum(row.name not in ("a", "b", "plain", "ensemble") for row in connection.rows)
    # as wide as a telephone, with the legend in one column, since labels are long
    drawn = Figure(figsize=(4.4, 2.5 * len(panels) + 0.18 * (marked + 3) + 0.5), layout="constrained")
    drawn.patch.set_alpha(0)
    axes = drawn.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for panel, axis in zip(panels, axes, strict=True):
        _panel(connection, panel, axis)
    axes[-1].set_xlabel("λ, the weight of network a", color=INK)
    named = dict(pair[::-1] for axis in axes for pair in zip(*axis.get_legend_handles_labels(), strict=True))
    drawn.legend(named.values(), named.keys(), fontsize=8, labelcolor=INK, frameon=False, loc="outside lower left")
    return drawn


def _panel(connection: "Connection", name: str, axis: Axes) -> None:
    curve = connection.curve
    scale = 100 if name == "accuracy" else 1
    if curve:
        grid = curve["coefficients"]
        axis.plot(grid, [scale * each for each in curve[name]], color=COLOURS[0], marker=".", label="average along λ")
        if f"ensemble_{name}" in curve:
            ensemble = [scale * each for each in curve[f"ensemble_{name}"]]
            axis.plot(grid, ensemble, color="#808080", linestyle="--", label="ensemble of outputs")
        if name == "loss" and "calibrated_loss" in curve:
            axis.plot(grid, curve["calibrated_loss"], color=COLOURS[0], linestyle=":", label="calibrated")
    others = [row for row in connection.rows if row.name not in ("a", "b", "plain", "ensemble")]
    for number, row in enumerate(others):
        # beyond seven rows colours come again, with other marks
        colour, mark = COLOURS[1 + number % 7], MARKS[1 + (number + number // 7) % 7]
        value = row.accuracy if name == "accuracy" else row.loss
        if value is not None:
            axis.plot([connection.at], [scale * value], mark, color=colour, markersize=6, label=row.label)
    unit = "accuracy, %" if name == "accuracy" else "loss, nats" if connection.task == "classification" else "loss"
    axis.set_ylabel(unit, color=INK)
    axis.patch.set_alpha(0)
    axis.tick_params(colors=INK, labelsize=9)
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axis.grid(alpha=0.25, color="#808080")
