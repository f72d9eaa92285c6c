"""How many faults the suite goes through: compared with the counts that the book states, or written into them.

    LMCBOOK_WRITE_COUNTS=1 python -m pytest -n 0 tests/faults

writes ``book/tested.json`` and the table of ``book/tested.md`` anew.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

BOOK = Path(__file__).parents[2] / "book"
COUNTS = BOOK / "tested.json"
PAGE = BOOK / "tested.md"
START, END = "<!-- counts -->\n", "<!-- end of counts -->"


def check(part: str, name: str, found: dict[str, int]) -> None:
    """Compare what was counted with what is stated, or state it."""
    if os.environ.get("LMCBOOK_WRITE_COUNTS"):
        state(part, name, found)
        return
    entry = _stated()[part][name]
    assert {key: entry.get(key) for key in found} == found, "see tests/faults/report.py"


def state(part: str, name: str, found: dict[str, int]) -> None:
    """Write what was counted into the file of counts and the page."""
    counts = _stated()
    counts.setdefault(part, {}).setdefault(name, {}).update(found)
    COUNTS.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    PAGE.write_text(before + START + tables(counts) + END + rest.partition(END)[2], encoding="utf-8")


def stated(part: str) -> dict[str, Any]:
    """What the book counts of a part of the suite; nothing where it does not know it."""
    return _stated().get(part, {})


def _stated() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads(COUNTS.read_text()) if COUNTS.is_file() else {}
    return content


def tables(counts: dict[str, dict[str, dict[str, int]]]) -> str:
    """The counts as the page shows them."""
    text = ""
    for part, rows in sorted(counts.items()):
        columns = sorted({column for row in rows.values() for column in row})
        text += f"\n| {part} | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}\n"
        for name, row in sorted(rows.items()):
            said = f"`{name}`" if "--" in name else name  # else two hyphens become a dash
            text += f"| {said} | {' | '.join(f'{row.get(column, 0):,}' for column in columns)} |\n"
        totals = [sum(row.get(column, 0) for row in rows.values()) for column in columns]
        text += f"| in all | {' | '.join(f'{total:,}' for total in totals)} |\n"
    return text + "\n"


def shown() -> str:
    """The table on the page."""
    found = re.search(re.escape(START) + "(.*?)" + re.escape(END), PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"{PAGE} has no table of counts"
    return found[1]
