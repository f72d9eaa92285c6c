"""How a training is carried out: all that may change its speed and its memory, and its numbers by rounding at most."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, no_type_check

from lmcbook.errors import InputError, check_choice, check_number

SHARDS: tuple[str, ...] = ("data", "parameters")

VARIABLES: dict[str, str] = {
    "compiled": "LMCBOOK_COMPILE",
    "graphs": "LMCBOOK_GRAPHS",
    "half_weights": "LMCBOOK_HALF_WEIGHTS",
    "recompute": "LMCBOOK_RECOMPUTE",
    "micro_batch": "LMCBOOK_MICRO_BATCH",
    "shard": "LMCBOOK_SHARD",
}
"""Field → environment variable: processes that Snakemake or a launcher starts inherit it."""


@no_type_check  # what users give is checked below, in words of ours
@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a training runs: what is not in its address (`lmcbook.training.config.TrainingConfig`), but in its manifest.

    Raises:
        InputError: a value is outside what it may be.
    """

    compiled: bool = False
    """The network goes through `torch.compile`."""
    graphs: bool = False
    """On a GPU a step is recorded once as a CUDA graph and replayed: one launch in place of hundreds."""
    half_weights: bool = False
    """In bfloat16 the weights' copies last from one update to the next: less traffic, the same numbers."""
    recompute: bool = False
    """Activations within stretches of layers are computed again in the backward pass in place of being kept: a third
    more arithmetic, a fraction of the memory, the same numbers."""
    micro_batch: int | None = None
    """The most examples that pass at once; their gradients are added up. Only for networks without batch norm, whose
    statistics are those of the whole batch."""
    shard: str = "data"
    """What several processes divide: data (all hold the whole network) or parameters (all hold a part of it)."""

    def __post_init__(self) -> None:
        for name in ("compiled", "graphs", "half_weights", "recompute"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{VARIABLES[name]} is {getattr(self, name)!r}; it may be 0 or 1")
        if self.micro_batch is not None:
            check_number(VARIABLES["micro_batch"], self.micro_batch, minimum=1, integer=True)
        check_choice(VARIABLES["shard"], self.shard, SHARDS)
        if self.compiled and self.recompute:
            raise InputError(
                "LMCBOOK_COMPILE and LMCBOOK_RECOMPUTE are both 1, but the compiler takes no activations that are "
                "computed again: choose one"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Execution":
        """What the variables of `VARIABLES` say; an empty variable says nothing.

        Raises:
            InputError: a variable has a value that it cannot have.
        """
        environment = os.environ if environment is None else environment
        given = {name: environment[variable] for name, variable in VARIABLES.items() if environment.get(variable)}
        return cls(**{name: _read(name, text) for name, text in given.items()})

    def told(self) -> dict[str, Any]:
        """What differs from the default, for a manifest."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


def _read(name: str, text: str) -> Any:
    if name == "micro_batch":
        return int(text) if text.isdecimal() else text
    if name == "shard":
        return text
    return {"0": False, "1": True}.get(text, text)
