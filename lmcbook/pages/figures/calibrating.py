"""What calibration gives and needs: reliability diagrams, one temperature for all λ, few calibration examples."""

from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from pandas import DataFrame

from lmcbook.pages.analysis.calibrating import CHOICES, LEAST_SHARE, NETWORKS
from lmcbook.pages.analysis.labels import recipe_label, width_label, width_of
from lmcbook.pages.analysis.vocabulary import SEEDS, groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.curves import label_panels
from lmcbook.pages.figures.kit import network_rows
from lmcbook.pages.figures.marks import draw_curves, handle
from lmcbook.pages.figures.scales import fractions, scale_values


def reliability_diagrams(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Accuracy against confidence before and after calibration; a marker's area is the share of the examples there."""

    def draw(axes: list[Axes], of_network: DataFrame) -> list[Line2D]:
        for index, (axis, network) in enumerate(zip(axes, NETWORKS, strict=True)):
            _draw_reliability(axis, of_network[of_network["network"] == network])
            name = _name(of_network) if index == 0 else ""
            axis.set_title(f"{name}\n{network}")
            if index == 0 or (narrow and index == 2):
                axis.set_ylabel("accuracy")
        return [
            handle(name, {**_STATES[state], "markersize": 6, "linewidth": 1.2})
            for state, name in {"raw": "uncalibrated", "calibrated": "calibrated"}.items()
        ]

    return network_rows(table, 3, draw, height=2.75, narrow=narrow, legend_lines=2, phone_columns=2)


def _name(of_network: DataFrame) -> str:
    return f"{recipe_label(of_network['recipe'].iloc[0])}, {width_of(of_network)}"


def _draw_reliability(axis: Axes, table: DataFrame) -> None:
    axis.plot([0, 1], [0, 1], color=style.INK, linewidth=1, linestyle=":", zorder=1)
    errors = []
    for state, look in _STATES.items():
        of_state = table[table["state"] == state]
        chosen = of_state[of_state["share"] >= LEAST_SHARE]
        axis.plot(chosen["confidence"], chosen["accuracy"], color=look["color"], linewidth=1.2, zorder=2)
        for confidence, accuracy, share in chosen[["confidence", "accuracy", "share"]].to_numpy(float):
            point = {**look, "markersize": 2.5 + 9 * share**0.5, "linestyle": "none"}
            axis.plot([confidence], [accuracy], **point, alpha=0.85, zorder=3)
        errors.append(f"{of_state['expected_calibration_error'].iloc[0]:.3f}")
    axis.set_xlabel(f"confidence\nECE {errors[0]} → {errors[1]}", linespacing=1.4)
    axis.set(xlim=(-0.04, 1.06), ylim=(-0.04, 1.06))
    axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "½", "1"])


def reliability_alt(table: DataFrame) -> str:
    """`reliability_diagrams` for those who do not see them."""
    parts = []
    for (recipe, width), chosen in groups(table, "recipe", "width_multiplier"):
        errors = chosen.groupby(["network", "state"])["expected_calibration_error"].first()
        values = ", ".join(f"{name} {errors[name, 'raw']:.3f} → {errors[name, 'calibrated']:.3f}" for name in NETWORKS)
        parts.append(f"{recipe_label(recipe)} {width_label(width)}: {values}")
    return (
        "Reliability diagrams, uncalibrated and calibrated, of the unmerged networks, their average and the ensemble.  "
        f"Expected calibration errors: {'; '.join(parts)}."
    )


def temperature_choices(table: DataFrame, *, narrow: bool = False) -> Figure:
    """β and the test loss along λ for each way to choose β: a thin line for each pair, a bold line for the mean."""

    def draw(axes: list[Axes], of_network: DataFrame) -> list[Line2D]:
        for choice, look in _CHOICES.items():
            chosen = of_network[of_network["choice"] == choice]
            for axis, column in zip(axes, ("inverse_temperature", "loss"), strict=True):
                draw_curves(axis, chosen, "coefficient", column, look, marks=(1, 4))
        axes[0].set_title(f"{_name(of_network)}: β")
        axes[1].set_title("loss")
        label_panels([axes[0]], "inverse temperature β", narrow=narrow)
        label_panels([axes[1]], "test loss (nats)", narrow=narrow)
        _few_octaves(axes[0], of_network["inverse_temperature"].max())
        axes[1].set_ylim(0, None)
        return [handle(CHOICES[choice], look) for choice, look in _CHOICES.items()]

    return network_rows(table, 2, draw, height=2.8, narrow=narrow, legend_lines=4, title="inverse temperature")


def _few_octaves(axis: Axes, largest: float) -> None:
    axis.set_yscale("log", base=2)
    ticks = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128) if largest > 5 else (0.25, 0.5, 0.7, 1, 1.5, 2, 3, 4)
    axis.yaxis.set_major_locator(FixedLocator(ticks))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def temperature_choices_alt(table: DataFrame) -> str:
    """`temperature_choices` for those who do not see it."""
    parts = []
    for (recipe, width), chosen in groups(table, "recipe", "width_multiplier"):
        means = chosen.groupby("choice")["loss"].mean()
        values = ", ".join(f"{name} {means[choice]:.3f}" for choice, name in CHOICES.items())
        parts.append(f"{recipe_label(recipe)} {width_label(width)}: {values}")
    return (
        "Curves of the inverse temperature and of the test loss against λ, one for each way to choose the temperature. "
        f"Losses in nats, averaged over λ: {'; '.join(parts)}."
    )


def calibration_examples(table: DataFrame, *, narrow: bool = False) -> Figure:
    """What fitting β on few examples costs, and how far such a β is from that of all examples; one row per network.

    Thick bars hold the middle eight of ten samples, thin bars all of them; a point is the median of one pair.
    """

    def draw(axes: list[Axes], of_network: DataFrame) -> list[Line2D]:
        for axis, column in zip(axes, ("excess_loss", "ratio"), strict=True):
            _draw_samples(axis, of_network, column)
        axes[0].set_title(f"{_name(of_network)}: cost")
        axes[0].set_ylabel("loss above that with all (nats)")
        scale_values(axes[0], of_network["excess_loss"])
        axes[1].set_title("fitted β")
        axes[1].set_ylabel("β / β of all examples")
        axes[1].axhline(1, color=style.INK, linewidth=1, linestyle=":", zorder=1)
        axes[1].set_yscale("log", base=4)
        fractions(axes[1].yaxis)
        named = {"all samples": _ALL, "eight of ten": _MIDDLE, "median of a pair": _MEDIAN}
        return [handle(name, look) for name, look in named.items()]

    return network_rows(table, 2, draw, height=2.5, narrow=narrow, legend_lines=3)


def _draw_samples(axis: Axes, table: DataFrame, column: str) -> None:
    sizes = sorted(table["examples"].unique())
    for place, size in enumerate(sizes):
        values = table[table["examples"] == size]
        low, middle_low, middle_high, high = values[column].quantile([0, 0.1, 0.9, 1])
        axis.plot([place] * 2, [low, high], **_ALL)
        axis.plot([place] * 2, [middle_low, middle_high], **_MIDDLE)
        medians = values.groupby(SEEDS)[column].median()
        offsets = 0.11 * (numpy.arange(len(medians)) - (len(medians) - 1) / 2)
        axis.plot(place + offsets, medians, **_MEDIAN)
    axis.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    axis.set_xlim(-0.6, len(sizes) - 0.4)
    axis.grid(visible=False, axis="x")
    axis.set_xlabel("calibration examples")


def calibration_examples_alt(table: DataFrame) -> str:
    """`calibration_examples` for those who do not see it."""
    parts = []
    for (recipe, width), chosen in groups(table, "recipe", "width_multiplier"):
        medians = chosen.groupby("examples")["excess_loss"].median()
        values = ", ".join(f"{value:.3f} with {size}" for size, value in medians.items())
        parts.append(f"{recipe_label(recipe)} {width_label(width)}: {values}")
    return (
        "Bars of the test loss, above that with all calibration examples, against how many there are, and of the "
        f"inverse temperature that they give. Medians in nats: {'; '.join(parts)}."
    )


_STATES: dict[str, dict[str, Any]] = {
    "raw": {"color": style.WEAK, "marker": "s", "mec": style.GROUND, "mew": 0.5},
    "calibrated": {"color": style.STRONG, "marker": "o", "mec": style.GROUND, "mew": 0.5},
}
_CHOICES: dict[str, dict[str, Any]] = {
    "raw": {"color": style.CONTROL, "linestyle": ":", "linewidth": 1.6},
    "midpoint": {"color": style.FOURTH, "linestyle": "-", "linewidth": 1.6, "marker": "^", "markersize": 4},
    "single": {"color": style.WEAK, "linestyle": "-", "linewidth": 1.6, "marker": "s", "markersize": 3.6},
    "predicted": {"color": style.INK, "linestyle": "--", "linewidth": 1.4, "zorder": 5},
    "fitted": {"color": style.STRONG, "linestyle": "-", "linewidth": 2, "marker": "o", "markersize": 4},
}
_MEDIAN: dict[str, Any] = {"color": style.INK, "marker": "o", "markersize": 3.6, "linestyle": "none", "zorder": 4}
_ALL: dict[str, Any] = {"color": style.STRONG, "linewidth": 1, "alpha": 0.6, "zorder": 2}
_MIDDLE: dict[str, Any] = {"color": style.STRONG, "linewidth": 6, "alpha": 0.35, "zorder": 2}
