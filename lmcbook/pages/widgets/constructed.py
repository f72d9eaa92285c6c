"""The theorem explorer: two constructed networks slide from disjoint to identical units, and LEWC turns into LLFC."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.pages.widgets import drawing
from lmcbook.pages.widgets.by_layer import exponent_chart, laws
from lmcbook.pages.widgets.drawing import WIDTH, amount, percent
from lmcbook.pages.widgets.explorer import Control, Explorer, Layer

Row = Mapping[str, Any]
"""``shared_units, units, depth, decay_exponent, off_lewc, off_llfc, orthogonality, commutativity``."""

_READ = ("shared units", "exponent of the logits", "off LEWC by", "off LLFC by", "orthogonality", "commutativity")


def theorem(
    rows: Iterable[Row] = (), *, compute: Callable[[int], Iterable[Row]] | None = None, units: int = 0
) -> Explorer:
    """Two constructed networks of which some units are the same: where LEWC holds, where LLFC, and what lies between.

    Args:
        rows: what `lmcbook.theory.slide` gives: a row for each number of shared units and layer.
        compute: gives such rows for a number of shared units while the explorer is used, which needs a kernel.
        units: hidden units of each network in every layer; with ``compute`` the slider goes from 0 to it.

    Raises:
        InputError: there is nothing to show.
    """
    given = [dict(row) for row in rows]
    if compute is not None and units < 1:
        raise InputError(f"units is {units}; with compute it must say how many hidden units the networks have")
    if compute is None and not given:
        raise InputError("rows is empty; give those of lmcbook.theory.slide, or compute")
    drawn = _Drawn(given, compute)
    places = list(range(units + 1)) if compute else sorted({row["shared_units"] for row in given})
    size = units if compute else given[0]["units"]
    return Explorer(
        name="explorer-theorem",
        title="The theorem: two constructed networks slide from disjoint to identical",
        controls=(
            Control(
                name="shared_units",
                label="shared units",
                options={f"{each} of {size}": each for each in places},
                play=True,
            ),
        ),
        layers=(Layer(controls=("shared_units",), draw=drawn.frame),),
        note=(
            "Squares: a layer's weights in network a, in network b and in their average. Solid blue: a's own units; "
            "outlined: b's own; grey: units that both have. In the average, what one network has alone is halved in "
            "every layer, and what both have is not. Distances from the laws are relative to the merged logits."
        ),
        stills={f"{each} of {size} units shared": {"shared_units": each} for each in _stops(places)},
        finding=lambda: drawn.finding(_stops(places)),
        table=lambda: DataFrame(drawn.rows),
        live=compute is not None,
    )


def _stops(places: Sequence[int]) -> list[int]:
    """The first, the middle and the last, and one between the first two, where most happens."""
    return list(dict.fromkeys(places[round(share * (len(places) - 1))] for share in (0, 0.25, 0.5, 1)))


class _Drawn:
    """The drawings, from rows that are known or computed when they are asked for."""

    def __init__(self, rows: list[dict[str, Any]], compute: Callable[[int], Iterable[Row]] | None) -> None:
        self.rows = rows
        self._compute = compute

    def of(self, shared_units: int) -> list[dict[str, Any]]:
        """The rows of this number of shared units, by layer."""
        found = [row for row in self.rows if row["shared_units"] == shared_units]
        if not found and self._compute is not None:
            found = [dict(row) for row in self._compute(shared_units)]
            if not found or any(row["shared_units"] != shared_units for row in found):
                raise InputError(
                    f"compute gave no rows of {shared_units} shared units; it must give those it is asked for"
                )
            self.rows = [*self.rows, *found]
        return sorted(found, key=lambda row: row["depth"])

    def finding(self, stops: Sequence[int]) -> str:
        """The logits' exponents on the way."""
        last = [self.of(shared)[-1] for shared in stops]
        parts = [f"{amount(row['decay_exponent'], 2)} with {row['shared_units']} shared units" for row in last]
        return (
            f"Of {last[0]['units']} hidden units, the logits' decay exponent is {', '.join(parts)}; LEWC says "
            f"{last[0]['depth']}, LLFC 1."
        )

    def frame(self, shared_units: int) -> str:
        """The blocks of the weights and the exponents of the layers."""
        rows = self.of(shared_units)
        last = rows[-1]
        chart = exponent_chart(len(rows), len(rows) + 0.4)
        points: list[drawing.Point] = [(row["depth"], row["decay_exponent"]) for row in rows]
        exponents = drawing.svg(
            chart.axes(),
            laws(chart, len(rows)),
            chart.line(points, "l"),
            *(chart.dot(*point, "m", 5) for point in points),
            chart.value(*points[-1], amount(last["decay_exponent"], 2)),
        )
        worst = {
            name: max((row[name] for row in rows if row[name] is not None and row[name] == row[name]), default=None)
            for name in ("orthogonality", "commutativity")
        }
        numbers = (
            f"{shared_units} of {last['units']}",
            amount(last["decay_exponent"], 2),
            percent(last["off_lewc"]),
            percent(last["off_llfc"]),
            amount(worst["orthogonality"], 2),
            amount(worst["commutativity"], 2),
        )
        return drawing.frame(
            blocks(shared_units / last["units"]),
            exponents,
            before=(
                "Blocks of the weights of two constructed networks and of their average, and the decay exponent of "
                "every layer: "
            ),
            read=dict(zip(_READ, numbers, strict=True)),
        )


def blocks(share: float) -> str:
    """The weights of a hidden layer in both networks and their average, when this share of the units is the same."""
    gap, size, top = 20, (WIDTH - 40) / 3, 52
    total = 2 - share
    own, common = (1 - share) / total * size, share / total * size
    parts = [drawing.text(0, 13, "whose weights are whose", look="T")]
    for index, name in enumerate(("network a", "network b", "average")):
        left = index * (size + gap)
        a_at, common_at, b_at = left, left + own, left + own + common
        frame = f"M{drawing.number(left)} {top}h{drawing.number(size)}v{drawing.number(size)}h-{drawing.number(size)}z"
        parts.append(drawing.text(left + size / 2, top - 10, name, "middle"))
        # a block lies on the diagonal, so that its distance from the left is its distance from the top
        parts += [
            _block(place, top + place - left, side, look, faded=index == 2 and look != "s")
            for place, side, look, owners in (
                (a_at, own, "A", (0, 2)),
                (common_at, common, "s", (0, 1, 2)),
                (b_at, own, "B", (1, 2)),
            )
            if index in owners and side > 0
        ]
        parts.append(f'<path class="x" d="{frame}"/>')
    captions = ("own + shared", "own + shared", "own halved")
    parts += [
        drawing.text(index * (size + gap) + size / 2, top + size + 18, caption, "middle")
        for index, caption in enumerate(captions)
    ]
    return drawing.svg(*parts, height=top + size + 30)


def _block(x: float, y: float, side: float, look: str, *, faded: bool) -> str:
    inset = 1.5 if look == "B" else 0.0
    place = f'x="{drawing.number(x + inset)}" y="{drawing.number(y + inset)}"'
    length = drawing.number(max(side - 2 * inset, 0.1))
    classes = f"{look} half" if faded else look
    return f'<rect class="{classes}" {place} width="{length}" height="{length}"/>'
