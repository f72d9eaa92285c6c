"""Reports of a comparison: one self-contained HTML file, Markdown, or JSON."""

import html
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from lmcbook.connecting.advice import reasons
from lmcbook.connecting.targets import check_target
from lmcbook.connecting.text import COLUMNS, cells, in_order
from lmcbook.data.whole_files import write_whole
from lmcbook.errors import InputError, one_line

if TYPE_CHECKING:
    from lmcbook.connecting.connection import Connection

ENDINGS = (".html", ".md", ".json")

LAYER_COLUMNS = {
    "layer": "layer",
    "positive_a": "firing in a",
    "positive_b": "firing in b",
    "stable_rank_a": "stable rank of a",
    "reciprocal_orthogonality": "reciprocal orthogonality",
    "isotropic": "its part that falls with width",
    "common": "its common part",
    "constant_share": "share the same for all images",
    "weak_additivity": "weak additivity",
    "lewc_cosine": "cosine to LEWC",
    "decay_exponent": "decay exponent",
}
"""What the report tells of each layer."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --page: #ffffff; --soft: #6b6b6b; --line: #d8d8d8; --box: #f4f4f2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --page: #16181b; --soft: #a3a3a3; --line: #3a3d42; --box: #212429; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto;
  max-width: 46rem; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.35rem; line-height: 1.35; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 8rem; padding-left: 0; }
pre { background: var(--box); padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
tr.chosen td { font-weight: 600; } .soft { color: var(--soft); font-size: .88rem; }
svg { max-width: 100%; height: auto; color: var(--ink); }
@media print { :root { color-scheme: light; --ink: #000; --page: #fff; --soft: #555; --line: #bbb; --box: #fff; }
  body { max-width: none; padding: 0; font-size: 10.5pt; } svg { max-height: 16cm; width: auto; }
  .table { overflow: visible; } table { font-size: .6rem; } th, td { padding: .2rem; white-space: normal; }
  h1, h2 { break-after: avoid; } tr, svg, li, pre { break-inside: avoid; } }
"""


def write_report(connection: "Connection", path: Path, *, force: bool = False) -> Path:
    """Write what the ending of ``path`` asks for.

    Raises:
        InputError: the ending is unknown, the file is there and ``force`` is not given, or it cannot be written.
    """
    path = check_target(path, ENDINGS, force=force)
    makers = {".html": as_html, ".md": as_markdown, ".json": as_json}
    try:
        write_whole(path, makers[path.suffix](connection))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or one_line(error)})") from None
    return path


def as_json(connection: "Connection") -> str:
    """`Connection.to_dict`."""
    return json.dumps(connection.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(connection: "Connection") -> str:
    """The report as Markdown, without the figure."""
    header, *rows = _table(connection)
    parts = [f"# {connection.verdict.sentence}", *_remarks(connection), _markdown_table(header, rows)]
    parts.append(_caption(connection))
    for title, lines in _lists(connection):
        parts += [f"## {title}", "\n".join(f"- {line}" for line in lines)]
    layers = _layers(connection)
    if layers:
        parts += ["## Layers", _markdown_table(layers[0], layers[1:])]
    return "\n\n".join(parts) + "\n"


def as_html(connection: "Connection") -> str:
    """The report as one page that loads nothing: styles and figure are inside, in the colours of light and dark."""
    header, *rows = _table(connection)
    chosen = [row.name == connection.verdict.row for row in in_order(connection.rows)]
    parts = [f"<h1>{html.escape(connection.verdict.sentence)}</h1>"]
    parts += [f"<p>{html.escape(remark)}</p>" for remark in _remarks(connection)]
    parts.append(_html_table(header, rows, chosen))
    parts.append(f'<p class="soft">{html.escape(_caption(connection))}</p>')
    parts.append(f"<h2>Along the line</h2>\n{as_svg(connection)}")
    for title, lines in _lists(connection):
        parts.append(f"<h2>{title}</h2>")
        if title == "Next":
            parts += [f"<pre>{html.escape(line)}</pre>" for line in lines]
        else:
            parts.append("<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>")
    if connection.layers:
        parts.append("<h2>Layers</h2>\n" + layers_as_html(connection))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>May these two be averaged?</title>\n<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def layers_as_html(connection: "Connection") -> str:
    """The table of the layers; empty if they were not measured."""
    layers = _layers(connection)
    return _html_table(layers[0], layers[1:], [False] * (len(layers) - 1)) if layers else ""


def as_csv(connection: "Connection") -> str:
    """The curve along λ, one line for each λ."""
    curve = {name: values for name, values in connection.curve.items() if isinstance(values, list)}
    others = [name for name, values in curve.items() if len(values) == len(curve["coefficients"])]
    names = ["coefficients", *(name for name in others if name != "coefficients")]
    lines = [",".join(names)]
    for row in zip(*(curve[name] for name in names), strict=True):
        lines.append(",".join(str(value) for value in row))
    return "\n".join(lines) + "\n"


def _table(connection: "Connection") -> list[tuple[str, ...]]:
    rows = [cells(row, connection.task) for row in in_order(connection.rows)]
    return [COLUMNS[connection.task], *(tuple(cell.replace("+-", "±") for cell in row) for row in rows)]


def _remarks(connection: "Connection") -> list[str]:
    stopped = [f"Not complete: {connection.stopped}."] if connection.stopped else []
    return [*connection.verdict.remarks, *stopped]


def _caption(connection: "Connection") -> str:
    kept = "two standard errors or the usual tolerance"
    return (
        f"λ = {connection.at:g}, the weight of a; {connection.num_examples} test images; ± is one standard error, by "
        f"resampling images. Up to {connection.verdict.tolerance:.3g} may be lost ({kept}, unless another was asked "
        f"for). It took {connection.seconds:.0f} s."
    )


def _lists(connection: "Connection") -> list[tuple[str, list[str]]]:
    notes: dict[str, list[str]] = {}
    for row in in_order(connection.rows):
        if row.note:
            notes.setdefault(row.note, []).append(row.label)
    noticed = [f"{finding.level}: {finding.message}" for finding in connection.findings]
    noticed += [*connection.notes, *(f"{'; '.join(labels)}: {note}" for note, labels in notes.items())]
    origin = [
        f"{name}: {parent.source}" + (f", SHA-256 {parent.sha256}" if parent.sha256 else "")
        + f", of its tensors {parent.tensors_sha256}"
        for name, parent in zip("ab", connection.parents, strict=True)
    ]  # fmt: skip
    if connection.command:
        origin.append("command: " + " ".join(connection.command))
    lists = [
        ("Before merging", list(connection.forecast)),
        ("Why", list(reasons(connection))),
        ("Next", list(connection.next_steps)),
        ("Noticed", noticed),
        ("Where it comes from", origin),
    ]
    return [(title, lines) for title, lines in lists if lines]


def _layers(connection: "Connection") -> list[tuple[str, ...]]:
    """The table of the layers, its head first; empty if they were not measured."""
    merged = {entry["layer"]: entry["metrics"] for entry in connection.layers if entry["coefficient"] == 0.5}
    rows = []
    for entry in connection.layers:
        if entry["coefficient"] is None:
            metrics = {**entry["metrics"], **merged.get(entry["layer"], {})}
            values = [metrics.get(name) for name in LAYER_COLUMNS if name != "layer"]
            rows.append((entry["layer"], *("" if value is None else f"{value:.2f}" for value in values)))
    return [tuple(LAYER_COLUMNS.values()), *rows] if rows else []


def _markdown_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _html_table(header: tuple[str, ...], rows: list[tuple[str, ...]], chosen: list[bool]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        ('<tr class="chosen">' if marked else "<tr>")
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row, marked in zip(rows, chosen, strict=True)
    )
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def as_svg(connection: "Connection") -> str:
    """The figure as an SVG element for a page: its text is text, and has the colour of the page's own."""
    from matplotlib import rc_context

    from lmcbook.connecting.drawing import INK

    file = io.StringIO()
    # text stays text, so that it is searched and read aloud; ids do not depend on chance
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "lmcbook"}):
        connection.figure().savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    drawn = file.getvalue()
    start = drawn.index("<svg")
    label = html.escape(connection.verdict.sentence, quote=True)
    return drawn[start:].replace("<svg", f'<svg role="img" aria-label="{label}"', 1).replace(INK, "currentColor")
