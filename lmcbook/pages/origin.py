"""Where a figure's or a table's numbers come from, in words that are computed from the records."""

import base64
import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pandas import DataFrame

from lmcbook.lab.config import PairConfig
from lmcbook.lab.records import COMMITTED, Record
from lmcbook.pages.analysis.labels import pair_count

CONSTRUCTED = "Computed on this page, from constructed networks and pseudo-random numbers; no record is read."
"""Where numbers come from that no record holds."""


def number_of_pairs(records: Sequence[Record]) -> str:
    """``n = 3 pairs`` of each point, or ``n = 1 to 3 pairs`` where points differ."""
    # all that two records of one point share: everything but the seeds
    others = [field.name for field in fields(PairConfig) if field.name != "seeds"]
    counts = Counter((record.recipe, *(getattr(record.config, name) for name in others)) for record in records)
    return f"n = {pair_count(*counts.values())} for each point"


def origin(records: Sequence[Record]) -> list[str]:
    """Scale, number of pairs, source, hardware, date and commit of ``records``, as short sentences."""
    if not records:
        return ["Nothing is measured."]
    scales = _listed(record.scale for record in records)
    sources = Counter(
        "with this book" if record.source == COMMITTED else "on the machine that built this page" for record in records
    )
    where = ", ".join(
        f"{'all' if len(sources) == 1 else count} {'that came ' if place == 'with this book' else 'measured '}{place}"
        for place, count in sources.items()
    )
    lines = [
        f"Scale: {scales}. {len(records):,} records, {number_of_pairs(records)}; {where}.",
        f"Measured {_dates(records)} on {_hardware(records)}.",
        f"Commit: {_listed(_commit(record) for record in records)}.",
    ]
    short = sum(record.short for record in records)
    if short:
        lines.append(f"{short} of {len(records)} records are of trainings shortened against the recipe's schedule.")
    return lines


def origin_html(sources: Sequence[str], *, command: str = "", table: DataFrame | None = None, name: str = "") -> str:
    """Where numbers come from, the command and, of a ``table``, the CSV as a link, folded away under one line."""
    items = [html.escape(line) for line in sources]
    if command:
        items.append(f"Made again by <code>{html.escape(command)}</code>")
    if table is not None:
        csv = base64.b64encode(table.to_csv(index=False, float_format="%.6g").encode()).decode()
        items.append(
            f'<a download="{name}.csv" href="data:text/csv;charset=utf-8;base64,{csv}">'
            f"{html.escape(name)}.csv, {len(table)} rows</a>"
        )
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f'<details class="lmc-origin"><summary>Data and where they come from</summary><ul>{listed}</ul></details>'


def _commit(record: Record) -> str:
    commit = record.provenance.get("commit")
    if not commit:
        return "unknown (measured outside git)"
    return f"{commit[:10]} with changes" if record.provenance.get("dirty") else str(commit[:10])


def trained_on(record: Record) -> str:
    """The hardware that trained the record's two networks, and the precision they were trained in."""
    trainings = record.provenance.get("training") or [record.provenance]
    return f"{_listed(_device(each) for each in trainings)}; {record.config.training.precision}"


def _hardware(records: Sequence[Record]) -> str:
    precisions = {record.config.training.precision for record in records}
    return f"{_listed(_device(record.provenance) for record in records)}; {_listed(precisions)}"


def _device(given: Mapping[str, Any]) -> str:
    """The card or, without one, the processor, without its name's trade marks, and its threads."""
    threads = given.get("threads")
    on_cpu = re.sub(r"\((R|TM)\)| Processor$", "", given.get("processor") or "a processor of unknown name")
    on_cpu += f" ({threads} thread{'s' if threads != 1 else ''})" if threads else ""
    return str(given.get("gpu") or on_cpu)


def _dates(records: Sequence[Record]) -> str:
    days = sorted({str(record.provenance["date"])[:10] for record in records if record.provenance.get("date")})
    if not days:
        return "on an unknown day"
    return f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
