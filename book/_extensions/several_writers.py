"""Sphinx extension: pages are written by as many processes as there are cores; they are read by a single process.

Jupyter Book has no option for it. A process of Sphinx prepares the pages; others make their HTML, the pages of source
code and the indices. With one process more than there are cores all of these are at work.
"""

import os
import sys
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def write_by_several(app: Sphinx, env: BuildEnvironment) -> None:
    """Let Sphinx write by several processes, now that everything has been read."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1  # elsewhere forks with threads may hang
    if cores > 1:
        app.parallel = cores + 1


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("env-updated", write_by_several, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
