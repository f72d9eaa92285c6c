"""The layers explorer: how each layer of the merged network compares with what LEWC predicts of it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Unpack

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import decay_label, width_label
from lmcbook.pages.widgets import drawing, trained
from lmcbook.pages.widgets.drawing import Chart, amount, percent
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers, Layer
from lmcbook.pages.widgets.source import Choice, Source, sources

_METRICS = ("decay_exponent", "lewc_cosine", "lewc_error", "llfc_error")
_READ = ("layer", "exponent", "LEWC says", "LLFC says", "cosine", "off LEWC by", "off LLFC by")
_READ_NORMALISED = ("layer", "exponent", "orthogonal says", "LLFC says", "cosine", "off LLFC by")
"""Of networks with batch norm, where an error against LEWC is only the factor that batch norm removes."""


def layers(records: Sequence[Record] = (), **choice: Unpack[Choice]) -> Explorers:
    """Decay exponent, cosine and relative error of every layer at λ = ½: width, weight decay and layer.

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
            Control(
                name="depth",
                label="layer ℓ",
                options={str(depth): depth for depth in range(1, len(names) + 1)},
                start=len(names) - 1,
            ),
        ),
        layers=(
            Layer(controls=("width_multiplier", "weight_decay"), draw=drawn.curves),
            Layer(controls=("width_multiplier", "weight_decay", "depth"), draw=drawn.marks),
        ),
        note=(
            "At λ = ½. Bold: mean over pairs; thin: each pair; grey: the other widths. The decay exponent is −log₂ of "
            "the merged layer's norm relative to that of the sum of the two networks' layers, with which the cosine is."
            + (
                " Batch norm removes the factors of hidden layers, and only the logits tell the two laws apart."
                if drawn.normalised()
                else ""
            )
        ),
        stills={width_label(width): {"width_multiplier": width} for width in source.ends},
        finding=drawn.finding,
        table=lambda: trained.table(source.records, _rows),
    )


def _rows(record: Record) -> list[dict[str, Any]]:
    return [
        {"layer": entry["layer"], "depth": entry["depth"], **{name: entry["metrics"].get(name) for name in _METRICS}}
        for entry in _middle(record)
    ]


class _Drawn:
    """The drawings of one network."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._metrics: dict[str, dict[int, dict[str, float | None]]] = {}
        self._names: list[str] = []
        self._panels: tuple[int, tuple[Chart, Chart]] | None = None

    def _at(self, record: Record, metric: str, depth: int) -> float | None:
        if record.address not in self._metrics:
            self._metrics[record.address] = {entry["depth"]: entry["metrics"] for entry in _middle(record)}
        return self._metrics[record.address].get(depth, {}).get(metric)

    def _line(self, records: Sequence[Record], metric: str) -> list[drawing.Point]:
        depths = range(1, len(self.layer_names()) + 1)
        return [(depth, drawing.mean([self._at(record, metric, depth) for record in records])) for depth in depths]

    def layer_names(self) -> list[str]:
        """The layers' names, from the first; without any record yet, those of a network that is computed now."""
        if not self._names:
            self._names = [entry["layer"] for entry in _middle(self._source.example())]
        return self._names

    def normalised(self) -> bool:
        """Whether the networks have batch norm: LEWC's exponent is 2 there, however many layers they have."""
        known = self._source.known
        return all(record.lewc_exponent == 2 and record.config.training.num_layers != 2 for record in known)

    def _read(self) -> tuple[str, ...]:
        return _READ_NORMALISED if self.normalised() else _READ

    def curves(self, width_multiplier: float, weight_decay: float) -> str:
        """What the chosen layer does not change."""
        records = self._source.of(width_multiplier, weight_decay)
        if not records:
            return drawing.nothing(trained.place(width_multiplier, weight_decay))
        exponent, cosine = self._charts()
        parts = {"decay_exponent": [exponent.axes()], "lewc_cosine": [cosine.axes()]}
        for name, chart in (("decay_exponent", exponent), ("lewc_cosine", cosine)):
            of_laws = laws(chart, len(self.layer_names()), normalised=self.normalised())
            line = partial(self._line, metric=name)
            parts[name] += trained.lines_of_pairs(
                chart,
                self._source,
                width_multiplier,
                weight_decay,
                line,
                between=of_laws if name == "decay_exponent" else "",
            )
            parts[name] += [chart.dot(*point, "k", 3.5) for point in line(records)]
        return drawing.panels(*(drawing.svg(*each) for each in parts.values())) + drawing.room(*self._read())

    def marks(self, width_multiplier: float, weight_decay: float, depth: int) -> str:
        """What the chosen layer changes: the marks on the lines and the numbers."""
        records = self._source.of(width_multiplier, weight_decay)
        if not records:
            return ""
        name = self.layer_names()[depth - 1]
        at = {metric: drawing.mean([self._at(record, metric, depth) for record in records]) for metric in _METRICS}
        exponent_panel, cosine_panel = self._charts()
        drawings = [
            drawing.svg(
                chart.guide(depth), chart.dot(depth, value, "m", 6), chart.value(depth, value, amount(value, 2))
            )
            for chart, value in ((exponent_panel, at["decay_exponent"]), (cosine_panel, at["lewc_cosine"]))
        ]
        numbers = (
            f"{depth} ({name})",
            amount(at["decay_exponent"], 2),
            f"{self._law()[0](depth):g}",
            "1",
            amount(at["lewc_cosine"], 3),
            *([] if self.normalised() else [percent(at["lewc_error"])]),
            percent(at["llfc_error"]),
        )
        read = dict(zip(self._read(), numbers, strict=True))
        label = (
            f"Decay exponent and cosine against the layer at λ = ½. {self._source.title}, "
            f"{trained.place(width_multiplier, weight_decay)}: {trained.read_out(read)}; "
            f"{trained.mean_of_pairs(records)}."
        )
        return drawing.panels(*drawings, label=label) + drawing.readout(read)

    def finding(self) -> str:
        """What becomes of the last layer between the narrowest and the widest networks."""
        source, depth = self._source, len(self.layer_names())
        decay = source.weight_decays[0]
        parts = []
        for width in source.ends:
            cosine, exponent = (
                drawing.mean([self._at(record, metric, depth) for record in source.of(width, decay)])
                for metric in ("lewc_cosine", "decay_exponent")
            )
            parts.append(f"{amount(cosine, 2)} and {amount(exponent, 2)} at width {width_label(width)}")
        law = f"for the exponent {self._law()[1]} {self._law()[0](depth):g}, LLFC 1"
        return (
            f"{source.title}, weight decay {decay_label(decay)}: the logits' cosine with the prediction and their "
            f"decay exponent are {', '.join(parts)}; {law}."
        )

    def _law(self) -> tuple[Callable[[int], float], str]:
        """What the exponential law says of a layer's exponent, and the law's name with its verb."""
        last = len(self.layer_names())
        if self.normalised():
            return (lambda depth: 2.0 if depth == last else 1.0), "LEWC's mechanism under batch norm says"
        return float, "LEWC says"

    def _charts(self) -> tuple[Chart, Chart]:
        known = self._source.known
        if self._panels is None or self._panels[0] != len(known):
            self._panels = len(known), self._new_charts(known)
        return self._panels[1]

    def _new_charts(self, known: Sequence[Record]) -> tuple[Chart, Chart]:
        depths = range(1, len(self.layer_names()) + 1)
        exponents, cosines = (
            [value for record in known for depth in depths if (value := self._at(record, name, depth)) is not None]
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


def _middle(record: Record) -> list[dict]:
    """The entries of the merged model at λ = ½, in the order of the layers."""
    entries = [each for each in record.data["layers"] if each["coefficient"] == 0.5 and each["depth"] is not None]
    return sorted(entries, key=lambda entry: entry["depth"])
