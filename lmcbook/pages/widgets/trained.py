"""What the explorers of trained networks share: controls of width and weight decay, lines of pairs, words, columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import decay_label, pair_count, width_label
from lmcbook.pages.widgets import drawing
from lmcbook.pages.widgets.drawing import Chart
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers
from lmcbook.pages.widgets.source import Source


def of_networks(found: Iterable[Source], make: Callable[[Source], Explorer]) -> Explorers:
    """One explorer for each of the networks, with a list to choose from; first shown is the one of the most widths."""
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


def place(width_multiplier: float, weight_decay: float) -> str:
    """Width and weight decay in words."""
    return f"width {width_label(width_multiplier)}, weight decay {decay_label(weight_decay)}"


def read_out(read: Mapping[str, str]) -> str:
    """What `drawing.readout` shows, in a sentence."""
    return ", ".join(f"{name} {value}" for name, value in read.items())


def mean_of_pairs(records: Sequence[Record]) -> str:
    """How many pairs a frame is the mean of, in words."""
    return f"mean of {pair_count(len(records))}"


def lines_of_pairs(
    chart: Chart,
    source: Source,
    width_multiplier: float,
    weight_decay: float,
    points: Callable[[Sequence[Record]], list[drawing.Point]],
    *,
    between: str = "",
    thinned: int = 1,
) -> list[str]:
    """The mean of these pairs as a bold line, over each pair as a thin one, over the means of other widths in grey.

    Args:
        chart: the panel.
        source: the network.
        width_multiplier: of these pairs.
        weight_decay: of these pairs.
        points: the mean line of some pairs.
        between: what is drawn over the other widths and under these pairs.
        thinned: of the other widths' points every how many-eth is enough.
    """
    records = source.at_hand(width_multiplier, weight_decay)
    drawn = [
        chart.line(points(others)[::thinned], "c")
        for other in source.width_multipliers
        if other != width_multiplier and (others := source.at_hand(other, weight_decay))
    ]
    drawn.append(between)
    if len(records) > 1:
        drawn += [chart.line(points([each]), "p") for each in records]
    return [*drawn, chart.line(points(records), "l")]


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
