"""Made-up records for tests of the controls: temperatures with a known least loss, sweeps of decay and length."""

from collections.abc import Mapping
from dataclasses import replace

from lmcbook.lab.records import Record
from tests.helpers.synthetic_records import (
    COEFFICIENTS,
    SEED_PAIRS,
    make_layerwise_record,
    make_record,
)

CURVATURE = 0.32
"""Nats per squared octave: within 0.02 nats of the least lies a quarter of an octave to either side."""
DECAYS = (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2)


def changed(record: Record, **training) -> Record:
    """The record of another training: these fields of its configuration are others."""
    config = replace(record.config, training=replace(record.config.training, **training))
    return replace(record, config=config, digest="", short=training.get("epochs", 10) < 10)


def with_temperatures(record: Record, *, least: float | None = None, tilt: float = 0.0) -> Record:
    """The record with a sweep of temperatures whose loss is a parabola in log₂ β around the fitted one.

    ``least`` is the loss at the fitted β, by default the curve's; ``tilt`` moves the parabola by so many octaves.
    """
    curve = record.data["curve"]
    fitted = curve["inverse_temperature"][12]
    bottom = curve["calibrated_loss"][12] if least is None else least
    entries = [
        {
            "inverse_temperature": fitted * 2 ** (half / 2),
            "loss": bottom + CURVATURE * (half / 2 - tilt) ** 2,
            "expected_calibration_error": 0.1,
            **{"counts": [4], "confidence": [0.5], "accuracy": [0.5]},
        }
        for half in range(-6, 7)
    ]
    return replace(record, data=record.data | {"temperatures": {"merged": entries, "ensemble": entries}}, digest="")


def diagram(counts: list[int], confidence: list[float | None], accuracy: list[float | None], error: float) -> dict:
    """What a record says of one network at one temperature."""
    return {
        **{"inverse_temperature": 1.0, "loss": 0.2, "expected_calibration_error": error},
        **{"counts": counts, "confidence": confidence, "accuracy": accuracy},
    }


def make_calibration_record(
    width: float = 8.0,
    *,
    recipe: str = "mlp-digits",
    seeds: tuple[int, int] = (0, 1),
    weight_decay: float = 3e-3,
    predicted_cost: float = 0.001,
    single_cost: float = 0.05,
) -> Record:
    """One calibration record: choices of β that cost so much above the fitted one at every λ, samples that scatter."""
    record = make_record(width, recipe=recipe, seeds=seeds, weight_decay=weight_decay)
    raw = diagram([10, 30, 60], [0.2, 0.5, 0.8], [0.4, 0.9, 1.0], 0.3)
    good = diagram([0, 20, 80], [None, 0.5, 0.9], [None, 0.55, 0.9], 0.01)
    costs = {"raw": 0.4, "fitted": 0.0, "single": single_cost, "midpoint": 0.08, "predicted": predicted_cost}
    along = {
        name: {"inverse_temperature": [1 + 7 * 4 * at * (1 - at) for at in COEFFICIENTS], "loss": [0.1 + cost] * 25}
        for name, cost in costs.items()
    }
    few = [
        {
            "examples": size,
            "inverse_temperature": [8 * (1 + draw / size) for draw in range(20)],
            "loss": [0.1 + draw / size / 10 for draw in range(20)],
            "smoothed": 30 // size,
        }
        for size in (10, 20, 50)
    ]
    everything = {"examples": 60, "inverse_temperature": [8.0], "loss": [0.1], "smoothed": 0}
    return replace(
        record,
        config=replace(record.config, measurement="calibration"),
        measurement="calibration",
        digest="",
        data={
            "coefficients": COEFFICIENTS,
            "exponent": 4,
            "reliability": {name: {"raw": raw, "calibrated": good} for name in ("a", "b", "merged", "ensemble")},
            "along": along,
            "few": [*few, everything],
        },
    )


def temperature_sweep(
    recipe: str = "mlp-digits", widths: tuple[float, ...] = (1, 4, 16), *, pairs: int = 2
) -> list[Record]:
    """All that the chapter on temperatures measures of one recipe at one depth."""
    records: list[Record] = []
    for width in widths:
        for seeds in SEED_PAIRS[:pairs]:
            for decay in (3e-3, 1e-4):
                options: dict = {"recipe": recipe, "seeds": seeds, "weight_decay": decay}
                records.append(with_temperatures(make_record(width, **options)))
                records.append(make_layerwise_record(width, **options))
            records.append(make_calibration_record(width, recipe=recipe, seeds=seeds))
    return records


def decay_sweep(
    recipe: str = "mlp-digits",
    dips: dict[float, tuple[float, ...]] | None = None,
    *,
    width: float = 16.0,
    **training: int | bool,
) -> list[Record]:
    """Interpolation and layerwise records for each weight decay, with these accuracy barriers of the pairs."""
    dips = dips or {decay: (0.05 - decay, 0.06 - decay) for decay in DECAYS}
    records = []
    for decay, of_pairs in dips.items():
        for seeds, dip in zip(SEED_PAIRS, of_pairs, strict=False):
            options: dict = {"recipe": recipe, "seeds": seeds, "weight_decay": decay}
            for record in (make_record(width, depth_of_dip=dip, **options), make_layerwise_record(width, **options)):
                records.append(changed(record, **training) if training else record)
    return records


def control_sweep() -> list[Record]:
    """All that the chapter on weight decay shows: two networks, one spared, one shortened."""
    return [
        *decay_sweep(),
        *decay_sweep(dips={3e-3: (0.05, 0.06), 1e-2: (0.04, 0.05)}, epochs=3),
        *decay_sweep("vgg11-digits", width=4.0),
        *decay_sweep("vgg11-digits", width=4.0, decay_normalisation=False),
    ]


def with_metrics(record: Record, **metrics: float) -> Record:
    """The layerwise record with these values in every layer that has the metric."""
    layers = [
        {**entry, "metrics": {name: metrics.get(name, value) for name, value in entry["metrics"].items()}}
        for entry in record.data["layers"]
    ]
    return replace(record, data={"layers": layers}, digest="")


def penalty_sweep(
    recipe: str = "mlp-digits",
    dips: dict[float, tuple[float, ...]] | None = None,
    orthogonality: dict[float, float] | None = None,
    additivity: dict[float, float] | None = None,
    *,
    width: float = 16.0,
) -> list[Record]:
    """Records for each penalty, with these accuracy barriers of the pairs and these conditions."""
    dips = dips or {0.0: (0.09, 0.1), 0.1: (0.12, 0.14), 10.0: (0.25, 0.3)}
    orthogonality = orthogonality or {0.0: 0.4, 0.1: 0.6, 10.0: 0.8}
    additivity = additivity or {0.0: 0.99, 0.1: 0.985, 10.0: 0.98}
    records = []
    for penalty, of_pairs in dips.items():
        for seeds, dip in zip(SEED_PAIRS, of_pairs, strict=False):
            options: dict = {"recipe": recipe, "seeds": seeds}
            inside = with_metrics(
                make_layerwise_record(width, **options),
                **dict.fromkeys(
                    ("relative_effective_rank_a", "relative_effective_rank_b"), 0.1 if penalty == 0 else 1.0
                ),
                reciprocal_orthogonality=orthogonality[penalty],
                weak_additivity=additivity[penalty],
            )
            for record in (make_record(width, depth_of_dip=dip, **options), inside):
                records.append(changed(record, spread_penalty=penalty))
    return records


def batch_sweep(
    recipe: str = "mlp-digits",
    dips: Mapping[float, Mapping[int, tuple[float, ...]]] | None = None,
    orthogonality: dict[int, float] | None = None,
) -> list[Record]:
    """Records by width and batch size, with these accuracy barriers of the pairs and this orthogonality."""
    dips = dips or {
        4.0: {16: (0.12, 0.14), 32: (0.3, 0.31)},
        16.0: {16: (0.01, 0.02), 32: (0.09, 0.1), 128: (0.25, 0.3)},
    }
    orthogonality = orthogonality or {16: 0.3, 32: 0.4, 128: 0.5}
    records = []
    for width, of_width in dips.items():
        for size, of_pairs in of_width.items():
            for seeds, dip in zip(SEED_PAIRS, of_pairs, strict=False):
                options: dict = {"recipe": recipe, "seeds": seeds}
                layered = make_layerwise_record(width, **options)
                inside = with_metrics(layered, reciprocal_orthogonality=orthogonality[size])
                told = {"training": [{"final_loss": 1 / size}, {"final_loss": 3 / size}]}
                for record in (make_record(width, depth_of_dip=dip, provenance=told, **options), inside):
                    records.append(changed(record, batch_size=size))
    return records


STARTS: tuple[tuple[str, float], ...] = (("nothing", 0.0), ("order", 0.0), ("start", 0.0), ("start", 0.1))


def start_sweep(
    recipe: str = "mlp-digits",
    alike: tuple[tuple[str, float], ...] = STARTS[2:],
    *,
    width: float = 16.0,
    pairs: int = 2,
    kinds: tuple[tuple[str, float], ...] = STARTS,
) -> list[Record]:
    """Records of pairs with these things in common; those of ``alike`` follow LLFC, the others LEWC."""
    records = []
    for shared, fraction in kinds:
        for seeds in SEED_PAIRS[:pairs]:
            options: dict = {"recipe": recipe, "seeds": seeds}
            likeness = (shared, fraction) in alike
            inside = with_metrics(
                make_layerwise_record(width, **options),
                reciprocal_orthogonality=0.95 if likeness else 0.3,
                commutativity=0.05 if likeness else 0.95,
                decay_exponent=1.0 if likeness else 3.5,
                lewc_error=6.5 if likeness else 0.5,
                llfc_error=0.05 if likeness else 0.85,
            )
            for record in (make_record(width, depth_of_dip=0.005 if likeness else 0.1, **options), inside):
                config = replace(record.config, shared=shared, shared_fraction=fraction)
                records.append(replace(record, config=config, digest=""))
    return records


def make_flatness_record(
    width: float = 16.0,
    *,
    recipe: str = "mlp-digits",
    seeds: tuple[int, int] = (0, 1),
    pair: float = 0.3,
    random: float = 0.2,
    end: float = 0.5,
    directions: int = 4,
) -> Record:
    """A flatness record with these calibrated losses halfway, of the pair's line and of the mean random one."""
    record = make_record(width, recipe=recipe, seeds=seeds)
    middle = (directions - 1) / 2

    def curve(kind: str, halfway: float, last: float) -> dict:
        losses = [0.1, (0.1 + halfway) / 2, halfway, (halfway + last) / 2, last]
        return {
            **{"kind": kind, "length": 12.0, "loss": [2 * each for each in losses], "calibrated_loss": losses},
            **{"accuracy": [1 - each / 3 for each in losses], "inverse_temperature": [1.0, 1.1, 1.2, 1.3, 1.4]},
        }

    curves = [curve("pair", pair, 0.1)]
    for index in range(directions):
        shift = 0.01 * (index - middle)
        curves += [curve(kind, random + shift, end + shift) for kind in ("global", "layer", "filter")]
    curves += [curve("untrained", 0.4, 2.3) for _ in range(directions)]
    return replace(
        record,
        config=replace(record.config, measurement="flatness", num_coefficients=5, num_directions=directions),
        measurement="flatness",
        digest="",
        data={"distances": [0.0, 0.25, 0.5, 0.75, 1.0], "norm": 8.0, "curves": curves},
    )


def flatness_sweep(
    recipe: str = "mlp-digits", widths: tuple[float, ...] = (1, 16), *, pairs: int = 2, **losses: float
) -> list[Record]:
    """All that the chapter on flatness measures of one recipe."""
    return [
        record
        for width in widths
        for seeds in SEED_PAIRS[:pairs]
        for record in (
            make_record(width, recipe=recipe, seeds=seeds),
            make_flatness_record(width, recipe=recipe, seeds=seeds, **losses),  # type: ignore[arg-type]
        )
    ]
