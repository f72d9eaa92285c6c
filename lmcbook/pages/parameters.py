"""The parameters of the notebooks: one table of what they may be, and one call that checks them all before any work.

papermill puts its parameters into a cell of their own after the notebook's defaults, without asking whether the
notebook knows them. So the check looks at the notebook's whole namespace: a name that nobody declared is an error.
"""

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcbook.data.paths import home_expanded
from lmcbook.errors import InputError, check_choice
from lmcbook.lab import collect, plan
from lmcbook.lab.plan.selection import checked_numbers, checked_rate, checked_seed_pairs, checked_whole
from lmcbook.lab.progress import tell_the_terminal
from lmcbook.lab.records import check_writable
from lmcbook.lab.surroundings import check_environment
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.spelling import argument, as_meant, text_as_meant
from lmcbook.training.device import check_device, resolve_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a notebook was asked for, checked."""

    selection: plan.Selection
    """What a planning function such as `lmcbook.lab.plan.width` takes."""
    device: str
    require_cached: bool
    folder: Path | None
    command: str
    """The command that runs the notebook with these parameters."""

    def command_at(self, scale: str) -> str:
        """The command that runs the notebook at ``scale`` and with nothing else changed."""
        return f"{' '.join(self.command.split()[:3])} -p scale {scale}"

    @property
    def measuring(self) -> dict[str, Any]:
        """What `lmcbook.lab.on_demand.collect` takes."""
        return {name: getattr(self, name) for name in ("folder", "device", "require_cached")}

    def measure(self, plan_of: Callable[[plan.Selection], list[plan.PlannedPair]]) -> Measurements:
        """The records of what ``plan_of`` plans for the selection; what has none is measured.

        Raises:
            InputError: with ``require_cached``, records are missing.
        """
        return Measurements.of(collect(plan_of(self.selection), **self.measuring))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a notebook: its default, and what turns a given value into a checked value."""

    default: Any
    check: Callable[[str, Any], Any]
    is_text: bool = False

    def read(self, value: Any) -> Any:
        """The value that is meant, whether it was typed after ``-p`` or ``-y``, or given by a program."""
        return text_as_meant(value) if self.is_text else as_meant(value)


def check(notebook: str, namespace: Mapping[str, Any]) -> Request:
    """Check the parameters in a notebook's ``namespace`` (its ``globals()``) by name, type and value.

    Raises:
        InputError: a name is unknown, a value is not what it may be, or the device or the folder cannot be used.
    """
    check_choice("notebook", notebook, NOTEBOOKS)
    for notice in check_environment():
        tell_the_terminal(f"lmcbook: {notice}")  # no chapter shall show it
    declared = NOTEBOOKS[notebook]
    check_names(namespace, declared)
    given = {name: parameter.read(namespace[name]) for name, parameter in declared.items()}
    checked = {
        name: parameter.check(name, given[name])
        for name, parameter in declared.items()
        if given[name] is not None or parameter.default is not None
    }
    selection = plan.Selection(
        checked["scale"],
        recipes=_recipes(checked),
        width_multipliers=checked.get("width_multipliers"),
        seed_pairs=checked.get("seeds"),
        weight_decays=checked.get("weight_decay"),
        epochs=checked.get("epochs"),
        learning_rate=checked.get("learning_rate"),
        batch_size=checked.get("batch_size"),
    )
    if str(checked["device"]).startswith("cuda"):
        resolve_device(checked["device"])
    if "records" in checked and not checked["require_cached"]:
        check_writable(checked["records"])
    return Request(
        selection=selection,
        device=checked["device"],
        require_cached=checked["require_cached"],
        folder=checked.get("records"),
        command=_command(notebook, given, declared),
    )


def check_names(namespace: Mapping[str, Any], declared: Collection[str]) -> None:
    """Raise `InputError` unless the plain values in a notebook's ``namespace`` are those that it declares.

    Raises:
        InputError: one is unknown, which is how a misspelt parameter shows, or one is missing.
    """
    missing = [name for name in declared if name not in namespace]
    if missing:
        raise InputError(f"the parameters cell lacks {', '.join(missing)}; it must give each parameter its default")
    # papermill can only inject plain values; modules, functions and IPython's own names are not parameters
    plain = (str, int, float, list, tuple, dict, type(None))
    for name, value in namespace.items():
        if name in declared or name.startswith("_") or name in ("In", "Out") or not isinstance(value, plain):
            continue
        close = difflib.get_close_matches(name, declared, n=1)
        hint = f"did you mean {close[0]}? It" if close else "it"
        raise InputError(f"parameter {name} is unknown; {hint} may be one of: {', '.join(declared)}")


def _recipes(checked: Mapping[str, Any]) -> tuple[str, ...] | None:
    recipe, dataset, network = (checked.get(name) for name in ("recipe", "dataset", "network"))
    if recipe is not None and (dataset is not None or network is not None):
        other = "dataset" if dataset is not None else "network"
        raise InputError(
            f"recipe is {recipe!r} and {other} is {checked[other]!r}; give a recipe, or dataset and network"
        )
    if (dataset is None) != (network is None):
        here, lacking = ("network", "dataset") if dataset is None else ("dataset", "network")
        raise InputError(
            f"{here} is {checked[here]!r} and {lacking} is not given; give both, or a recipe in their place"
        )
    name = recipe if recipe is not None else f"{network}-{dataset}" if dataset is not None else None
    return None if name is None else (plan.recipe(name).name,)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{name} is {value!r}; it must be a name")
    return value


def _scale(name: str, value: Any) -> str:
    check_choice(name, value, plan.SCALES)
    return str(value)


def _device(name: str, value: Any) -> str:
    check_device(value)
    return str(value)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; it must be true or false")
    return value


def _folder(name: str, value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise InputError(f"{name} is {value!r}; it must be the path of a folder")
    return home_expanded(value, name)


def _command(notebook: str, given: Mapping[str, Any], declared: Mapping[str, Parameter]) -> str:
    words = [f"papermill notebooks/{notebook}.ipynb {notebook}.ipynb"]
    for name, parameter in declared.items():
        # where records lie and on what they are computed does not decide what they say
        if name in ("records", "device", "require_cached") or given[name] == parameter.default:
            continue
        words.append(argument(name, given[name]))
    return " ".join(words)


COMMON: dict[str, Parameter] = {
    "scale": Parameter(default="embedded", check=_scale, is_text=True),
    "recipe": Parameter(default=None, check=_text, is_text=True),
    "dataset": Parameter(default=None, check=_text, is_text=True),
    "network": Parameter(default=None, check=_text, is_text=True),
    "width_multipliers": Parameter(default=None, check=checked_numbers(above=0)),
    "seeds": Parameter(default=None, check=checked_seed_pairs),
    "weight_decay": Parameter(default=None, check=checked_numbers(minimum=0)),
    "epochs": Parameter(default=None, check=checked_whole),
    "learning_rate": Parameter(default=None, check=checked_rate),
    "batch_size": Parameter(default=None, check=checked_whole),
    "device": Parameter(default="auto", check=_device, is_text=True),
    "require_cached": Parameter(default=False, check=_truth),
    "records": Parameter(default=None, check=_folder, is_text=True),
}
"""What every notebook that measures takes."""

NOTEBOOKS: dict[str, dict[str, Parameter]] = {
    "01_width": COMMON,
    "02_temperature": COMMON,
    "03_permutations": COMMON,
    "04_lewc": COMMON,
    "05_weak_additivity": COMMON,
    "06_active_units": COMMON,
    "07_reciprocal_orthogonality": COMMON,
    "08_weight_decay": COMMON,
    "09_flatness": COMMON,
    "10_same_start": COMMON,
    "13_batch_size": COMMON,
    "14_common_mode": COMMON,
    "16_one_network": COMMON,
    "17_controls": COMMON,
}
"""Notebook → its parameters. A notebook with more of its own is one more line."""

OWN_PAIR = (
    *("a", "b", "model", "data", "num_classes", "image_size", "key", "strip_prefix", "ema"),
    *("at", "num_coefficients", "match", "repair", "random_permutations", "layers", "tolerance"),
    *("examples", "max_minutes", "device", "report", "out", "force"),
)
"""Of the notebook `15_your_own_pair`: what `lmcbook connect` takes."""
