"""The active-units explorer: which hidden units the two networks use, and how far they are the same."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import decay_label, width_label
from lmcbook.pages.widgets import drawing, trained
from lmcbook.pages.widgets.drawing import WIDTH, Chart, amount, percent
from lmcbook.pages.widgets.explorer import Explorer, Explorers, Layer
from lmcbook.pages.widgets.source import Choice, Source, sources
from lmcbook.pages.widgets.trained import Drawn, Pairs

GRID_HEIGHT = 170
"""Units of the drawing that the grid may be high."""

VISIBLE = 0.1
"""Units whose root second moment is below this share of the layer's largest are a dot: their marks would be specks."""

MARKS = 12_000
"""At most this many units in all frames of one network together, which keeps them under a megabyte."""

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
            trained.depth(depths, start=depths.index(depth)),
        ),
        layers=(
            # what is computed live adds a point to the panel, so that it must be drawn after it
            Layer(
                controls=("weight_decay", "depth")
                if source.compute is None
                else ("width_multiplier", "weight_decay", "depth"),
                draw=drawn.overlaps,
            ),
            trained.layer(drawn.grid, "depth", source=source),
        ),
        note=NOTE,
        stills=trained.ends(reversed(source.ends)),
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
        for entry in trained.entries(record, _hidden)
    ]


class _Drawn(Drawn):
    """The drawings of one network."""

    def _entry(self, record: Record, depth: int) -> dict[str, Any]:
        return self.by_depth(record, _hidden)[depth]

    def _at(self, record: Record, metric: str, depth: int) -> float | None:
        return self._entry(record, depth)["metrics"].get(metric)

    def depths(self) -> list[int]:
        """The hidden layers; without any record yet, those of a network that is computed now."""
        return list(self.by_depth(self.source.example(), _hidden))

    def most(self) -> int:
        """How many units a frame may show: a power of two, so that all frames together stay within `MARKS`."""
        counts = [
            len(entry["units"]["a"]["root_second_moments"])
            for width in self.source.width_multipliers
            for decay in self.source.weight_decays
            for record in self.source.at_hand(width, decay)[:1]
            for entry in self.by_depth(record, _hidden).values()
        ]
        # drawn one at a time, frames need no limit
        limits = [1024] if self.source.compute else [1024, 512, 256, 128, 64]
        fitting = [limit for limit in limits if sum(min(count, limit) for count in counts) <= MARKS]
        return (fitting or limits[-1:])[0]

    def grid(self, pairs: Pairs, depth: int) -> str:
        """Both models' units of one layer, and the mark on the overlap against the width."""
        first = pairs.records[0]
        units = self._entry(first, depth)["units"]
        overlap, expected, active_a, active_b = (pairs.mean(self._at, name, depth) for name in _METRICS)
        moments = [_chosen(units[model]["root_second_moments"], self.kept(self.most)) for model in "ab"]
        shown, total = len(moments[0]), units["a"]["num_units"]
        sample = f"{shown} of {total} units, evenly chosen" if shown < total else f"all {total} units"
        title = f"layer {depth}: {sample}, seeds {' and '.join(map(str, first.config.seeds))}"
        numbers = (str(total), amount(overlap, 2), amount(expected, 2), percent(active_a), percent(active_b))
        chart, places = self.kept(self._chart, pairs.weight_decay)
        return drawing.frame(
            drawing.svg(drawing.text(0, 13, title, look="T"), _marks(*moments)),
            chart.mark(places[pairs.width_multiplier], overlap, numbers[1]),
            before=(
                "A mark for each unit's root second moment in both models, and their overlap against the width. "
                f"{self.source.title}, layer {depth}, {pairs.place}: "
            ),
            read=dict(zip(_READ, numbers, strict=True)),
        )

    def finding(self, depth: int) -> str:
        """What becomes of the overlap between the narrowest and the widest networks."""
        parts = []
        for pairs in self.at_ends():
            at = [amount(pairs.mean(self._at, name, depth), 2) for name in ("overlap", "expected_overlap")]
            parts.append(f"{at[0]} at width {width_label(pairs.width_multiplier)} (in random order {at[1]})")
        return (
            f"{self.source.title}, weight decay {decay_label(self.source.weight_decays[0])}: the overlap of the two "
            f"networks' units in layer {depth} is {', '.join(parts)}."
        )

    def overlaps(self, weight_decay: float, depth: int, width_multiplier: float | None = None) -> str:
        """What the width does not change: the overlap against it; a width that is given is computed first."""
        if width_multiplier is not None:
            self.source.of(width_multiplier, weight_decay)
        chart, places = self.kept(self._chart, weight_decay)
        records = {place: self.source.at_hand(width, weight_decay) for width, place in places.items()}
        overlap, expected = (
            [
                (place, drawing.mean([self._at(record, name, depth) for record in found]))
                for place, found in records.items()
            ]
            for name in ("overlap", "expected_overlap")
        )
        lines = chart.line(expected, "d"), chart.line(overlap, "l")
        dots = [
            chart.dot(place, self._at(record, "overlap", depth), "k", 3)
            for place, found in records.items()
            for record in found
        ]
        return drawing.ground(drawing.svg(), drawing.svg(chart.axes(), *lines, *dots), names=_READ)

    def _chart(self, weight_decay: float) -> tuple[Chart, dict[float, float]]:
        """The panel of the overlap, and where each width stands in it."""
        widths = [width for width in self.source.width_multipliers if self.source.at_hand(width, weight_decay)]
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
    """At most this many of the values, evenly chosen."""
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
"""Discs of one size, if there are this many, are a path of their own."""


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

    Whole numbers add up without an error, so that a mark may be found from the mark before, which is shorter.
    """
    steps = []
    pen: tuple[int, int] | None = None
    for x, y, shape in marks:
        ways = [f"M{x} {y}"] if pen is None else [f"m{x - pen[0]} {y - pen[1]}", f"M{x} {y}"]
        steps.append(min((way.replace(" -", "-") for way in ways), key=len) + shape)
        pen = x + drift, y
    return "".join(steps)


def _hidden(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a record is about the endpoints' units in a hidden layer."""
    return "units" in entry
