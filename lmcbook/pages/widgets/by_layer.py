"""The layers explorer: how each layer of the merged network compares with what LEWC predicts of it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import decay_label, width_label
from lmcbook.pages.analysis.layers import relative_to_the_layer
from lmcbook.pages.widgets import drawing, trained
from lmcbook.pages.widgets.drawing import Chart, amount, percent
from lmcbook.pages.widgets.explorer import Explorer, Explorers
from lmcbook.pages.widgets.source import Choice, Source, sources
from lmcbook.pages.widgets.trained import Drawn, Pairs

_METRICS = ("decay_exponent", "lewc_cosine")
_LAWS: dict[str, tuple[str, Callable[[int], int]]] = {
    "off_lewc": ("lewc_error", lambda depth: depth),
    "off_llfc": ("llfc_error", lambda depth: 1),
}
"""A law's distance from a layer, relative to the layer → the records' number, which is relative to the prediction, and
the decay exponent that the law says."""
_READ = ("layer", "exponent", "LEWC says", "LLFC says", "cosine", "off LEWC by", "off LLFC by")
_READ_NORMALISED = ("layer", "exponent", "orthogonal says", "LLFC says", "cosine", "off LLFC by")
"""Of networks with batch norm, where an error against LEWC is only the factor that batch norm removes."""


def layers(records: Sequence[Record] = (), **choice: Unpack[Choice]) -> Explorers:
    """Decay exponent, cosine and distance from both laws of every layer at λ = ½: width, weight decay and layer.

    Args:
        records: layerwise records; others are passed over.
        choice: see `Choice`.

    Raises:
        InputError: there is nothing to show.
    """
    return trained.of_networks(sources(records, "layerwise", **choice), _explorer)


def exponent_chart(num_layers: int, highest: float) -> Chart:
    """The panel of the decay exponent against the layer."""
    ticks = drawing.round_ticks(highest)
    step = max(1, round(num_layers / 6))
    depths = [depth for depth in range(1, num_layers + 1) if depth == 1 or depth % step == 0]
    return Chart(
        title="decay exponent",
        x=(0.5, num_layers + 0.5),
        y=(0.0, highest),
        x_ticks={float(depth): str(depth) for depth in depths},
        y_ticks={place: label for place, label in ticks.items() if place <= highest},
        x_label="layer ℓ",
    )


def laws(chart: Chart, num_layers: int, *, normalised: bool = False) -> str:
    """The two laws in the panel of the decay exponent: LEWC says ℓ, LLFC says 1.

    Under recomputed batch norm every hidden layer loses its factors, and what leads to LEWC says 1 there and 2 for the
    logits (our theorem on batch norm).
    """
    last = num_layers
    rising = [(float(depth), float(depth)) for depth in range(1, last + 1)]
    stepped = [(1.0, 1.0), (last - 1.0, 1.0), (float(last), 2.0)]
    parts = [chart.line(stepped if normalised else rising, "d"), chart.line([(1.0, 1.0), (float(last), 1.0)], "e")]
    name_of_law = "orthogonal: 1, logits 2" if normalised else "LEWC says ℓ"
    for row, (look, name) in enumerate((("d", name_of_law), ("e", "LLFC says 1"))):
        y = chart.top + 6 + 16 * row
        sample = f"M{drawing.number(chart.left + 8)} {drawing.number(y)}h24"
        parts += [f'<path class="{look}" d="{sample}"/>', drawing.text(chart.left + 38, y + 4, name, look="h")]
    return "".join(parts)


def _explorer(source: Source) -> Explorer:
    drawn = _Drawn(source)
    names = drawn.layer_names()
    return trained.of_network(
        source,
        "layers",
        f"The layers: {source.title}",
        controls=(
            *trained.width_and_decay(source, play=True),
            trained.depth(range(1, len(names) + 1), start=len(names) - 1),
        ),
        layers=(
            trained.layer(drawn.curves, source=source),
            trained.layer(drawn.marks, "depth", source=source, over=True),
        ),
        note=(
            "At λ = ½. Bold: mean over pairs; thin: each pair; grey: the other widths. The decay exponent is −log₂ of "
            "the merged layer's norm relative to that of the sum of the two networks' layers, "
            "with which the cosine is. Distances from a law's prediction are relative to the merged layer."
            + (
                " Batch norm removes the factors of hidden layers, and only the logits tell the two laws apart."
                if drawn.normalised()
                else ""
            )
        ),
        stills=trained.ends(source.ends),
        finding=drawn.finding,
        table=lambda: trained.table(source.records, _rows),
    )


def _rows(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "layer": entry["layer"],
            "depth": entry["depth"],
            **{name: entry["metrics"].get(name) for name in _METRICS},
            **{name: _off(entry, name) for name in _LAWS},
        }
        for entry in trained.entries(record, _middle)
    ]


def _off(entry: Mapping[str, Any], law: str) -> float | None:
    """How far a layer is from a law's prediction, relative to the layer; None where that was not measured."""
    metric, says = _LAWS[law]
    error, exponent = (entry["metrics"].get(name) for name in (metric, "decay_exponent"))
    if error is None or exponent is None:
        return None
    return relative_to_the_layer(error, exponent, says(entry["depth"]))


class _Drawn(Drawn):
    """The drawings of one network."""

    def _at(self, record: Record, metric: str, depth: int) -> float | None:
        entry = self.by_depth(record, _middle).get(depth)
        if entry is None:
            return None
        return _off(entry, metric) if metric in _LAWS else entry["metrics"].get(metric)

    def _line(self, records: Sequence[Record], metric: str) -> list[drawing.Point]:
        depths = range(1, len(self.layer_names()) + 1)
        return [(depth, drawing.mean([self._at(record, metric, depth) for record in records])) for depth in depths]

    def layer_names(self) -> list[str]:
        """The layers' names, from the first; without any record yet, those of a network that is computed now."""
        return [entry["layer"] for entry in self.by_depth(self.source.example(), _middle).values()]

    def normalised(self) -> bool:
        """Whether the networks have batch norm: the law of their hidden layers differs."""
        return self.source.example().config.training.has_batch_norm

    def _read(self) -> tuple[str, ...]:
        return _READ_NORMALISED if self.normalised() else _READ

    def curves(self, pairs: Pairs) -> str:
        """What the chosen layer does not change."""
        drawings = []
        of_laws = laws(self.kept(self._charts)[0], len(self.layer_names()), normalised=self.normalised())
        metrics = (("decay_exponent", of_laws), ("lewc_cosine", ""))
        for chart, (metric, between) in zip(self.kept(self._charts), metrics, strict=True):
            line = partial(self._line, metric=metric)
            dots = [chart.dot(*point, "k", 3.5) for point in line(pairs.records)]
            drawings.append(drawing.svg(chart.axes(), *pairs.lines(chart, line, between=between), *dots))
        return drawing.ground(*drawings, names=self._read())

    def marks(self, pairs: Pairs, depth: int) -> str:
        """What the chosen layer changes: the marks on the lines and the numbers."""
        numbers_of = (*_METRICS, *_LAWS)
        exponent, cosine, off_lewc, off_llfc = (pairs.mean(self._at, name, depth) for name in numbers_of)
        numbers = (
            f"{depth} ({self.layer_names()[depth - 1]})",
            amount(exponent, 2),
            f"{self._law()[0](depth):g}",
            "1",
            amount(cosine, 3),
            *([] if self.normalised() else [percent(off_lewc)]),
            percent(off_llfc),
        )
        panels = zip(self.kept(self._charts), (exponent, cosine), strict=True)
        return drawing.frame(
            *(chart.mark(depth, value, amount(value, 2)) for chart, value in panels),
            before=f"Decay exponent and cosine against the layer at λ = ½. {self.source.title}, {pairs.place}: ",
            read=dict(zip(self._read(), numbers, strict=True)),
            after=pairs.count,
        )

    def finding(self) -> str:
        """What becomes of the last layer between the narrowest and the widest networks."""
        depth = len(self.layer_names())
        parts = []
        for pairs in self.at_ends():
            cosine, exponent = (pairs.mean(self._at, metric, depth) for metric in ("lewc_cosine", "decay_exponent"))
            width = width_label(pairs.width_multiplier)
            parts.append(f"{amount(cosine, 2)} and {amount(exponent, 2)} at width {width}")
        law = f"for the exponent {self._law()[1]} {self._law()[0](depth):g}, LLFC 1"
        return (
            f"{self.source.title}, weight decay {decay_label(self.source.weight_decays[0])}: the logits' cosine with "
            f"the prediction and their decay exponent are {', '.join(parts)}; {law}."
        )

    def _law(self) -> tuple[Callable[[int], float], str]:
        """What the exponential law says of a layer's exponent, and the law's name with its verb."""
        last = len(self.layer_names())
        if self.normalised():
            return (lambda depth: 2.0 if depth == last else 1.0), "LEWC's mechanism under batch norm says"
        return float, "LEWC says"

    def _charts(self) -> tuple[Chart, Chart]:
        depths = range(1, len(self.layer_names()) + 1)
        exponents, cosines = (
            [
                value
                for record in self.source.known
                for depth in depths
                if (value := self._at(record, name, depth)) is not None
            ]
            for name in ("decay_exponent", "lewc_cosine")
        )
        highest = max([2.5, *(value * 1.15 for value in exponents)])
        # without batch norm all of LEWC's line is to be seen
        highest = highest if self.normalised() else max(highest, len(depths) + 0.4)
        lowest = 0.5 if min(cosines, default=1) >= 0.5 else 0.0
        places = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if lowest else (0.0, 0.25, 0.5, 0.75, 1.0)
        exponent = exponent_chart(len(depths), highest)
        cosine = Chart(
            title="cosine with the prediction",
            x=exponent.x,
            y=(lowest, 1.0),
            x_ticks=exponent.x_ticks,
            y_ticks={place: f"{place:g}" for place in places},
            x_label="layer ℓ",
        )
        return exponent, cosine


def _middle(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a record is of the merged model at λ = ½."""
    return entry["coefficient"] == 0.5
