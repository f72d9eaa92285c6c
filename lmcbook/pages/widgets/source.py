"""Where an explorer's numbers come from: records by width and weight decay, or what is computed while it is used."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, Unpack

from lmcbook.errors import InputError
from lmcbook.lab.plain import is_plain
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, RECIPES, USUAL_WEIGHT_DECAY
from lmcbook.lab.recipes import recipe as recipe_of
from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import recipe_label

Compute = Callable[..., Iterable[Record]]
"""``compute(recipe=…, width_multiplier=…, weight_decay=…)`` gives the records of these networks, one for each pair."""


class Choice(TypedDict, total=False):
    """What explorers of trained networks take besides records; every key may be left out."""

    compute: Compute | None
    """Gives the records of any width and weight decay while the explorer is used, which needs a kernel; by default,
    only those with records are shown."""
    recipes: Sequence[str] | None
    """The networks; by default, all of the records, those on the paper's own data first."""
    width_multipliers: Sequence[float] | None
    """By default, those of the records."""
    weight_decays: Sequence[float] | None
    """By default, the paper's and the field's usual one, or all of the records if they have neither."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The records of one recipe's pairs as they are merged without a permutation."""

    recipe: str
    measurement: str
    records: tuple[Record, ...]
    """What is there; what `compute` gives comes on top."""
    width_multipliers: tuple[float, ...]
    """Ascending."""
    weight_decays: tuple[float, ...]
    """The strongest first."""
    compute: Compute | None = None
    _computed: dict[tuple[float, float], tuple[Record, ...]] = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        """The network and its data, in words."""
        return recipe_label(self.recipe)

    @property
    def ends(self) -> tuple[float, ...]:
        """The narrowest and the widest networks of the first weight decay; one width if there is only one."""
        decay = self.weight_decays[0]
        # the widest networks may have been trained with another weight decay only, about which there is nothing to say
        there = [width for width in self.width_multipliers if self.compute or self.at_hand(width, decay)]
        widths = there or self.width_multipliers
        return tuple(dict.fromkeys((widths[0], widths[-1])))

    def of(self, width_multiplier: float, weight_decay: float) -> tuple[Record, ...]:
        """The pairs of this width and weight decay; computed, and kept, where there is a ``compute``.

        Raises:
            InputError: ``compute`` gave records of something else.
        """
        if self.compute is None:
            return self.at_hand(width_multiplier, weight_decay)
        asked = width_multiplier, weight_decay
        if asked not in self._computed:
            given = self.compute(recipe=self.recipe, width_multiplier=width_multiplier, weight_decay=weight_decay)
            found = tuple(record for record in given if _counts(record, self.measurement))
            if not found or any(_place(record) != asked for record in found):
                raise InputError(
                    f"compute gave {len(found)} {self.measurement} records of unpermuted pairs, not all of width "
                    f"multiplier {width_multiplier:g} and weight decay {weight_decay:g}; it must give those it is "
                    "asked for"
                )
            self._computed[asked] = found
        return self._computed[asked]

    def at_hand(self, width_multiplier: float, weight_decay: float) -> tuple[Record, ...]:
        """As `of`, without computing anything."""
        asked = width_multiplier, weight_decay
        return self._computed.get(asked) or tuple(record for record in self.records if _place(record) == asked)

    @property
    def known(self) -> tuple[Record, ...]:
        """All records that are there, those that were computed meanwhile included."""
        return (*self.records, *(record for found in self._computed.values() for record in found))

    def example(self) -> Record:
        """Some record; without any yet, of a network that is computed now."""
        return (self.known or self.of(self.width_multipliers[0], self.weight_decays[0]))[0]


def sources(records: Sequence[Record], measurement: str, **choice: Unpack[Choice]) -> list[Source]:
    """One source for each recipe: pairs that were trained alike but for width and weight decay, merged unpermuted.

    Args:
        records: what is there; of a recipe whose pairs differ in more (depth, epochs), the commonest kind counts.
        measurement: interpolation or layerwise.
        choice: see `Choice`.

    Raises:
        InputError: there is nothing to show.
    """
    compute = choice.get("compute")
    plain = [record for record in records if _counts(record, measurement)]
    found = []
    for recipe in choice.get("recipes") or _listed(plain):
        kept = _of_one_kind([record for record in plain if record.recipe == recipe])
        decays = choice.get("weight_decays") or _decays(kept)
        widths = choice.get("width_multipliers") or _widths(kept, decays)
        if not kept and (compute is None or not widths or not decays):
            raise InputError(
                f"records hold no {measurement} of {recipe} merged without a permutation; measure it, or give compute, "
                "width_multipliers and weight_decays"
            )
        found.append(
            Source(
                recipe=recipe,
                measurement=measurement,
                records=tuple(kept),
                width_multipliers=tuple(sorted({float(width) for width in widths})),
                weight_decays=tuple(sorted({float(decay) for decay in decays}, reverse=True)),
                compute=compute,
            )
        )
    if not found:
        raise InputError(
            f"records hold no {measurement} of pairs merged without a permutation; measure some, or give compute, "
            "recipes, width_multipliers and weight_decays"
        )
    return found


def _counts(record: Record, measurement: str) -> bool:
    """Whether it is this measurement of a plain pair, trained for as long as its recipe says and merged unpermuted."""
    is_such = record.measurement == measurement and record.config.alignment == "identity"
    return is_such and is_plain(record.config) and not record.short


def _place(record: Record) -> tuple[float, float]:
    return record.config.training.width_multiplier, record.config.training.weight_decay


def _listed(records: Sequence[Record]) -> list[str]:
    """The recipes: first those on the paper's own data, in the order of the book, then those in its place."""
    scales = {record.recipe: record.scale for record in records}
    order = [*RECIPES, *scales]
    return sorted(scales, key=lambda recipe: (scales[recipe] != "paper", order.index(recipe)))


def _widths(records: Sequence[Record], decays: Sequence[float]) -> list[float]:
    """The widths that have a record of one of these weight decays."""
    places = [_place(record) for record in records]
    return [width for width, decay in places if decay in decays] or [width for width, _ in places]


def _decays(records: Sequence[Record]) -> list[float]:
    """The two weight decays that every width is trained with; others are measured at a single width."""
    there = [record.config.training.weight_decay for record in records]
    return [decay for decay in (MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY) if decay in there] or there


def _of_one_kind(records: list[Record]) -> list[Record]:
    def kind(record: Record) -> Any:
        return record.dataset_sha256, replace(record.config.training, width_multiplier=1.0, weight_decay=0.0)

    counts = Counter(kind(record) for record in records)
    # batches of other sizes are a control, however many there are
    own = _own_batch_size(records[0].recipe) if records else None
    most = max(counts, key=lambda each: (each[1].batch_size == own, counts[each]), default=None)
    return [record for record in records if kind(record) == most]


def _own_batch_size(name: str) -> int | None:
    try:
        return recipe_of(name).training.batch_size
    except InputError:  # records of data that are not known here
        return None
