"""Made-up records for tests of the explorers, and a page that shows an explorer as a browser does without a kernel."""

import copy
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets

from lmcbook.lab.config import PairConfig
from lmcbook.lab.records import Record
from tests.helpers.synthetic_records import make_record

FACTORS = [2 ** (half / 2) for half in range(-6, 7)]
"""Multiples of the fitted inverse temperature of a measured record."""


def along_the_line(*, factors: Sequence[float] = FACTORS[2::4], **options: Any) -> Record:
    """A made-up interpolation record with what other temperatures would do; by default, only a few of them."""
    record = make_record(**options)
    fitted = record.data["curve"]["inverse_temperature"][12]
    sweep = [
        {
            "inverse_temperature": fitted * factor,
            "loss": 0.3 + math.log2(factor) ** 2 / 10,
            "expected_calibration_error": abs(math.log2(factor)) / 10,
            "counts": [0, *[10] * 14],
            "confidence": [None, *((place + 0.5) / 15 for place in range(1, 15))],
            "accuracy": [None, *((place + 0.5) / 15 for place in range(1, 15))],
        }
        for factor in factors
    ]
    return replace(record, data={**record.data, "temperatures": {"merged": sweep, "ensemble": sweep}})


def by_layer(width: float, *, num_layers: int = 4, units: int | None = None, **options: Any) -> Record:
    """A made-up layerwise record whose cosines rise with the width."""
    record = make_record(width, **options)
    draw = random.Random(str((width, record.config.seeds)))
    count = units or round(16 * width)
    layers: list[dict[str, Any]] = []
    for depth in range(1, num_layers + 1):
        metrics: dict[str, float] = {}
        more: dict[str, Any] = {}
        if depth < num_layers:
            metrics = {
                "overlap": 1 / width,
                "expected_overlap": 0.9 / width,
                "active_share_a": 0.5,
                "active_share_b": 0.5,
            }
            roots = {model: [draw.random() for _ in range(min(count, 1024))] for model in "ab"}
            more = {"units": {model: {"num_units": count, "root_second_moments": roots[model]} for model in "ab"}}
        layers.append({"layer": f"layer{depth}", "depth": depth, "coefficient": None, "metrics": metrics, **more})
    for depth in range(1, num_layers + 1):
        cosine = 1 - depth / 10 / width
        metrics = {"lewc_cosine": cosine, "decay_exponent": depth * cosine, "lewc_error": 0.1, "llfc_error": 0.5}
        layers.append({"layer": f"layer{depth}", "depth": depth, "coefficient": 0.5, "metrics": metrics})
        layers.append({"layer": f"layer{depth}", "depth": depth, "coefficient": 0.25, "metrics": {}})
    config = PairConfig(training=record.config.training, seeds=record.config.seeds, measurement="layerwise")
    return replace(record, config=config, measurement="layerwise", digest=config.digest, data={"layers": layers})


def sliding_rows(units: int = 8, num_layers: int = 3) -> list[dict[str, Any]]:
    """Made-up rows of the theorem, for four numbers of shared units."""
    return [
        {
            "shared_units": shared,
            "units": units,
            "depth": depth,
            "decay_exponent": depth - (depth - 1) * shared / units,
            "off_lewc": shared / units,
            "off_llfc": 1 - shared / units,
            "orthogonality": math.nan if depth == 1 else shared / units,
            "commutativity": math.nan if depth == 1 else 1 - shared / units,
        }
        for shared in (0, 2, 4, units)
        for depth in range(1, num_layers + 1)
    ]


def sweep(
    make: Callable[..., Record], widths: tuple[float, ...] = (1.0, 32.0), pairs: int = 2, **options: Any
) -> list[Record]:
    """Records of every width, two weight decays and so many pairs."""
    return [
        make(width=width, weight_decay=decay, seeds=seeds, **options)
        for width in widths
        for decay in (3e-3, 1e-4)
        for seeds in ((0, 1), (2, 3), (4, 5))[:pairs]
    ]


class Page:
    """What html-manager does with a page's widgets, as far as these explorers need it: links, stacks, nothing else."""

    def __init__(self, models: dict[str, Any] | None = None) -> None:
        # a copy, so that what is set stays with this page
        self.models = copy.deepcopy(models or ipywidgets.Widget.get_manager_state()["state"])
        links = [each["state"] for each in self.models.values() if each["model_name"].endswith("LinkModel")]
        self.links = [(link["source"], link["target"], "Directional" not in link["_model_name"]) for link in links]

    @property
    def size(self) -> int:
        return len(json.dumps(self.models))

    def named(self, model_name: str) -> dict[str, dict[str, Any]]:
        """Models of one kind, by reference."""
        found = self.models.items()
        return {f"IPY_MODEL_{key}": model["state"] for key, model in found if model["model_name"] == model_name}

    def state(self, reference: str) -> dict[str, Any]:
        return self.models[reference.removeprefix("IPY_MODEL_")]["state"]

    def control(self, label: str) -> str:
        names = ("SelectionSliderModel", "ToggleButtonsModel", "DropdownModel")
        [found] = [key for name in names for key, state in self.named(name).items() if state["description"] == label]
        return found

    def set(self, reference: str, trait: str, value: int) -> None:
        """Set a value and follow the links."""
        if self.state(reference)[trait] == value:
            return
        self.state(reference)[trait] = value
        for source, target, both_ways in self.links:
            for here, there in ((source, target), (target, source))[: 2 if both_ways else 1]:
                if here == [reference, trait]:
                    self.set(there[0], there[1], value)

    def shown(self, reference: str) -> list[str]:
        """The HTML that is visible under a widget, in order."""
        state = self.state(reference)
        if "children" not in state:
            return [state["value"]] if state["_model_name"] == "HTMLModel" else []
        if state["_model_name"] == "StackModel":
            return self.shown(state["children"][state["selected_index"]])
        return [text for child in state["children"] for text in self.shown(child)]

    @property
    def stage(self) -> str:
        """What holds the drawing."""
        [found] = [key for key, state in self.named("GridBoxModel").items() if "lmc-stage" in state["_dom_classes"]]
        return found


def widgets_under(widget: Any) -> list[Any]:
    """A widget and all that it shows."""
    return [widget, *(each for child in getattr(widget, "children", ()) for each in widgets_under(child))]
