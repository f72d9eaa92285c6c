"""A sentence that says what numbers mean, with the numbers beside it: the page puts them into a small table."""

import re
from collections.abc import Iterable, Mapping, Sequence

from pandas import DataFrame

from lmcbook.pages.analysis.labels import at_width, decay_label, enumerated, pair_count
from lmcbook.pages.analysis.vocabulary import decays, ends

Ends = tuple[str, str, str, str]
"""A weight decay in words, the mean at the narrowest and at the widest, and whether it falls, rises or stays."""


class Told(str):
    """A sentence of words and its ``rows`` of numbers, each a mapping from a column's title to what stands there."""

    rows: tuple[Mapping[str, str], ...]

    def __new__(cls, sentence: str, rows: Sequence[Mapping[str, str]]) -> "Told":
        """The sentence, as any other text, with its rows."""
        told = super().__new__(cls, sentence)
        told.rows = tuple(rows)
        return told


def numbers_of(finding: str | Iterable[str]) -> DataFrame:
    """The rows of all sentences of a finding, one below the other; empty where they have none.

    Rows that say different things of the same (network and weight decay, say) are one row.
    """
    sentences = [finding] if isinstance(finding, str) else finding
    rows: list[dict[str, str]] = []
    for sentence in sentences:
        for row in sentence.rows if isinstance(sentence, Told) else ():
            for earlier in rows:
                shared = earlier.keys() & row.keys()
                if len(shared) > 1 and shared != row.keys() and all(earlier[name] == row[name] for name in shared):
                    earlier.update(row)
                    break
            else:
                rows.append(dict(row))
    return DataFrame(rows).fillna("–")


_COUNT = re.compile(r" \((\d[^()]*\bpairs?)\b[^()]*\)\.$")
"""How many pairs a sentence rests on, at its end."""


def together(sentences: Iterable[str]) -> list[str]:
    """Sentences that say the same of different networks as one sentence, which names all of these networks.

    A sentence is of the network that its rows name, where it begins with that name. Counts of pairs at the end may
    differ; then there is one from the least to the most.
    """
    alike: dict[str, list[tuple[str, str, str]]] = {}
    for sentence in sentences:
        network = sentence.rows[0].get("network", "") if isinstance(sentence, Told) and sentence.rows else ""
        network = network if sentence.startswith(network) else ""
        count = _COUNT.search(sentence) if network else None
        rest = sentence[len(network) :].removesuffix(count.group() if count else "").removesuffix(".")
        alike.setdefault(rest, []).append((sentence, network, count.group(1) if count else ""))
    return [_of_all(found, rest) if len(found) > 1 and found[0][1] else found[0][0] for rest, found in alike.items()]


def _of_all(found: Sequence[tuple[str, str, str]], rest: str) -> str:
    """One sentence for several that differ in their network, and perhaps in their count of pairs."""
    places: dict[str, list[str]] = {}
    for _, network, _ in found:
        kind, at, width = network.partition(" at ")
        places.setdefault(f"{kind}{at}", []).append(width)
    names = enumerated([f"{kind}{enumerated(widths)}" for kind, widths in places.items()])
    endings = {match.group() if (match := _COUNT.search(sentence)) else "." for sentence, *_ in found}
    counts = [int(number) for *_, count in found for number in re.findall(r"\d+", count)]
    ending = endings.pop() if len(endings) == 1 else f" ({pair_count(*counts)} each)." if counts else "."
    return f"{names}{rest}{ending}"


def tables_of(finding: str | Iterable[str]) -> list[DataFrame]:
    """`numbers_of` as a table for each kind of rows: two kinds share less than half of the columns of the smaller."""
    every = numbers_of(finding)
    kinds: list[tuple[set[str], list[int]]] = []
    for place, row in enumerate(every.to_dict("records")):
        columns = {str(name) for name, cell in row.items() if cell != "–"} - {"network"}
        found = next(
            (kind for kind in kinds if 2 * len(kind[0] & columns) >= min(len(kind[0]), len(columns)) > 0), None
        )
        if found is None:
            kinds.append(found := (set(), []))
        found[0].update(columns)
        found[1].append(place)
    return [every.loc[places, [name for name in every if name in columns | {"network"}]] for columns, places in kinds]


def by_decay(table: DataFrame, column: str, factor: float, digits: int) -> list[Ends]:
    """What a column is at the narrowest and at the widest, for each weight decay of a network's rows."""
    found = []
    for decay, rows in decays(table):
        parts = ends(rows)
        said = [at_width(part, column, factor, digits) for part in parts]
        means = [part[column].mean() for part in parts]
        way = (
            change(means[0], means[1], factor=factor, digits=digits) if len(parts) > 1 else "was measured at one width"
        )
        found.append((decay_label(decay), said[0], said[-1] if len(parts) > 1 else "–", way))
    return found


def from_narrow_to_wide(found: Sequence[Ends]) -> str:
    """``falls from narrow to wide with weight decay 3e-3 and 1e-4``; ways that differ are named one after the other."""
    ways: dict[str, list[str]] = {}
    for decay, *_, way in found:
        ways.setdefault(way, []).append(decay)
    return ", ".join(
        f"{way}{'' if 'one width' in way else ' from narrow to wide'} with weight decay {' and '.join(named)}"
        for way, named in ways.items()
    )


def with_decays(said: Mapping[str, str]) -> str:
    """``above it with weight decay 3e-3 and 1e-4``: of a mapping from a weight decay in words to what is said of it."""
    ways: dict[str, list[str]] = {}
    for decay, way in said.items():
        ways.setdefault(way, []).append(decay)
    return ", ".join(f"{way} with weight decay {' and '.join(named)}" for way, named in ways.items())


def change(before: float, after: float, *, factor: float = 1, digits: int | None = None) -> str:
    """``falls``, ``rises`` or ``stays``, from the one number to the other.

    Args:
        factor: to the unit that both are shown in.
        digits: after the point, as both are shown: what looks the same stays.
    """
    if digits is not None:
        before, after = round(factor * before, digits), round(factor * after, digits)
    return "falls" if after < before else "rises" if after > before else "stays"
