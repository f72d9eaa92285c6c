"""What a record is: one measurement of one pair, with its configuration and provenance, as plain JSON values."""

import math
import re
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field, fields
from typing import Any, no_type_check

from lmcbook.errors import InputError
from lmcbook.lab.addresses import address
from lmcbook.lab.config import PairConfig

SCHEMA = 1
"""Version of the file format; raised when a reader of the old format could misread the new."""

MEASURED_HERE, COMMITTED = "measured here", "committed"

BARRIERS: tuple[str, ...] = (
    "midpoint_accuracy_barrier",
    "accuracy_barrier",
    "midpoint_loss_barrier",
    "loss_barrier",
    "midpoint_calibrated_loss_barrier",
    "calibrated_loss_barrier",
    "midpoint_calibrated_loss_barrier_against_raw_endpoints",
    "calibrated_loss_barrier_against_raw_endpoints",
)
"""What ``data["barriers"]`` of an interpolation record holds, at least; losses in nats, accuracies as fractions."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measurement of one pair of networks.

    ``data`` is made of plain JSON values at birth: tuples become lists, numbers of numpy and torch become Python's. A
    number that is not finite becomes ``None``, and its place is listed in ``not_finite``.

    Raises:
        InputError: a name cannot be part of a file name, or a value cannot be written as JSON.
    """

    scale: str
    """Part of the plan it was measured for: embedded, desk, paper or the reader's own word."""
    recipe: str
    """Name of the recipe, for example mlp-digits."""
    config: PairConfig
    """Everything that decides the numbers."""
    dataset_sha256: str
    """Digest of the images and labels in canonical order."""
    run_keys: tuple[str, ...]
    """Addresses of the trainings in the store, a's first."""
    data: dict[str, Any]
    """What was measured: of interpolation ``curve`` (lists over the coefficients), ``barriers`` and, where model b
    is not permuted, ``temperatures``; of layerwise ``layers``; of calibration and flatness what their studies give.
    With all of them ``alignment``: what there is to say of the search for a permutation."""
    provenance: dict[str, Any]
    """Where, when, with what and for how long (seconds) it was computed."""
    short: bool = False
    """Whether its networks were trained for fewer epochs than their recipe says."""
    measurement: str = ""
    """What was measured, one of `lmcbook.lab.config.MEASUREMENTS`; the configuration's."""
    digest: str = ""
    """Digest of the measurement; the configuration's, unless the record is of another version of the code."""
    not_finite: tuple[str, ...] = ()
    """Places in ``data`` that were infinite or not a number, written as null."""
    lewc_exponent: int | None = None
    """e of LEWC's prediction for the logits (`lmcbook.evaluation.lewc_exponent`): L, or 2 in a network with batch norm;
    None where nothing is predicted."""
    schema: int = SCHEMA
    source: str = field(default=MEASURED_HERE, compare=False)
    """Which folder it was read from: ``measured here`` or ``committed``. Not part of the file."""
    plain: InitVar[bool] = False
    """Whether ``data`` and ``provenance`` are known to be plain, as JSON that was checked is. Not a field."""

    def __post_init__(self, plain: bool) -> None:
        for name in ("scale", "recipe"):
            if not isinstance(getattr(self, name), str) or not re.fullmatch(
                r"[A-Za-z0-9][\w.+-]*", getattr(self, name)
            ):
                raise InputError(
                    f"{name} is {getattr(self, name)!r}; it must be a name of letters, digits, '-', '_' and '.'"
                )
        missing: list[str] = []
        if not plain:  # a folder of records holds millions of numbers
            object.__setattr__(self, "data", _plain(self.data, "data", missing))
            object.__setattr__(self, "provenance", _plain(self.provenance, "provenance", []))
        object.__setattr__(self, "run_keys", tuple(self.run_keys))
        object.__setattr__(self, "not_finite", tuple(sorted({*self.not_finite, *missing})))
        object.__setattr__(self, "digest", self.digest or self.config.digest)
        object.__setattr__(self, "measurement", self.measurement or self.config.measurement)
        if self.lewc_exponent is None:
            training = self.config.training
            exponent = 2 if training.has_batch_norm else training.num_layers  # of records from before it was stored
            if training.normalisation == "none" and not training.skip:  # with them it is stored, or not predicted
                object.__setattr__(self, "lewc_exponent", exponent)
        if self.measurement != self.config.measurement:
            raise InputError(f"measurement is {self.measurement!r}; its configuration says {self.config.measurement!r}")
        if self.measurement == "interpolation":
            _check_interpolation(self.data)

    @property
    def outdated(self) -> bool:
        """Whether a later version of the code would give other numbers for the same configuration."""
        return self.digest != self.config.digest

    @property
    def address(self) -> str:
        """What no other record may share: the digest and, where the dataset may change, the images."""
        return address(self.digest, self.config.training.dataset, self.dataset_sha256)

    @property
    def file_name(self) -> str:
        """A name that says what it is, and ends in the address that decides."""
        training, (a, b) = self.config.training, self.config.seeds
        return (
            f"{self.recipe}_x{training.width_multiplier:g}_wd{training.weight_decay:g}_s{a}-{b}"
            f"_{self.config.alignment}_{self.measurement}_{self.address}.json"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without the content's own digest."""
        content = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "source"}
        return {
            **content,
            "config": self.config.to_dict(),
            "run_keys": list(self.run_keys),
            "not_finite": list(self.not_finite),
        }


_AS_THEY_ARE = frozenset({int, str, bool, type(None)})


@no_type_check  # it is called for every number, where a check of its arguments takes longer than all the rest
def _plain(value: Any, place: str, not_finite: list[str]) -> Any:
    kind = type(value)  # the usual kinds first: a folder of records holds millions of these
    if kind in _AS_THEY_ARE or (kind is float and math.isfinite(value)):
        return value
    if kind is list and all(type(each) is float and math.isfinite(each) for each in value):
        return value.copy()
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InputError(f"{place} has a key that is not a text; JSON has no others")
        return {key: _plain(each, f"{place}.{key}", not_finite) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{place}[{index}]", not_finite) for index, each in enumerate(value)]
    if hasattr(value, "tolist"):  # numpy's and torch's arrays and numbers, without importing either
        return _plain(value.tolist(), place, not_finite)
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        not_finite.append(place)
        return None
    raise InputError(
        f"{place} is a {type(value).__name__}; a record holds numbers, texts, lists and dictionaries of them"
    )


def _check_interpolation(data: Mapping[str, Any]) -> None:
    curve, barriers = data.get("curve"), data.get("barriers")
    if not isinstance(curve, dict) or not isinstance(barriers, dict):
        raise InputError(f"data has {sorted(data)}; an interpolation record needs 'curve' and 'barriers'")
    needed = ("coefficients", "loss", "accuracy", "inverse_temperature", "calibrated_loss")
    missing = [name for name in needed if name not in curve] + [name for name in BARRIERS if name not in barriers]
    if missing:
        raise InputError(
            f"data lacks {missing}; an interpolation record needs the curve's {list(needed)} and {list(BARRIERS)}"
        )
