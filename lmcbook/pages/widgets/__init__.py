"""Explorers: interactive figures that move without a kernel, drawn beforehand from records alone; no torch.

Each function gives an explorer that a notebook cell shows by ending with it, and whose ``still`` is a static figure
with the same message. In a live notebook they take a ``compute`` function and show what it gives instead of frames.
"""

from lmcbook.pages.widgets.along_the_line import barrier
from lmcbook.pages.widgets.by_layer import layers
from lmcbook.pages.widgets.constructed import theorem
from lmcbook.pages.widgets.explorer import Control, Explorer, Explorers, Layer
from lmcbook.pages.widgets.reliability_diagram import reliability
from lmcbook.pages.widgets.source import Choice, Source, sources
from lmcbook.pages.widgets.unit_grid import active_units

__all__ = [
    "Choice",
    "Control",
    "Explorer",
    "Explorers",
    "Layer",
    "Source",
    "active_units",
    "barrier",
    "layers",
    "reliability",
    "sources",
    "theorem",
]
