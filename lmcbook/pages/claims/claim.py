"""What a claim is: what is said, by whom, and what would count as reproduced, written before anything is measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from lmcbook.lab.plan import recipe
from lmcbook.pages.analysis.labels import recipe_label


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Values from ``low`` to ``high``, both included."""

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def describe(self, factor: float = 1.0, unit: str = "") -> str:
        """``at most 2 points``, ``between −1 and 1 points``: in the unit of the reader."""
        low, high = (f"{factor * bound:g}".replace("-", "−") for bound in (self.low, self.high))
        bounds = [factor * bound for bound in (self.low, self.high) if math.isfinite(bound)]
        unit = f" {unit.removesuffix('s') if bounds == [1] else unit}" if unit else ""
        if math.isinf(self.low):
            return f"at most {high}{unit}"
        return f"at least {low}{unit}" if math.isinf(self.high) else f"between {low} and {high}{unit}"


GROUPS = (
    "the paper's data, batches as in the authors' earlier code",
    "the paper's data, batches as usual in the field",
    "digits",
    "our own questions",
)
"""What verdicts are counted by: claims of the paper on data that it has, with each of two recipes; its claims on the
digits; and what it does not claim."""

_PARTS_OF_THE_PAPER = ("Abstract", "Fig.", "Table", "Appendix", "Theorem", "follows from")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement about one recipe, and the statistic over records that decides it."""

    id: str
    statement: str
    """What is claimed, in words."""
    source: str
    """Where the paper says it, or from what in the paper it follows; else who asks."""
    recipe: str
    """The recipe whose records decide."""
    statistic: str
    """Name of a function of `lmcbook.pages.claims.statistics`: the recipe's pairs → a value for each pair."""
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Of the statistic."""
    paper_value: float | None = None
    """The paper's own number for the statistic, or ``None`` where it gives none."""
    reproduced: Range
    """Where the 95 % interval of the mean over pairs must lie to be called reproduced."""
    partly: Range
    """Where it must lie to be called partly reproduced; holds ``reproduced``."""
    factor: float = 1.0
    """From the statistic's unit to ``unit``."""
    unit: str = ""
    digits: int = 2
    chapter: str = "01_width"
    """The notebook that measures it."""
    layers: int | Literal["own", "all"] = "own"
    """Networks of how many layers decide: the recipe's own number, another of the depth sweep, or all together."""
    batch_size: int | None = None
    """Of the trainings that decide, where the claim is judged at several; else they are the recipe's."""
    pooled: bool = False
    """Whether the statistic is one value of all pairs together, such as a correlation."""

    @property
    def group(self) -> str:
        """Which of `GROUPS` the claim is counted in: its source begins with a part of the paper, or it is our own."""
        if not self.source.startswith(_PARTS_OF_THE_PAPER):
            return GROUPS[3]
        if self.recipe.endswith("-digits"):
            return GROUPS[2]
        return GROUPS[0] if self.batch_size in (None, recipe(self.recipe).training.batch_size) else GROUPS[1]

    @property
    def network(self) -> str:
        """``MLP on MNIST, batches of 125``: what the claim is about, for readers."""
        return recipe_label(self.recipe) + (f", batches of {self.batch_size}" if self.batch_size else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One row of the paper's Table 1: barriers at λ = ½ of networks merged unpermuted and after weight matching."""

    recipe: str
    width_multiplier: float
    accuracy_barrier: float
    """A fraction."""
    calibrated_loss_barrier: float
    """Nats."""
    matched_accuracy_barrier: float
    """After weight matching, a fraction."""
    matched_loss_barrier: float
    """After weight matching, in nats; we take it as not calibrated."""
