"""What one measurement of one pair of networks is: frozen, checked at birth, addressed by its digest; no torch."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, no_type_check

from lmcbook.errors import InputError, check_choice, check_number, one_line
from lmcbook.training.config import CODE_VERSIONS as TRAINING_VERSIONS
from lmcbook.training.config import TrainingConfig, digest_of, plain_fields, trains_together

ALIGNMENTS: tuple[str, ...] = ("identity", "random", "weight_matching", "activation_matching")
MEASUREMENTS: tuple[str, ...] = (
    *("interpolation", "layerwise", "calibration", "flatness"),
    *("repair", "common_mode", "self_merge", "controls", "many", "placement"),
)
SHARED: tuple[str, ...] = ("nothing", "order", "start")

# Raised by hand when a change of the code changes numbers: a digest must not move with every edited comment.
CODE_VERSIONS = {
    **{"interpolation": 2, "layerwise": 4, "calibration": 1, "flatness": 1},
    **{"repair": 1, "common_mode": 1, "self_merge": 1, "controls": 1, "many": 1, "placement": 1},
}

# Fields that came later: left out where they say what was so before they came, so that older digests still hold.
_LATER_FIELDS = frozenset({"shared", "shared_fraction", "num_directions", "repair_examples", "more_seeds"})


@no_type_check
@dataclass(frozen=True, kw_only=True)  # without slots, in which nothing can be cached
class PairConfig:
    """Everything that decides the numbers of one measurement of one pair of networks.

    The pair are two trainings that differ in their seed alone: ``training`` with ``seeds[0]`` is model a, with
    ``seeds[1]`` model b, which may share model a's start or order of examples. The interpolation coefficient
    multiplies model a.

    Raises:
        InputError: a value is outside what it may be.
    """

    training: TrainingConfig
    """Both trainings; its own seed does not count."""
    seeds: tuple[int, int] = (0, 1)
    """Seed of model a and of model b."""
    alignment: str = "identity"
    """What is done to model b before the merge: identity, random, weight_matching or activation_matching."""
    measurement: str = "interpolation"
    """What is measured: interpolation (losses and accuracies along the line), layerwise (inside the networks),
    calibration (what inverse temperatures do and need), flatness (the loss along other lines of the same length),
    repair (losses and accuracies of the repaired merged networks), common_mode (the split of reciprocal orthogonality),
    self_merge (each network averaged with shuffled copies of itself), controls (the average at λ = ½, plain and
    repaired), many (averages of more than two networks) or placement (both at random places of wider networks)."""
    num_coefficients: int = 25
    """Number of equally spaced interpolation coefficients from 0 to 1, both ends included; odd, so that ½ is one."""
    batch_norm_examples: int = 10_000
    """At most this many un-augmented training images recompute the merged model's batch-norm statistics."""
    matching_examples: int = 1_000
    """Activation matching correlates activations over at most this many training images."""
    shared: str = "nothing"
    """What model b takes over from model a: nothing, order (the order of the examples, from another initialisation) or
    start (the same initialisation and the same first ``shared_fraction`` of the steps: a spawned pair)."""
    shared_fraction: float = 0.0
    """Part of the training, from its start, that a spawned pair has in common; 0: the initialisation alone."""
    num_directions: int = 20
    """Random directions along which flatness is measured."""
    repair_examples: int = 500
    """Repairs measure means over at most this many un-augmented training images."""
    more_seeds: tuple[int, ...] = ()
    """Seeds of the further networks that ``many`` averages, in the order in which they join."""

    def __post_init__(self) -> None:
        seeds = tuple(self.seeds) if isinstance(self.seeds, list | tuple) else ()
        if len(seeds) != 2:
            raise InputError(f"seeds is {self.seeds!r}; it must be two seeds, for example (0, 1)")
        for seed in seeds:
            check_number("seeds", seed, minimum=0, integer=True)
        if seeds[0] == seeds[1]:
            raise InputError(
                f"seeds is {seeds}; the two seeds of a pair must differ, or a network is merged with itself"
            )
        check_choice("alignment", self.alignment, ALIGNMENTS)
        check_choice("measurement", self.measurement, MEASUREMENTS)
        check_number("num_coefficients", self.num_coefficients, minimum=3, integer=True)
        if self.num_coefficients % 2 == 0:
            raise InputError(f"num_coefficients is {self.num_coefficients}; it must be odd, so that ½ is on the grid")
        check_number("batch_norm_examples", self.batch_norm_examples, minimum=2, integer=True)
        check_number("matching_examples", self.matching_examples, minimum=2, integer=True)
        check_choice("shared", self.shared, SHARED)
        check_number("shared_fraction", self.shared_fraction, minimum=0, below=1)
        if self.shared != "start" and self.shared_fraction != 0:
            raise InputError(
                f"shared_fraction is {self.shared_fraction:g} with shared {self.shared!r}; only a pair that shares its "
                "start has such a fraction, so it must be 0"
            )
        check_number("repair_examples", self.repair_examples, minimum=2, integer=True)
        check_number("num_directions", self.num_directions, minimum=1, integer=True)
        more = tuple(self.more_seeds)
        for seed in more:
            check_number("more_seeds", seed, minimum=0, integer=True)
        if len({*seeds, *more}) < 2 + len(more):
            raise InputError(f"more_seeds is {more}; with seeds {seeds} no seed may come twice")
        if more and self.measurement != "many":
            raise InputError(f"more_seeds is {more} with measurement {self.measurement!r}; only 'many' takes more")
        object.__setattr__(self, "more_seeds", more)
        object.__setattr__(self, "shared_fraction", float(self.shared_fraction))
        object.__setattr__(self, "seeds", seeds)
        if self.training.seed != 0:
            object.__setattr__(self, "training", replace(self.training, seed=0))

    @property
    def training_a(self) -> TrainingConfig:
        return replace(self.training, seed=self.seeds[0])

    @property
    def training_b(self) -> TrainingConfig:
        own = replace(self.training, seed=self.seeds[1])
        if self.shared == "order":
            return replace(own, order_seed=self.seeds[0])
        if self.shared == "start":
            start = replace(own, initialisation_seed=self.seeds[0])
            if self.shared_fraction == 0:
                return start
            return replace(start, order_seed=self.seeds[0], order_seed_fraction=self.shared_fraction)
        return own

    @cached_property
    def digest(self) -> str:
        """What the address of the record of this measurement begins with: see `lmcbook.lab.addresses`."""
        names = ["training", self.measurement, *(["together"] if trains_together(self.training) else [])]
        versions = {name: (TRAINING_VERSIONS | CODE_VERSIONS)[name] for name in names}
        return digest_of({"pair": self.to_dict(), "versions": versions})

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` reads it back."""
        content = plain_fields(self, _LATER_FIELDS)
        training = {name: value for name, value in self.training.to_dict().items() if name != "seed"}
        return {**content, "training": training, "seeds": list(self.seeds)} | (
            {"more_seeds": list(self.more_seeds)} if self.more_seeds else {}
        )

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "PairConfig":
        """Read what `to_dict` wrote.

        Raises:
            InputError: a field is unknown, missing or has a value that it cannot have.
        """
        training: Any = content.get("training")
        for part, known_to in ((content, cls), (training, TrainingConfig)):
            known = {field.name for field in fields(known_to)}
            unknown = sorted(set(part) - known) if isinstance(part, dict) else [part]
            if unknown:
                raise InputError(f"{known_to.__name__} has unknown fields {unknown}; known are {sorted(known)}")
        try:
            return cls(**{**content, "training": TrainingConfig(**training)})
        except TypeError as error:
            raise InputError(f"configuration cannot be read: {one_line(error)}") from error
