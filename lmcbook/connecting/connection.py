"""What a comparison found: an object that prints as an answer, and gives a dict, a figure and a report."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmcbook
from lmcbook.connecting.inputs import Task
from lmcbook.connecting.preflight import Finding
from lmcbook.connecting.rows import Row
from lmcbook.connecting.verdict import Verdict
from lmcbook.errors import check_choice

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Where a network came from."""

    source: str
    sha256: str | None
    """Of its file; None if it was given in memory."""
    tensors_sha256: str
    """Of its tensors, whatever they are kept in (`lmcbook.states.state_sha256`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The answer of `lmcbook.connect`. Printing it gives the verdict, the rows, the reasons and what to do next."""

    verdict: Verdict
    rows: tuple[Row, ...]
    """The parents, the merges and the ensemble, in the order in which they were measured."""
    curve: dict[str, Any]
    """Along λ, as `lmcbook.interpolation_curve` gives it; of a regression ``coefficients`` and ``loss`` alone."""
    barriers: dict[str, float]
    """As `lmcbook.barriers` of the curve."""
    layers: tuple[dict[str, Any], ...]
    """As `lmcbook.measure_layers`, on unlabelled images, with the split of the cross-talk (`measure_common_mode`)."""
    findings: tuple[Finding, ...]
    """Of the preflight."""
    forecast: tuple[str, ...]
    """What the layers and shuffled copies of each network told before anything was merged, without labels."""
    notes: tuple[str, ...]
    """What was decided on the way, and what could not be done."""
    parents: tuple[Parent, Parent]
    at: float
    """λ of the rows."""
    task: Task
    num_examples: int
    """Test examples."""
    seconds: float
    stopped: str
    """Empty, or why not everything was measured."""
    match: str
    """What matching was asked for."""
    command: tuple[str, ...] = ()
    """The words of the command line that asked for it; empty from Python."""

    @property
    def by_name(self) -> dict[str, Row]:
        """The rows by their names."""
        return {row.name: row for row in self.rows}

    def row(self, name: str) -> Row:
        """The row of this name.

        Raises:
            InputError: it was not measured.
        """
        check_choice("name", name, self.by_name)
        return self.by_name[name]

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What to do now, as commands where there is one."""
        from lmcbook.connecting.advice import next_steps

        return next_steps(self)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        content = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("rows", "layers", "findings", "forecast", "notes", "parents", "command")
        }
        return {
            "lmcbook": lmcbook.__version__,
            **content,
            "verdict": {**asdict(self.verdict), "remarks": list(self.verdict.remarks)},
            "rows": [row.to_dict() for row in self.rows],
            "layers": list(self.layers),
            "findings": [asdict(finding) for finding in self.findings],
            "forecast": list(self.forecast),
            "notes": list(self.notes),
            "parents": [asdict(parent) for parent in self.parents],
            "next_steps": list(self.next_steps),
            "command": list(self.command),
        }

    def figure(self) -> "Figure":
        """Accuracy and loss along λ, with what was done to the merge as marks (needs matplotlib)."""
        from lmcbook.connecting.drawing import figure

        return figure(self)

    def report(self, path: str | Path, *, force: bool = False) -> Path:
        """Write a report: ``.html`` (one file, light and dark), ``.md`` or ``.json``, by the ending of ``path``.

        Raises:
            InputError: the ending is another, the file is there and ``force`` is not given, or it cannot be written.
        """
        from lmcbook.connecting.reporting import write_report

        return write_report(self, Path(path), force=force)

    def __str__(self) -> str:
        from lmcbook.connecting.text import as_text

        return as_text(self)
