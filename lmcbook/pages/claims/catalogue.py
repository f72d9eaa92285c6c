"""The claims of ``claims.toml``, checked when they are read."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from lmcbook.errors import InputError, check_choice
from lmcbook.lab import plan
from lmcbook.lab.records import pairs_table
from lmcbook.pages.analysis.checked_rows import (
    NUMBER,
    TABLE,
    TEXT,
    Kinds,
    check_bounds,
    check_row,
    naming,
    read_toml,
)
from lmcbook.pages.claims.claim import GROUPS, Claim, PaperRow, Range
from lmcbook.pages.claims.statistics import STATISTICS

_NEEDED: Kinds = {
    **dict.fromkeys(("id", "statement", "source", "statistic", "chapter"), TEXT),
    **dict.fromkeys(("reproduced", "partly"), TABLE),
}
_KEYS: Kinds = {
    **_NEEDED,
    **{"recipes": (str | list, "a list or the name of one"), "arguments": TABLE, "unit": TEXT, "table_1": TEXT},
    **{"factor": NUMBER, "paper_value": NUMBER, "digits": (int, "a whole number"), "pooled": (bool, "true or false")},
    "layers": (int | str, "a whole number, own or all"),
}
"""Key of a claim in the file → what may stand there, and that in words."""


def read_claims(text: str) -> tuple[tuple[Claim, ...], tuple[PaperRow, ...]]:
    """The claims of a file such as ``claims.toml``, and the rows of the paper's Table 1 that stand in it.

    Sections come in the file's order; in a section, all claims on one recipe come before those on the next.

    Raises:
        InputError: the file is no TOML, or a claim has an unknown or missing key, a statistic, argument, column, recipe
            or chapter that does not exist, bounds that contradict each other, or another claim's id.
    """
    document = read_toml(text, "claims")
    groups = document.get("recipes", {})
    table_1 = {recipe: _paper_row(recipe, row) for recipe, row in document.get("table-1", {}).items()}
    sizes = document.get("batch-sizes", {})
    claims: dict[str, Claim] = {}
    for section in document.get("section", []):
        common = {key: value for key, value in section.items() if key != "claim"}
        rows = [common | row for row in section["claim"]]
        asked: list[list[str]] = []
        for row in rows:
            with _naming(row):
                _check(row)
                asked.append(_recipes(row.get("recipes"), groups))
                for recipe in asked[-1]:
                    check_choice("a recipe of this claim", recipe, _recipes(common.get("recipes"), groups))
        for recipe in _recipes(common.get("recipes"), groups):
            for row, recipes in zip(rows, asked, strict=True):
                if recipe in recipes:
                    with _naming(row):
                        for claim in _with_batches(_claim(row, recipe, table_1), sizes.get(recipe, ())):
                            if claim.id in claims:
                                raise InputError(f"the id is given twice on {recipe}; another claim needs another id")
                            claims[claim.id] = claim
    return tuple(claims.values()), tuple(table_1.values())


def _naming(row: Mapping[str, Any]) -> AbstractContextManager[None]:
    return naming(f"claim {row.get('id', 'without an id')!r}")


def _check(row: Mapping[str, Any]) -> None:
    check_row(row, _KEYS, _NEEDED, "a claim")
    if isinstance(layers := row.get("layers", "own"), str) and layers not in ("own", "all"):
        raise InputError(f"layers is {layers!r}; it must be {_KEYS['layers'][1]}")
    check_choice("chapter", row["chapter"], plan.EXPERIMENTS)
    check_choice("statistic", row["statistic"], STATISTICS)
    parameters = list(inspect.signature(STATISTICS[row["statistic"]]).parameters.values())[1:]
    arguments = row.get("arguments", {})
    for name in arguments:
        check_choice(f"an argument of {row['statistic']}", name, [parameter.name for parameter in parameters])
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in arguments:
            raise InputError(f"{row['statistic']} needs the argument {parameter.name!r}; give it in arguments")
    if "column" in arguments:
        check_choice("column", arguments["column"], pairs_table([]).columns)
    for name in ("reproduced", "partly"):
        check_bounds(name, row[name])


def _recipes(value: Any, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """The recipes that a name of a group or a list stands for."""
    names = value if isinstance(value, list) else groups.get(value)
    if names is None:
        raise InputError(f"recipes is {value!r}; it may be a list of recipes or one of: {', '.join(groups)}")
    return [plan.recipe(name).name for name in names]


def _paper_row(recipe: str, row: Mapping[str, float]) -> PaperRow:
    names = PaperRow.__slots__[1:]
    if set(row) != set(names):
        raise InputError(f"row {recipe!r} of table-1 has {', '.join(row)}; it needs {', '.join(names)}")
    return PaperRow(recipe=plan.recipe(recipe).name, **{name: float(value) for name, value in row.items()})


def _claim(row: Mapping[str, Any], recipe: str, table_1: Mapping[str, PaperRow]) -> Claim:
    """The claim that a row of the file makes of one recipe."""
    fields = {key: value for key, value in row.items() if key not in ("recipes", "table_1")}
    arguments = dict(row.get("arguments", {}))
    above = 0.0
    if "table_1" in row:
        check_choice("a recipe with table_1", recipe, table_1)
        check_choice("table_1", row["table_1"], PaperRow.__slots__[2:])
        above = fields["paper_value"] = getattr(table_1[recipe], row["table_1"])
        arguments["width_multiplier"] = table_1[recipe].width_multiplier
    fields["id"] = f"{row['id']}-{recipe}"
    for name in ("reproduced", "partly"):
        fields[name] = Range(**{bound: round(above + value, 6) for bound, value in row[name].items()})
    inner, outer = fields["reproduced"], fields["partly"]
    if not (outer.low <= inner.low <= inner.high <= outer.high) or inner == outer:
        raise InputError(
            f"reproduced is {row['reproduced']} and partly is {row['partly']}; reproduced must lie inside partly"
        )
    return Claim(**fields | {"recipe": recipe, "arguments": MappingProxyType(arguments)})


def _with_batches(claim: Claim, sizes: Sequence[int]) -> list[Claim]:
    """A claim judged with the recipe's batches and, if it is the paper's, with those of ``sizes`` as well."""
    if not sizes:
        return [claim]
    own = replace(claim, batch_size=plan.recipe(claim.recipe).training.batch_size)
    if claim.group == GROUPS[-1]:
        return [own]
    return [own, *(replace(claim, id=f"{claim.id}-batches-of-{size}", batch_size=size) for size in sizes)]


CLAIMS, PAPER_TABLE_1 = read_claims(files(__package__).joinpath("claims.toml").read_text(encoding="utf-8"))
"""Every claim that the book judges; the paper's Table 1."""


def of_chapter(*chapters: str) -> tuple[Claim, ...]:
    """Those of `CLAIMS` that are measured by the notebooks ``chapters``."""
    return tuple(claim for claim in CLAIMS if claim.chapter in chapters)


def about(*words: str) -> tuple[Claim, ...]:
    """Those of `CLAIMS` whose chapter or source has one of the ``words`` in its name."""
    return tuple(claim for claim in CLAIMS if any(word in f"{claim.chapter}, {claim.source}" for word in words))
