"""Records whose barriers fall with width to a floor that is known."""

import math

import numpy as np

from lmcbook.lab.records import Record
from tests.helpers.synthetic_records import make_record

WIDTHS = [width for width in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0) for _ in range(3)]


def floored_barriers(floor: float, *, noise: float, seed: int = 0, exponent: float = 1.5) -> list[float]:
    """Pairs on the curve itself, times a random factor; the ceiling is 0.8, the half width 2."""
    random = np.random.default_rng(seed)
    exact = [floor + (0.8 - floor) / (1 + (width / 2) ** exponent) for width in WIDTHS]
    return [value * math.exp(noise * random.normal()) for value in exact]


def floor_sweep(floor: float) -> list[Record]:
    """Records of three pairs at six widths whose accuracy barriers are those above."""
    dips = floored_barriers(floor, noise=0.1)
    return [
        make_record(width, seeds=(2 * (index % 3), 2 * (index % 3) + 1), depth_of_dip=dip)
        for index, (width, dip) in enumerate(zip(WIDTHS, dips, strict=True))
    ]
