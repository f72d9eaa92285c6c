"""Records as pandas tables, one row for each point, pair or layer."""

from collections.abc import Iterable, Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records.record import BARRIERS, Record


def curves_table(records: Sequence[Record]) -> DataFrame:
    """One row for each record and interpolation coefficient, with every quantity that was measured along the line.

    Losses in nats, accuracies as fractions, on the test split; ``coefficient`` multiplies model a.
    """
    rows: list[dict[str, Any]] = []
    for record in _of(records, "interpolation"):
        curve = record.data["curve"]
        count = len(curve["coefficients"])
        columns = {name: values for name, values in curve.items() if isinstance(values, list) and len(values) == count}
        columns["coefficient"] = columns.pop("coefficients")
        for index in range(count):
            place = _identity(record) | {"split": "test"} | _depth(record)
            rows.append(place | {name: each[index] for name, each in columns.items()})
    return _floats(_table(rows, [*_IDENTITY, "split", *_DEPTH, "coefficient", *_CURVE]), *_DEPTH)


def barriers_table(records: Sequence[Record]) -> DataFrame:
    """One row for each record: its barriers, the endpoints, and the fitted inverse temperature at the midpoint.

    ``endpoint_loss``, ``endpoint_accuracy`` and ``endpoint_calibrated_loss`` are means of the two endpoints;
    ``merged_…`` and ``ensemble_…`` are at the midpoint, λ = ½.
    """
    rows = []
    for record in _of(records, "interpolation"):
        curve = record.data["curve"]
        middle = curve["coefficients"].index(0.5)
        row = _identity(record) | dict(record.data["barriers"])
        for name in ("loss", "accuracy", "calibrated_loss"):
            ends = curve[name][0], curve[name][-1]
            row[f"endpoint_{name}"] = None if None in ends else sum(ends) / 2
            row[f"merged_{name}"] = curve[name][middle]
        for name in ("ensemble_loss", "ensemble_accuracy", "ensemble_calibrated_loss", "ensemble_inverse_temperature"):
            row[name] = curve[name][middle] if name in curve else None
        row.setdefault("inverse_temperature_midpoint", curve["inverse_temperature"][middle])
        rows.append(row | {"short": record.short} | _depth(record))
    return _floats(_table(rows, [*_IDENTITY, *BARRIERS, *_BESIDE_BARRIERS]), "lewc_exponent")


def layers_table(records: Sequence[Record]) -> DataFrame:
    """One row for each record, layer, merged model and metric: ``metric``, ``value``, and where it was measured.

    ``layer`` is the layer's name and ``depth`` its place, counted from 1 (empty for shortcuts); ``coefficient`` is λ of
    the merged model, empty where the two endpoints were measured; ``num_layers`` is the configuration's, empty where
    the architecture decides it; ``lewc_exponent`` is L, or 2 in networks with batch norm.

    Reads ``data["layers"]``: a list of ``{"layer": name, "depth": ℓ, "coefficient": λ, "metrics": {metric: number}}``.
    """
    rows = [
        _place(record, entry) | {"coefficient": entry.get("coefficient"), "metric": metric, "value": value}
        for record in _of(records, "layerwise")
        for entry in record.data["layers"]
        for metric, value in entry["metrics"].items()
        if value is None or isinstance(value, int | float)
    ]
    table = _table(rows, [*_IDENTITY, *_LAYER, "coefficient", "metric", "value"])
    return _floats(table, *_LAYER[1:], "coefficient", "value")


def histograms_table(records: Sequence[Record]) -> DataFrame:
    """One row for each record, hidden layer and bin: the share of the units whose root second moment lies there.

    ``low`` and ``high`` bound the bin, relative to the largest root second moment of the layer; ``share_a`` and
    ``share_b`` are the two models', of all units.
    """
    rows = []
    for record in _of(records, "layerwise"):
        for entry in _with_units(record):
            counts = [entry["units"][model]["histogram"]["counts"] for model in "ab"]
            for index, (in_a, in_b) in enumerate(zip(*counts, strict=True)):
                edges = {"low": index / len(counts[0]), "high": (index + 1) / len(counts[0])}
                shares = {"share_a": in_a / sum(counts[0]), "share_b": in_b / sum(counts[1])}
                rows.append(_place(record, entry) | edges | shares)
    return _floats(_table(rows, [*_IDENTITY, *_LAYER, "low", "high", "share_a", "share_b"]), *_LAYER[1:])


def units_table(records: Sequence[Record]) -> DataFrame:
    """One row for each record, hidden layer and unit: its root second moment in model a and in model b.

    Of wide layers the record holds a fair sample of units, the same in both models; ``num_units`` is how many
    there are.
    """
    rows = []
    for record in _of(records, "layerwise"):
        for entry in _with_units(record):
            moments = [entry["units"][model]["root_second_moments"] for model in "ab"]
            place = _place(record, entry) | {"num_units": entry["units"]["a"]["num_units"]}
            rows += [
                place | {"root_second_moment_a": in_a, "root_second_moment_b": in_b}
                for in_a, in_b in zip(*moments, strict=True)
            ]
    columns = ["num_units", "root_second_moment_a", "root_second_moment_b"]
    return _floats(_table(rows, [*_IDENTITY, *_LAYER, *columns]), *_LAYER[1:])


_IDENTITY = (
    "dataset",
    "architecture",
    "recipe",
    "scale",
    "width_multiplier",
    "weight_decay",
    "seed_a",
    "seed_b",
    "alignment",
    *("batch_size", "spread_penalty", "shared", "shared_fraction"),
)

_DEPTH = ("num_layers", "lewc_exponent")

_LAYER = ("layer", "depth", *_DEPTH)

_CURVE = ("loss", "accuracy", "inverse_temperature", "calibrated_loss", "lewc_ensemble_inverse_temperature")

_BESIDE_BARRIERS = (
    *(f"{of}_{name}" for of in ("endpoint", "merged", "ensemble") for name in ("loss", "accuracy", "calibrated_loss")),
    "ensemble_inverse_temperature",
    "inverse_temperature_midpoint",
    "short",
    *_DEPTH,
)


def _identity(record: Record) -> dict[str, Any]:
    training = record.config.training
    return {
        "dataset": training.dataset,
        "architecture": training.architecture,
        "recipe": record.recipe,
        "scale": record.scale,
        "width_multiplier": training.width_multiplier,
        "weight_decay": training.weight_decay,
        "seed_a": record.config.seeds[0],
        "seed_b": record.config.seeds[1],
        "alignment": record.config.alignment,
        "batch_size": training.batch_size,
        "spread_penalty": training.spread_penalty,
        "shared": record.config.shared,
        "shared_fraction": record.config.shared_fraction,
    }


def _place(record: Record, entry: dict[str, Any]) -> dict[str, Any]:
    return _identity(record) | {"layer": entry["layer"], "depth": entry["depth"]} | _depth(record)


def _depth(record: Record) -> dict[str, int | None]:
    return {"num_layers": record.config.training.num_layers, "lewc_exponent": record.lewc_exponent}


def _floats(table: DataFrame, *columns: str) -> DataFrame:
    # a column of None and of whole numbers would get the dtype object, on which arithmetic fails
    return table.assign(**{name: table[name].astype(float) for name in columns})


def _table(rows: list[dict[str, Any]], columns: Iterable[str]) -> DataFrame:
    # without rows the columns must be there all the same, so that what follows can say "nothing measured"
    return DataFrame(rows) if rows else DataFrame(columns=list(columns))


def _with_units(record: Record) -> list[dict[str, Any]]:
    return [entry for entry in record.data["layers"] if "units" in entry]


def _of(records: Iterable[Record], measurement: str) -> list[Record]:
    return [record for record in records if record.measurement == measurement]
