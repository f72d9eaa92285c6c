"""Charts as compact SVG: a frame of an explorer is one of hundreds, so every byte is drawn by hand."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Point = tuple[float, float | None]

WIDTH, HEIGHT = 340, 220
"""Units of a panel: about its pixels on a phone, so that 12 units of text stay readable there."""

QUARTERS = {0.0: "0", 0.25: "¼", 0.5: "½", 0.75: "¾", 1.0: "1"}
"""Ticks of an axis from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One panel with two axes; its methods give pieces of SVG to be joined by `svg`."""

    title: str
    """What the vertical axis shows, with its unit; stands above the panel."""
    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Mapping[float, str]
    y_ticks: Mapping[float, str]
    x_label: str
    logarithmic: bool = False
    """Whether the horizontal axis is."""
    left: float = field(default=38, kw_only=True)
    right: float = WIDTH - 12
    top: float = 28
    bottom: float = HEIGHT - 38

    def across(self, value: float) -> float:
        """The horizontal place of ``value``."""
        start, end, value = (math.log(each) if self.logarithmic else each for each in (*self.x, value))
        return self.left + (value - start) / (end - start) * (self.right - self.left)

    def up(self, value: float) -> float:
        """The vertical place of ``value``; what lies beyond the panel stands a little beyond its edge."""
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return self.bottom - min(max(share, -0.03), 1.03) * (self.bottom - self.top)

    def axes(self) -> str:
        """Title, grid, axis and the labels of both."""
        rows = "".join(f"M{number(self.left)} {number(self.up(each))}H{number(self.right)}" for each in self.y_ticks)
        parts = [
            f'<text class="T" x="0" y="13">{html.escape(self.title)}</text>',
            f'<path class="g" d="{rows}"/>',
            f'<path class="x" d="M{number(self.left)} {number(self.bottom)}H{number(self.right)}"/>',
        ]
        parts += [text(self.left - 5, self.up(each) + 4, label, "end") for each, label in self.y_ticks.items()]
        parts += [text(self.across(each), self.bottom + 15, label, "middle") for each, label in self.x_ticks.items()]
        middle = (self.left + self.right) / 2
        return "".join([*parts, text(middle, self.bottom + 32, self.x_label, "middle")])

    def line(self, points: Iterable[Point], look: str) -> str:
        """A line through the points; one without a value, or far beyond the panel, interrupts it."""
        steps: list[str] = []
        pen: tuple[int, int] | None = None
        for x, y in points:
            if y is None or y > self.y[1] + 0.03 * (self.y[1] - self.y[0]):
                pen = None
                continue
            # steps from tenth to tenth are shorter than places, and end where these are
            place = round(10 * self.across(x)), round(10 * self.up(y))
            if pen is None:
                steps.append(f"M{number(place[0] / 10)} {number(place[1] / 10)}")
            else:
                steps.append(_step((place[0] - pen[0]) / 10, (place[1] - pen[1]) / 10))
            pen = place
        return f'<path class="{look}" d="{"".join(steps)}"/>' if steps else ""

    def dot(self, x: float, y: float | None, look: str, radius: float) -> str:
        """A round mark, or nothing where there is no value."""
        if y is None:
            return ""
        place = f'cx="{number(self.across(x))}" cy="{number(self.up(y))}"'
        return f'<circle class="{look}" {place} r="{number(radius)}"/>'

    def discs(self, marks: Iterable[tuple[float, float, float]], look: str) -> str:
        """Round marks of several sizes, (x, y, radius) each, as one path: a third of the bytes of as many dots."""
        steps = [disc(self.across(x), self.up(y), radius) for x, y, radius in marks]
        return f'<path class="{look}" d="{"".join(steps)}"/>' if steps else ""

    def guide(self, x: float) -> str:
        """A vertical line through the whole panel."""
        return f'<path class="v" d="M{number(self.across(x))} {number(self.top)}V{number(self.bottom)}"/>'

    def mark(self, x: float, y: float | None, label: str) -> str:
        """A panel of its own, to lie over this: what it shows at ``x``, a marker with its number on a guide."""
        return svg(self.guide(x), self.dot(x, y, "m", 6), self.value(x, y, label))

    def value(self, x: float, y: float | None, label: str) -> str:
        """A number beside a mark, inside the panel and above or below the line that it stands on."""
        if y is None:
            return ""
        place, height = self.across(x), self.up(y)
        on_the_left = place < (self.left + self.right) / 2
        below = height < self.top + 26
        shift = 9 if on_the_left else -9
        return text(place + shift, height + (18 if below else -9), label, "" if on_the_left else "end", "h")


def disc(x: float, y: float, radius: float) -> str:
    """A full circle as part of a path: an arc all around to a tenth beside its start."""
    return f"M{number(x)} {number(y - radius)}{round_step(radius)}"


def round_step(radius: float, aside: float = 0.1) -> str:
    """The arc of a `disc`, from its topmost point; how far ``aside`` it ends must be too little to be seen."""
    return f"a{number(radius)} {number(radius)} 0 1 0 {number(aside)} 0z"


def _step(across: float, down: float) -> str:
    """A straight step of a path."""
    if down == 0 or across == 0:
        return f"h{number(across)}" if down == 0 else f"v{number(down)}"
    return f"l{number(across)} {number(down)}".replace(" -", "-")


def svg(*parts: str, height: float = HEIGHT, look: str = "") -> str:
    """One panel made of ``parts``."""
    name = f' class="{look}"' if look else ""
    return f'<svg{name} viewBox="0 0 {WIDTH} {number(height)}">{"".join(parts)}</svg>'


def text(x: float, y: float, content: str, anchor: str = "", look: str = "") -> str:
    """A piece of text; ``anchor`` as SVG calls it, by default its start."""
    name = f' class="{look}"' if look else ""
    place = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text{name} x="{number(x)}" y="{number(y)}"{place}>{html.escape(content)}</text>'


def panels(*drawings: str, label: str = "") -> str:
    """Panels side by side, or below each other where there is no room; ``label`` says what they show.

    Without a label they are the ground under other panels that say it.
    """
    role = f'role="img" aria-label="{html.escape(label)}"' if label else 'aria-hidden="true"'
    return f'<div class="lmc-panels" {role}>{"".join(drawings)}</div>'


def ground(*drawings: str, names: Iterable[str]) -> str:
    """Panels under those of a `frame`, with room for its numbers of these ``names``: nothing moves when they come."""
    return (
        f'{panels(*drawings)}<p class="lmc-read lmc-room" aria-hidden="true">{_numbers(dict.fromkeys(names, "0"))}</p>'
    )


def frame(*drawings: str, before: str, read: Mapping[str, str], after: str = "") -> str:
    """Panels over the numbers that they show; ``before``, the numbers and ``after`` say it in one sentence."""
    words = ", ".join(f"{name} {value}" for name, value in read.items())
    return f'{panels(*drawings, label=f"{before}{words}{after}.")}<p class="lmc-read">{_numbers(read)}</p>'


def _numbers(values: Mapping[str, str]) -> str:
    return "".join(f"<span>{html.escape(name)} <b>{html.escape(value)}</b></span>" for name, value in values.items())


def nothing(what: str) -> str:
    """A frame that says that ``what`` is not measured."""
    words = html.escape(f"No record of {what}.")
    return f'<div class="lmc-panels" role="img" aria-label="{words}"><p>{words}</p></div>'


def number(value: float) -> str:
    """A coordinate, to a tenth."""
    if abs(value) < 0.05:
        return "0"
    digits = f"{abs(value):.1f}".removesuffix(".0").removeprefix("0")
    return f"-{digits}" if value < 0 else digits


def amount(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number as readers see it, ``–`` if there is none."""
    if value is None:
        return "–"
    rounded = f"{value:.{digits}f}"
    rounded = rounded.lstrip("-") if float(rounded) == 0 else rounded.replace("-", "−")
    return f"{rounded} {unit}".rstrip()


def percent(share: float | None, digits: int = 0, unit: str = "%") -> str:
    """A fraction as a percentage, or as points of it."""
    return amount(None if share is None else 100 * share, digits, unit)


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of those that are numbers, ``None`` if there is none."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def round_ticks(top: float) -> dict[float, str]:
    """Three to six round numbers from 0 to just above ``top``; the last is where the axis may end."""
    top = max(top, 1e-6)
    size = 10.0 ** math.floor(math.log10(top))
    step = next(each * size for each in (0.1, 0.2, 0.25, 0.5, 1, 2) if top <= 5 * each * size)
    return {index * step: f"{index * step:g}" for index in range(math.ceil(top / step - 1e-9) + 1)}
