"""What is asked of the plan: a scale, and what is chosen in place of the scale's own."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, no_type_check

from lmcbook.errors import InputError, check_choice, check_number
from lmcbook.lab.recipes import recipe
from lmcbook.training.config import PRECISIONS

SCALES: tuple[str, ...] = ("embedded", "desk", "paper")


@no_type_check  # what users give is checked below, in words of ours
@dataclass(frozen=True, slots=True)
class Selection:
    """What every planning function such as `lmcbook.lab.plan.width` takes. ``None`` leaves a choice to the scale.

    Raises:
        InputError: a value is not what it may be.
    """

    scale: str = "embedded"
    _: KW_ONLY
    recipes: Sequence[str] | None = None
    width_multipliers: Sequence[float] | None = None
    seed_pairs: Sequence[tuple[int, int]] | None = None
    weight_decays: Sequence[float] | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, SCALES)
        for name, check in _CHECKS.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check(name, getattr(self, name)))

    def filled(self, **usual: Any) -> "Selection":
        """The same selection, with ``usual`` where it leaves the choice."""
        return replace(self, **{name: value for name, value in usual.items() if getattr(self, name) is None})


def checked_recipes(name: str, value: Any) -> tuple[str, ...]:
    """Names of recipes, or one name.

    Raises:
        InputError: there is none, or one is unknown.
    """
    names = value if isinstance(value, list | tuple) else [value]
    if not names:
        raise InputError(f"{name} is an empty list; leave it None for the scale's own")
    return tuple(recipe(given).name for given in names)


def checked_numbers(
    minimum: float | None = None, above: float | None = None
) -> Callable[[str, Any], tuple[float, ...]]:
    """A check of numbers, or of one number, inside these bounds, none of them twice."""

    def check(name: str, value: Any) -> tuple[float, ...]:
        values = value if isinstance(value, list | tuple) else [value]
        if not values:
            raise InputError(f"{name} is an empty list; leave it None for the scale's own")
        for number in values:
            check_number(name, number, minimum=minimum, above=above)
        if len(set(values)) < len(values):
            raise InputError(f"{name} is {list(values)}; each value may stand there once")
        return tuple(float(number) for number in values)

    return check


def checked_seed_pairs(name: str, value: Any) -> tuple[tuple[int, int], ...]:
    """Pairs of seeds, nested or in a row, no seed twice.

    Raises:
        InputError: they are not.
    """
    form = "it must be pairs of seeds, [[0, 1], [2, 3]] or in a row [0, 1, 2, 3]"
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"{name} is {value!r}; {form}")
    nested = [isinstance(part, list | tuple) for part in value]
    if any(nested) and not all(nested):
        raise InputError(f"{name} is {value!r}; {form}")
    flat = [seed for pair in value for seed in pair] if all(nested) else list(value)
    if len(flat) % 2 or (all(nested) and any(len(pair) != 2 for pair in value)):
        raise InputError(f"{name} is {value!r}; {form}")
    for seed in flat:
        check_number(name, seed, minimum=0, integer=True)
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
    for a, b in pairs:
        if a == b:
            raise InputError(f"{name} has the pair ({a}, {b}); its two seeds must differ, or a network meets itself")
    if len(set(flat)) < len(flat):
        raise InputError(f"{name} is {value!r}; no seed may be in two pairs, or the pairs are not independent")
    return pairs


def checked_whole(name: str, value: Any) -> int:
    """A whole number above 0, such as of epochs or of examples in a batch.

    Raises:
        InputError: it is not.
    """
    check_number(name, value, minimum=1, integer=True)
    return int(value)


def checked_rate(name: str, value: Any) -> float:
    """One learning rate above 0.

    Raises:
        InputError: it is not.
    """
    check_number(name, value, above=0)
    return float(value)


def _checked_precision(name: str, value: Any) -> str:
    check_choice(name, value, PRECISIONS)
    return str(value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "recipes": checked_recipes,
    "width_multipliers": checked_numbers(above=0),
    "seed_pairs": checked_seed_pairs,
    "weight_decays": checked_numbers(minimum=0),
    "epochs": checked_whole,
    "learning_rate": checked_rate,
    "batch_size": checked_whole,
    "precision": _checked_precision,
}
