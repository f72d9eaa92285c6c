"""From rows to an answer: whether the two may be averaged, by what means, and in one line."""

from collections.abc import Mapping
from dataclasses import dataclass

from lmcbook.connecting.inputs import Task
from lmcbook.connecting.rows import Row

POINTS = 1.0
"""Points of accuracy that a merge may lose by default, or two standard errors if those are more."""

LOSS_SHARE = 0.01
"""Share of the parents' loss that a regression may gain by default, or two standard errors if those are more."""

NATS = 0.05
"""What the loss must rise by, and by two standard errors, before calibration is named as needed."""

UNDECIDED = "undecided"

ORDER = ("plain", "recomputed", "repaired", "matched", "matched and repaired")
"""Rows from the least to the most that is done to the merged network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer."""

    connected: bool
    """Whether a merge keeps what its parents can, within the tolerance."""
    how: str
    """``plain``, ``batch norm``, ``calibration``, ``repair``, ``matching``, ``matching and repair``, ``not``;
    `UNDECIDED` where a parent is no better than a guess, so that there is nothing to lose."""
    row: str
    """Name of the row that the answer rests on: the least that does it, or the best if none does."""
    tolerance: float
    """In points; of a regression in the unit of its loss."""
    sentence: str
    """One line."""
    remarks: tuple[str, ...] = ()
    """What else a reader should know: a gain over both parents, a parent at chance."""


def judge(
    rows: Mapping[str, Row], task: Task, *, examples: int, classes: int | None, tolerance: float | None = None
) -> Verdict:
    """The least that has to be done to the merge, or that nothing which was tried does it.

    Args:
        rows: by name, ``a``, ``b`` and ``plain`` among them; the kinds of one family (``repaired``, ``matched``) come
            under names that begin with it, followed by a colon.
        examples: test images.
        classes: their number, to tell a parent that guesses.
        tolerance: points of accuracy, or loss of a regression; by default `POINTS` or `LOSS_SHARE`.
    """
    a, b = rows["a"], rows["b"]
    # averaged statistics are never written: where they are recomputed, the plain row is there to be looked at
    order = [family for family in ORDER if family != "plain" or "recomputed" not in rows]
    candidates = [row for family in order for row in _family(rows, family)]
    plain = rows.get("recomputed", rows["plain"])
    chosen = next((row for row in candidates if cost_of(row, task) <= allowed(row, rows, task, tolerance)), None)
    best = chosen or min(candidates, key=lambda row: cost_of(row, task))
    remarks = []
    guessing = []
    if task == "classification":
        accuracies = [row.accuracy or 0.0 for row in (a, b)]
        gain, error = 100 * (best.over_better or 0.0), 100 * (best.over_better_error or 0.0)
        if gain > 2 * error:
            remarks.append(f"The {best.label} is better than both parents by {gain:.1f} points (s.e. {error:.1f}).")
        resolved = 200 * (best.standard_error or 0.0)
        if tolerance is None and resolved > POINTS:
            remarks.append(
                f"{examples} test images tell losses above {resolved:.1f} points from chance (two standard errors); "
                "more of them would decide finer."
            )
        for name, accuracy in zip("ab", accuracies, strict=True):
            if classes and accuracy <= 1 / classes + 2 * (1 / classes / examples) ** 0.5:
                guessing.append(f"network {name} is right on {100 * accuracy:.1f} %")
    lost = cost_of(best, task)
    resolved_loss = tolerance is not None or lost <= _least_told(rows, task)
    sentence = _sentence(chosen, best, plain, rows, task, examples, resolved=resolved_loss)
    if guessing:
        sentence = (
            f"No answer: {' and '.join(guessing)} of {examples} test images, as a guess would be; are they normalised "
            "and labelled as in training?"
        )
    return Verdict(
        connected=chosen is not None and not guessing,
        how=UNDECIDED if guessing else _how(chosen, rows, task),
        row=best.name,
        tolerance=allowed(best, rows, task, tolerance),
        sentence=sentence,
        remarks=tuple(remarks),
    )


def allowed(row: Row, rows: Mapping[str, Row], task: Task, tolerance: float | None) -> float:
    """What a row may lose: points, or loss of a regression."""
    if tolerance is not None:
        return tolerance
    error = row.standard_error or 0.0
    return max(_least_told(rows, task), 2 * error * (100 if task == "classification" else 1))


def _least_told(rows: Mapping[str, Row], task: Task) -> float:
    """What may be lost however well it is measured: points, or loss of a regression."""
    return POINTS if task == "classification" else LOSS_SHARE * (rows["a"].loss + rows["b"].loss) / 2


def cost_of(row: Row, task: Task) -> float:
    """What a row lost: points, or loss of a regression."""
    return 100 * (row.lost or 0.0) if task == "classification" else row.loss_gained or 0.0


def told(row: Row, task: Task, numbers: str = "") -> str:
    """What a row lost, with its standard error and other ``numbers``, in words."""
    error = row.standard_error or 0.0
    if task == "regression":
        return f"gains {row.loss_gained or 0.0:.3g} of loss (s.e. {error:.2g})"
    points = 100 * (row.lost or 0.0)
    verb = "loses" if points >= 0 else "gains"
    return f"{verb} {abs(points):.1f} points ({numbers}s.e. {100 * error:.1f})"


def needs_calibration(row: Row) -> bool:
    """Whether the loss rose although the accuracy stayed, and calibration takes most of that back."""
    gained, error = row.loss_gained or 0.0, row.loss_standard_error or 0.0
    after = row.calibrated_loss_gained
    return after is not None and gained > max(NATS, 2 * error) and after < gained / 2


def _family(rows: Mapping[str, Row], family: str) -> list[Row]:
    return [row for name, row in rows.items() if name == family or name.startswith(f"{family}:")]


def _named(row: Row) -> str:
    """A row's label, as a sentence has it."""
    return f"the {row.label}" if row.name == "plain" else row.label


def _how(chosen: Row | None, rows: Mapping[str, Row], task: Task) -> str:
    if chosen is None:
        return "not"
    family = chosen.name.partition(":")[0]
    if family == "recomputed":
        return "batch norm"
    if family == "plain":
        return "calibration" if needs_calibration(chosen) else "plain"
    return {"repaired": "repair", "matched": "matching"}.get(family, "matching and repair")


def _sentence(
    chosen: Row | None,
    best: Row,
    plain: Row,
    rows: Mapping[str, Row],
    task: Task,
    examples: int,
    *,
    resolved: bool,
) -> str:
    numbers = ""
    if task == "classification":
        share = plain.coefficient or 0.0
        before = share * (rows["a"].accuracy or 0.0) + (1 - share) * (rows["b"].accuracy or 0.0)
        numbers = f"{100 * before:.1f} -> {100 * (plain.accuracy or 0.0):.1f} % of {examples} test images, "
    average = f"{_named(plain)} {told(plain, task, numbers)}"
    if chosen is None:
        best_of = "" if best.name == plain.name else f"; the best that was tried, {best.label}, {told(best, task)}"
        return f"No: {average}{best_of}."
    how = _how(chosen, rows, task)
    # allowed only because the test images are too few to tell it from chance
    yes = "Yes" if resolved else "Not told apart from no loss"
    calibration = ""
    if needs_calibration(chosen):
        before_and_after = f"{chosen.loss:.2f} nats, then {chosen.calibrated_loss:.2f}"
        calibration = f"; calibrate it (beta {chosen.inverse_temperature:.2f}): its loss is {before_and_after}"
    if how == "plain":
        return f"{yes}: {average}{calibration}."
    if how == "calibration":
        return f"{yes}, after calibration: {average}{calibration}."
    if how == "batch norm":
        averaged = rows["plain"]
        return f"{yes}: {average}; {_named(averaged)} {told(averaged, task)}{calibration}."
    names = {"repair": "a repair", "matching": "matching", "matching and repair": "matching and a repair"}
    return f"{yes}, after {names[how]}: {chosen.label} {told(chosen, task)}; {average}{calibration}."
