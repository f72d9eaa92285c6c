"""What the explorers of trained networks share: controls, layers of drawings, pairs and their lines, columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import decay_label, pair_count, width_label
from lmcbook.pages.widgets import drawing
from lmcbook.pages.widgets.drawing import Chart
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers, Layer
from lmcbook.pages.widgets.source import Source


def of_networks(found: Iterable[Source], make: Callable[[Source], Explorer]) -> Explorers:
    """One explorer for each of the networks, with a list to choose from; first shown is that of the most widths."""
    networks = list(found)
    start = max(range(len(networks)), key=lambda index: len(networks[index].width_multipliers))
    return Explorers(members=tuple(make(source) for source in networks), start=start)


def of_network(source: Source, kind: str, title: str, **parts: Any) -> Explorer:
    """An explorer of one network; ``parts`` are the arguments of `Explorer` that say what it shows."""
    return Explorer(
        name=f"explorer-{kind}-{source.recipe.replace('_', '-')}",
        title=title,
        network=source.title,
        records=source.records,
        live=source.compute is not None,
        **parts,
    )


def width_and_decay(source: Source, *, play: bool = False, widest_first: bool = False) -> tuple[Control, Control]:
    """What every network can be changed in: ``width_multiplier`` and ``weight_decay``."""
    widths = source.width_multipliers
    return (
        Control(
            name="width_multiplier",
            label="width",
            options={width_label(each): each for each in widths},
            play=play,
            start=widths.index(source.ends[-1 if widest_first else 0]),
        ),
        Control(
            name="weight_decay",
            label="weight decay",
            options={decay_label(each): each for each in source.weight_decays},
            kind="buttons",
        ),
    )


def depth(depths: Sequence[int], *, start: int) -> Control:
    """The layer; ``start`` is the position of the layer that is shown first."""
    return Control(name="depth", label="layer ℓ", options={str(each): each for each in depths}, start=start)


def ends(found: Iterable[float], **more: Any) -> dict[str, dict[str, Any]]:
    """Stills of some widths that differ in nothing else."""
    return {width_label(width): {"width_multiplier": width, **more} for width in found}


def layer(draw: Callable[..., str], *controls: str, source: Source, over: bool = False) -> Layer:
    """A layer of a drawing that depends on width, weight decay and more ``controls``.

    Args:
        draw: what to draw of some `Pairs`, with the other controls' values as keyword arguments.
        controls: names of the others.
        source: the network.
        over: whether it lies over another such layer, which says already where there is no record.
    """

    def drawn(width_multiplier: float, weight_decay: float, **others: Any) -> str:
        pairs = Pairs(source, width_multiplier, weight_decay)
        if pairs.records:
            return draw(pairs, **others)
        return "" if over else drawing.nothing(pairs.place)

    return Layer(controls=("width_multiplier", "weight_decay", *controls), draw=drawn)


class Pairs:
    """The pairs of one width and weight decay of a network; computed if there are no records."""

    def __init__(self, source: Source, width_multiplier: float, weight_decay: float) -> None:
        self.source = source
        self.width_multiplier = width_multiplier
        self.weight_decay = weight_decay
        self.records = source.of(width_multiplier, weight_decay)

    @property
    def place(self) -> str:
        """Width and weight decay in words."""
        return f"width {width_label(self.width_multiplier)}, weight decay {decay_label(self.weight_decay)}"

    @property
    def count(self) -> str:
        """How many pairs a frame is the mean of, as the end of a sentence."""
        return f"; mean of {pair_count(len(self.records))}"

    def mean(self, value: Callable[..., float | None], *arguments: Any) -> float | None:
        """The mean of ``value(record, *arguments)`` over the pairs that have it."""
        return drawing.mean([value(record, *arguments) for record in self.records])

    def lines(
        self,
        chart: Chart,
        points: Callable[[Sequence[Record]], list[drawing.Point]],
        *,
        between: str = "",
        thinned: int = 1,
    ) -> list[str]:
        """The mean of these pairs as a bold line, over each pair as a thin line, over other widths' means in grey.

        Args:
            chart: the panel.
            points: the mean line of some pairs.
            between: what is drawn over the other widths and under these pairs.
            thinned: of the other widths' points every how many-eth is enough.
        """
        drawn = [
            chart.line(points(others)[::thinned], "c")
            for other in self.source.width_multipliers
            if other != self.width_multiplier and (others := self.source.at_hand(other, self.weight_decay))
        ]
        drawn.append(between)
        if len(self.records) > 1:
            drawn += [chart.line(points([each]), "p") for each in self.records]
        return [*drawn, chart.line(points(self.records), "l")]


class Drawn:
    """The drawings of one network; their panels change with nothing but what is known of it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._kept: dict[tuple[Any, ...], Any] = {}

    def kept(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """What ``make`` gives, made again only where records were computed meanwhile."""
        key = make.__name__, len(self.source.known), *arguments
        if key not in self._kept:
            self._kept[key] = make(*arguments)
        return self._kept[key]

    def by_depth(self, record: Record, wanted: Callable[[Mapping[str, Any]], bool]) -> dict[int, dict[str, Any]]:
        """The `entries` of a record by depth, looked up once."""
        key = record.address, wanted
        if key not in self._kept:
            self._kept[key] = {entry["depth"]: entry for entry in entries(record, wanted)}
        return self._kept[key]

    def at_ends(self) -> list[Pairs]:
        """The pairs of the narrowest and the widest networks, with the first weight decay."""
        return [Pairs(self.source, width, self.source.weight_decays[0]) for width in self.source.ends]


def entries(record: Record, wanted: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, Any]]:
    """The wanted entries about layers of a layerwise record, in the order of the layers."""
    found = [each for each in record.data["layers"] if wanted(each) and each["depth"] is not None]
    return sorted(found, key=lambda entry: entry["depth"])


def table(records: Iterable[Record], entries: Callable[[Record], Iterable[Mapping[str, Any]]]) -> DataFrame:
    """One row for each of the ``entries`` of each record, with the columns that say which pair it is of."""
    return DataFrame(
        {
            "recipe": record.recipe,
            "width_multiplier": record.config.training.width_multiplier,
            "weight_decay": record.config.training.weight_decay,
            "seed_a": record.config.seeds[0],
            "seed_b": record.config.seeds[1],
            **entry,
        }
        for record in records
        for entry in entries(record)
    )
