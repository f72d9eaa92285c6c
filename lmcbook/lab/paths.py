"""Every folder of the lab, named once (datasets: `lmcbook.data.paths`).

Each can be moved by an environment variable: ``LMCBOOK_RUNS`` (trained weights and what was measured on this machine),
``LMCBOOK_RECORDS`` (the committed records). A relative one is seen from the root of the checkout: one place
for commands in sub-folders, notebooks and jobs of a cluster; outside a checkout, from the working directory.
"""

import os
from pathlib import Path

from lmcbook.data.paths import cache


def checkout() -> Path | None:
    """The root of the lmcbook checkout that the working directory lies in, or ``None`` outside one."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "lmcbook" / "__init__.py").is_file() and (folder / "notebooks").is_dir():
            return folder
    return None


def runs() -> Path:
    """Where trained weights lie: ``runs/`` in a checkout, the cache folder elsewhere."""
    root = checkout()
    return _named("LMCBOOK_RUNS") or (root / "runs" if root else cache() / "runs")


def fresh_records() -> Path:
    """Where records measured on this machine lie, beside the weights they were measured on."""
    return runs() / "records"


def committed_records() -> Path:
    """The records that came with the checkout."""
    return _named("LMCBOOK_RECORDS") or (checkout() or Path.cwd()) / "records"


def _named(variable: str) -> Path | None:
    given = os.environ.get(variable)
    return (checkout() or Path.cwd()) / Path(given).expanduser() if given else None


def rates() -> Path:
    """What `benchmarks/gpu.py` measured, for the estimates of the plan."""
    return (checkout() or Path.cwd()) / "benchmarks" / "results" / "gpu.json"
