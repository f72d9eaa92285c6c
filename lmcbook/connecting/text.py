"""A comparison as plain text: the verdict, the rows, why, and what to do next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmcbook.connecting.advice import reasons
from lmcbook.connecting.rows import Row

if TYPE_CHECKING:
    from lmcbook.connecting.connection import Connection

COLUMNS = {
    "classification": ("", "accuracy", "points lost", "loss", "calibrated", "beta", "seconds", "images"),
    "regression": ("", "loss", "gained", "seconds", "images"),
}


def cells(row: Row, task: str) -> tuple[str, ...]:
    """A row of the table; what does not exist is empty."""
    seconds, passes = f"{row.seconds:.1f}", str(row.passes)
    if task == "regression":
        gained = "" if row.loss_gained is None else f"{row.loss_gained:+.3g} +- {row.standard_error or 0:.1g}"
        return row.label, f"{row.loss:.4g}", gained, seconds, passes
    lost = "" if row.lost is None else f"{100 * row.lost:.1f} +- {100 * (row.standard_error or 0):.1f}"
    percent = "" if row.accuracy is None else f"{100 * row.accuracy:.1f} %"
    calibrated = "" if row.calibrated_loss is None else f"{row.calibrated_loss:.3f}"
    beta = "" if row.inverse_temperature is None else f"{row.inverse_temperature:.2f}"
    return row.label, percent, lost, f"{row.loss:.3f}", calibrated, beta, seconds, passes


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The parents first, the ensemble last."""
    return sorted(rows, key=lambda row: (row.name not in "ab", row.name == "ensemble"))


def as_text(connection: "Connection") -> str:
    """What printing a connection gives. All of it but names of files is ASCII."""
    lines = [connection.verdict.sentence, *connection.verdict.remarks]
    if connection.stopped:
        lines.append(f"Not complete: {connection.stopped}.")
    table = [COLUMNS[connection.task], *(cells(row, connection.task) for row in in_order(connection.rows))]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines.append("")
    for label, *values in table:
        padded = [label.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(values, widths[1:], strict=True))]
        lines.append("  " + "  ".join(padded).rstrip())
    lines += ["", f"lambda = {connection.at:g}, the weight of a; seconds and images: what a row took"]
    notes: dict[str, list[str]] = {}
    for row in in_order(connection.rows):
        if row.note:
            notes.setdefault(row.note, []).append(row.label)
    lines += [f"{'; '.join(labels)}: {note}" for note, labels in notes.items()]
    for title, parts in (
        ("Before merging", connection.forecast),
        ("Why", reasons(connection)),
        ("Next", connection.next_steps),
    ):
        if parts:
            lines += ["", f"{title}:", *(f"  {part}" for part in parts)]
    told = [f"{finding.level}: {finding.message}" for finding in connection.findings] + list(connection.notes)
    if told:
        lines += ["", "Noticed:", *(f"  {each}" for each in told)]
    return "\n".join(lines)
