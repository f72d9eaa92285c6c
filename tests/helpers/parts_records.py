"""Records of the common mode whose two parts of reciprocal orthogonality are known."""

import math
from dataclasses import replace
from typing import Any

from lmcbook.lab.records import Record
from tests.helpers.control_records import changed
from tests.helpers.synthetic_records import make_record


def split_record(width: float, seeds: tuple[int, int], **options: Any) -> Record:
    """Four layers; between hidden ones an isotropic part that falls as the root of the width, a common one of 0.4."""
    base = make_record(width, seeds=seeds, **options)
    layers = [
        {
            "layer": f"layer{depth}",
            "depth": depth,
            # the classifier's are others, and do not count
            "metrics": {
                "isotropic": 9.0 if depth == 4 else depth / math.sqrt(width),
                "common": 9.0 if depth == 4 else 0.4,
                "reciprocal_orthogonality": 9.0 if depth == 4 else 0.5,
                "constant_share": 9.0 if depth == 4 else 1 - 1 / (depth * width),
                **{f"weight_share_{network}": 9.0 if depth == 4 else 0.01 * depth for network in "ab"},
                **{f"always_on_{network}": 9.0 if depth == 4 else on for network, on in (("a", 0.1), ("b", 0.3))},
            },
        }
        for depth in (2, 3, 4)
    ]
    config = replace(base.config, measurement="common_mode")
    return replace(base, config=config, measurement="common_mode", digest="", data={"layers": layers})


def parts_sweep() -> list[Record]:
    pairs = ((0, 1), (2, 3))
    own = [split_record(width, seeds) for width in (1.0, 4.0) for seeds in pairs]
    return [*own, *(changed(split_record(4.0, seeds), batch_size=7) for seeds in pairs)]
