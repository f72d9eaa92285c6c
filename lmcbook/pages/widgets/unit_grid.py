"""The active-units explorer: which hidden units the two networks use, and how far they are the same."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import decay_label, width_label
from lmcbook.pages.widgets import drawing, trained
from lmcbook.pages.widgets.drawing import WIDTH, Chart, amount, percent
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers, Layer
from lmcbook.pages.widgets.source import Choice, Source, sources

GRID_HEIGHT = 170
"""Units of the drawing that the grid may be high."""

VISIBLE = 0.1
"""Units whose root second moment is below this share of the layer's largest are a dot: their marks would be specks."""

MARKS = 12_000
"""At most so many units in all frames of one network together, which keeps them under a megabyte."""

_METRICS = ("overlap", "expected_overlap", "active_share_a", "active_share_b")
_READ = ("units", "overlap", "in random order", "active in a", "active in b")

NOTE = (
    '<span class="lmc-key"><svg viewBox="0 0 10 10" aria-hidden="true"><circle class="A" cx="5" cy="5" r="4.5"/></svg>'
    " a unit of model a, "
    '<svg viewBox="0 0 10 10" aria-hidden="true"><path class="B" d="M1 1H9V9H1Z"/></svg> '
    "the unit of model b in the same place; larger marks are larger root second moments of pre-activations.</span>"
)


def active_units(records: Sequence[Record] = (), **choice: Unpack[Choice]) -> Explorers:
    """Root second moments of the units of both models on one grid, and their overlap: width, weight decay, layer.

    Args:
        records: layerwise records; others are passed over.
        choice: see `Choice`.

    Raises:
        InputError: there is nothing to show.
    """
    return trained.of_networks(sources(records, "layerwise", **choice), _explorer)


def _explorer(source: Source) -> Explorer:
    drawn = _Drawn(source)
    depths = drawn.depths()
    depth = depths[min(1, len(depths) - 1)]
    return trained.of_network(
        source,
        "units",
        f"Active units: {source.title}",
        controls=(
            *trained.width_and_decay(source, play=True, widest_first=True),
            Control(
                name="depth",
                label="layer ℓ",
                options={str(each): each for each in depths},
                start=depths.index(depth),
            ),
        ),
        layers=(
            # what is computed live adds a point to the panel, so that it must be drawn after it
            Layer(
                controls=("weight_decay", "depth")
                if source.compute is None
                else ("width_multiplier", "weight_decay", "depth"),
                draw=drawn.overlaps,
            ),
            Layer(controls=("width_multiplier", "weight_decay", "depth"), draw=drawn.grid),
        ),
        note=NOTE,
        stills={width_label(width): {"width_multiplier": width} for width in reversed(source.ends)},
        finding=lambda: drawn.finding(depth),
        table=lambda: trained.table(source.records, _rows),
    )


def _rows(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "layer": entry["layer"],
            "depth": entry["depth"],
            "num_units": entry["units"]["a"]["num_units"],
            **{name: entry["metrics"].get(name) for name in _METRICS},
        }
        for entry in _hidden(record)
    ]


class _Drawn:
    """The drawings of one network."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._most: int | None = None
        self._entries: dict[str, dict[int, dict[str, Any]]] = {}

    def _entry(self, record: Record, depth: int) -> dict[str, Any]:
        if record.address not in self._entries:
            self._entries[record.address] = {entry["depth"]: entry for entry in _hidden(record)}
        return self._entries[record.address][depth]

    def depths(self) -> list[int]:
        """The hidden layers; without any record yet, those of a network that is computed now."""
        return [entry["depth"] for entry in _hidden(self._source.example())]

    def most(self) -> int:
        """How many units a frame may show: a power of two, so that all frames together stay within `MARKS`."""
        if self._most is None:
            counts = [
                len(entry["units"]["a"]["root_second_moments"])
                for width in self._source.width_multipliers
                for decay in self._source.weight_decays
                for record in self._source.at_hand(width, decay)[:1]
                for entry in _hidden(record)
            ]
            # drawn one at a time, frames need no limit
            limits = [1024] if self._source.compute else [1024, 512, 256, 128, 64]
            fitting = [limit for limit in limits if sum(min(count, limit) for count in counts) <= MARKS]
            self._most = (fitting or limits[-1:])[0]
        return self._most

    def grid(self, width_multiplier: float, weight_decay: float, depth: int) -> str:
        """Both models' units of one layer, and the mark on the overlap against the width."""
        records = self._source.of(width_multiplier, weight_decay)
        if not records:
            return drawing.nothing(trained.place(width_multiplier, weight_decay))
        first = records[0]
        entry = self._entry(first, depth)
        at = {
            name: drawing.mean([self._entry(record, depth)["metrics"].get(name) for record in records])
            for name in _METRICS
        }
        moments = [_chosen(entry["units"][model]["root_second_moments"], self.most()) for model in "ab"]
        shown, total = len(moments[0]), entry["units"]["a"]["num_units"]
        sample = f"{shown} of {total} units, evenly chosen" if shown < total else f"all {total} units"
        seeds = " and ".join(map(str, first.config.seeds))
        title = f"layer {depth}: {sample}, seeds {seeds}"
        units = drawing.svg(drawing.text(0, 13, title, look="T"), _marks(*moments))
        numbers = (
            str(total),
            amount(at["overlap"], 2),
            amount(at["expected_overlap"], 2),
            percent(at["active_share_a"]),
            percent(at["active_share_b"]),
        )
        read = dict(zip(_READ, numbers, strict=True))
        label = (
            f"A mark for each unit's root second moment in both models, and their overlap against the width. "
            f"{self._source.title}, layer {depth}, {trained.place(width_multiplier, weight_decay)}: "
            f"{trained.read_out(read)}."
        )
        chart, places = self._chart(weight_decay)
        place = places[width_multiplier]
        mark = drawing.svg(
            chart.guide(place), chart.dot(place, at["overlap"], "m", 6), chart.value(place, at["overlap"], numbers[1])
        )
        return drawing.panels(units, mark, label=label) + drawing.readout(read)

    def finding(self, depth: int) -> str:
        """What becomes of the overlap between the narrowest and the widest networks."""
        source = self._source
        decay = source.weight_decays[0]
        parts = []
        for width in source.ends:
            at = [
                drawing.mean([self._entry(record, depth)["metrics"].get(name) for record in source.of(width, decay)])
                for name in ("overlap", "expected_overlap")
            ]
            parts.append(f"{amount(at[0], 2)} at width {width_label(width)} (in random order {amount(at[1], 2)})")
        return (
            f"{source.title}, weight decay {decay_label(decay)}: the overlap of the two networks' units in layer "
            f"{depth} is {', '.join(parts)}."
        )

    def overlaps(self, weight_decay: float, depth: int, width_multiplier: float | None = None) -> str:
        """What the width does not change: the overlap against it; a width that is given is computed first."""
        if width_multiplier is not None:
            self._source.of(width_multiplier, weight_decay)
        chart, places = self._chart(weight_decay)
        lines: dict[str, list[drawing.Point]] = {"overlap": [], "expected_overlap": []}
        dots = []
        for width, place in places.items():
            entries = [self._entry(record, depth) for record in self._source.at_hand(width, weight_decay)]
            for name, points in lines.items():
                points.append((place, drawing.mean([entry["metrics"].get(name) for entry in entries])))
            dots += [chart.dot(place, entry["metrics"].get("overlap"), "k", 3) for entry in entries]
        drawn = [chart.axes(), chart.line(lines["expected_overlap"], "d"), chart.line(lines["overlap"], "l"), *dots]
        return drawing.panels(drawing.svg(), drawing.svg(*drawn)) + drawing.room(*_READ)

    def _chart(self, weight_decay: float) -> tuple[Chart, dict[float, float]]:
        """The panel of the overlap, and where each width stands in it."""
        widths = [width for width in self._source.width_multipliers if self._source.at_hand(width, weight_decay)]
        # equal steps for equal ratios would leave no room for the names of widths that lie close together
        places = {width: float(index) for index, width in enumerate(widths)}
        chart = Chart(
            title="overlap against width",
            x=(-0.4, max(len(widths), 1) - 0.6),
            y=(0.0, 1.0),
            x_ticks={place: width_label(width) for width, place in places.items()},
            y_ticks={0.0: "0", 0.5: "½", 1.0: "1"},
            x_label="width multiplier",
        )
        return chart, places


def _chosen(values: Sequence[float | None], most: int) -> list[float | None]:
    """At most so many of the values, evenly chosen."""
    count = min(len(values), most)
    return [values[index * len(values) // count] for index in range(count)]


def _marks(roots_a: Sequence[float | None], roots_b: Sequence[float | None]) -> str:
    """A grid with a disc for each unit of model a and a square for model b's, model a's most active unit first."""
    pairs = [(a or 0.0, b or 0.0) for a, b in zip(roots_a, roots_b, strict=True)]
    order = sorted(pairs, reverse=True)
    largest = max(max(pair) for pair in pairs) or 1.0
    columns = math.ceil(math.sqrt(len(order) * WIDTH / GRID_HEIGHT))
    rows = math.ceil(len(order) / columns)
    cell = min(WIDTH / columns, GRID_HEIGHT / rows, 44)
    left, top = (WIDTH - cell * columns) / 2, 26 + (GRID_HEIGHT - cell * rows) / 2
    places: list[_Mark] = []
    squares: list[_Mark] = []
    discs: dict[int, list[_Mark]] = {}
    for index, (a, b) in enumerate(order):
        # in tenths, which need no decimal points
        x, y = 10 * (left + cell * (index % columns + 0.5)), 10 * (top + cell * (index // columns + 0.5))
        size_a, size_b = (10 * each / largest * cell * 0.46 for each in (a, b))
        if max(a, b) < VISIBLE * largest:
            places.append((round(x) - 6, round(y), "h12"))
        if a >= VISIBLE * largest:
            discs.setdefault(round(2 * size_a), []).append((round(x), round(y), "h0"))
        if b >= VISIBLE * largest:
            side = round(2 * size_b)
            squares.append((round(x - size_b), round(y - size_b), f"h{side}v{side}h-{side}z"))
    drawn = [f'<path class="g" d="{_path(places, drift=12)}"/>'] if places else []
    drawn += _discs(discs)
    drawn += [f'<path class="B" d="{_path(squares)}"/>'] if squares else []
    return f'<g class="u" transform="scale(.1)">{"".join(drawn)}</g>'


_Mark = tuple[int, int, str]
"""Where a mark begins, and its steps from there."""

FEW = 3
"""Discs of so many of one size are a path of their own."""


def _discs(by_size: Mapping[int, Sequence[_Mark]]) -> list[str]:
    """Discs in as few bytes as they take: points that are stroked with round caps, where several have one size.

    Others are arcs, three times as many bytes as a point and half of a path of their own.
    """
    arcs, points = [], []
    for size, marks in by_size.items():
        if len(marks) >= FEW:
            points.append(f'<path stroke-width="{size}" d="{_path(marks)}"/>')
        else:
            arcs += [(x, y - size // 2, drawing.round_step(size / 2, 1)) for x, y, _ in marks]
    return [
        *([f'<path class="A" d="{_path(arcs)}"/>'] if arcs else []),
        *([f'<g class="A">{"".join(points)}</g>'] if points else []),
    ]


def _path(marks: Sequence[_Mark], drift: int = 0) -> str:
    """Marks as the steps of one path; each of them ends ``drift`` to the right of where it begins.

    Whole numbers add up without an error, so that a mark may be found from the one before, which is shorter.
    """
    steps = []
    pen: tuple[int, int] | None = None
    for x, y, shape in marks:
        ways = [f"M{x} {y}"] if pen is None else [f"m{x - pen[0]} {y - pen[1]}", f"M{x} {y}"]
        steps.append(min((way.replace(" -", "-") for way in ways), key=len) + shape)
        pen = x + drift, y
    return "".join(steps)


def _hidden(record: Record) -> list[dict[str, Any]]:
    """The entries about the endpoints' hidden layers, in the order of the layers."""
    entries = [each for each in record.data["layers"] if "units" in each and each["depth"] is not None]
    return sorted(entries, key=lambda entry: entry["depth"])
