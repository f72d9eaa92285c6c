"""Every folder of the lab, named once (datasets: `lmcbook.data.paths`).

Environment variables move them: ``LMCBOOK_RUNS`` (trained weights and what was measured on this machine),
``LMCBOOK_RECORDS`` (the committed records).
"""

from pathlib import Path

from lmcbook.data.paths import cache, checkout, named


def runs() -> Path:
    """Where trained weights lie: ``runs/`` in a checkout, the cache folder elsewhere."""
    return named("LMCBOOK_RUNS") or (checkout() or cache()) / "runs"


def fresh_records() -> Path:
    """Where records measured on this machine lie, beside the weights they were measured on."""
    return runs() / "records"


def committed_records() -> Path:
    """The records that came with the checkout."""
    return named("LMCBOOK_RECORDS") or (checkout() or Path.cwd()) / "records"


def rates() -> Path:
    """What `benchmarks/gpu.py` measured, for the estimates of the plan."""
    return (checkout() or Path.cwd()) / "benchmarks" / "results" / "gpu.json"
