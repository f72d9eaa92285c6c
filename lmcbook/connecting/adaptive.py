"""Which points of a line have to be measured to find its barrier: the highest rise above the chord of the two ends."""

from collections.abc import Callable, Sequence
from itertools import pairwise

Worth = tuple[float, ...]
"""What is higher the worse a network is: its loss, and the share of images that it gets wrong."""

FIRST = (0.0, 0.25, 0.5, 0.75, 1.0)
FINEST = 0.125
"""Gaps beside the highest point are halved until they are no wider than this, however the parabolas lie."""


def points_of_barrier(
    grid: Sequence[float], worth_at: Callable[[float], Worth], tolerance: Worth, always: Sequence[float] = ()
) -> list[float]:
    """The λ of ``grid`` that were measured, sorted: the others cannot rise above the highest of them.

    The ends, the quarters and ``always`` come first. Then a gap is halved where a parabola through three neighbours
    rises above all that is known by more than ``tolerance``, and beside the highest point in any case. On a line
    without a barrier that is 5 points, beside one peak about 7, whatever the grid.

    Args:
        grid: candidates, sorted, with 0 and 1 among them.
        worth_at: measures one λ; asked once for every λ.
        tolerance: of each part of the worth, what need not be found.
    """
    candidates = sorted({*grid, *always})
    start = {min(candidates, key=lambda each: abs(each - wanted)) for wanted in FIRST} | {*always}
    known = {each: worth_at(each) for each in sorted(start)}
    while True:
        halves = {
            half for part, least in enumerate(tolerance) for half in _worth_halving(candidates, known, part, least)
        }
        if not halves:
            return sorted(known)
        known |= {each: worth_at(each) for each in sorted(halves)}


def _worth_halving(candidates: Sequence[float], known: dict[float, Worth], part: int, least: float) -> set[float]:
    """The middles of the gaps in which one part of the worth may have its highest rise."""
    ends = known[0.0][part], known[1.0][part]
    rise = {each: worth[part] - ((1 - each) * ends[0] + each * ends[1]) for each, worth in known.items()}
    highest = max(rise, key=lambda each: rise[each])
    places = sorted(rise)
    found = set()
    for index, (left, right) in enumerate(pairwise(places)):
        inside = [each for each in candidates if left < each < right]
        if not inside:
            continue
        triples = [places[first : first + 3] for first in (index - 1, index) if 0 <= first <= len(places) - 3]
        promised = max(_parabola(triple, rise, each) for triple in triples for each in inside)
        beside = highest in (left, right) and right - left > FINEST and rise[highest] > least
        if beside or promised > rise[highest] + least:
            found.add(min(inside, key=lambda each: abs(each - (left + right) / 2)))
    return found


def _parabola(places: Sequence[float], values: dict[float, float], at: float) -> float:
    """The value at one place of the parabola through three others (Lagrange)."""
    total = 0.0
    for place in places:
        weight = 1.0
        for other in places:
            if other != place:
                weight *= (at - other) / (place - other)
        total += weight * values[place]
    return total
