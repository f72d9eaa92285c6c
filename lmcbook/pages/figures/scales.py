"""Axes on which every value can be read: widths, coefficients, barriers near 0, inverse temperatures."""

import math
from collections.abc import Iterable, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from pandas import Series

from lmcbook.pages.analysis.labels import width_label
from lmcbook.pages.figures import style

COEFFICIENT_LABEL = "λ (share of model a)"


def scale_values(axis: Axes, drawn: Series) -> None:
    """A logarithmic vertical axis for the values that are ``drawn``, linear near 0 where they are not all above it."""
    values = drawn.dropna()
    if values.empty or values.max() <= 0:
        return
    if values.min() > 0:
        axis.set_yscale("log")
        decades = math.log10(values.max() / values.min())
        ticks = ((2.5, (1,)), (1.2, (1, 3)), (0.7, (1, 2, 5)), (0, (1, 1.5, 2, 3, 5, 7)))
        axis.yaxis.set_major_locator(LogLocator(subs=next(steps for least, steps in ticks if decades >= least)))
    else:
        # linear up to about a fiftieth of the largest value: what is 0 or below is seen, and so is the fall
        threshold = 10.0 ** math.floor(math.log10(values.max() / 20))
        axis.set_yscale("symlog", linthresh=threshold, linscale=0.7)
        axis.axhspan(-threshold, threshold, color=style.FAINT, alpha=0.4, linewidth=0, zorder=0)
        axis.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
        axis.set_ylabel(f"{axis.get_ylabel()}\nlinear where shaded", linespacing=1.3)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axis.yaxis.set_minor_locator(NullLocator())


def scale_widths(axis: Axes, widths: Iterable[float]) -> None:
    """Width multipliers on a logarithmic axis, each with its name."""
    widths = sorted(set(widths))
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(widths))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(widths, [width_label(width) for width in widths])
    if len(widths) > 5:
        axis.tick_params(axis="x", labelsize=6.5)  # the names of neighbours would touch
    axis.margins(x=0.08)


def scale_coefficients(axis: Axes) -> None:
    """λ from 0 to 1 on the horizontal axis, in quarters."""
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    axis.set_xlim(-0.02, 1.02)
    axis.set_xlabel(COEFFICIENT_LABEL)


def plain_log(direction: Axis, ticks: Sequence[float]) -> None:
    """A logarithmic axis with these ticks, written as plain numbers."""
    (direction.axes.set_xscale if direction is direction.axes.xaxis else direction.axes.set_yscale)("log")
    direction.set_major_locator(FixedLocator(ticks))
    direction.set_minor_locator(NullLocator())
    direction.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def binary_scale(axis: Axes) -> None:
    """A vertical axis in powers of two, written as plain numbers."""
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_locator(LogLocator(base=2))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def fractions(direction: Axis) -> None:
    """Ticks below 1 written as fractions: ½ is ``1/2``."""
    direction.set_minor_locator(NullLocator())
    direction.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else width_label(value).removeprefix("×"))
    )


def plain_octaves(axis: Axes) -> None:
    """A horizontal axis in powers of two, written as plain numbers, so many that they do not touch."""
    axis.set_xscale("log", base=2)
    low, high = axis.get_xlim()
    octaves = numpy.arange(numpy.ceil(numpy.log2(low)), numpy.floor(numpy.log2(high)) + 1)
    octaves = octaves[:: max(1, -(-len(octaves) // 7))]
    axis.xaxis.set_major_locator(FixedLocator(list(2.0**octaves)))
    fractions(axis.xaxis)
