"""Made-up records for tests of figures, tables and claims: smooth functions of width, never shown in the book."""

import math

from lmcbook.config import PairConfig, TrainingConfig
from lmcbook.records import Record

COEFFICIENTS = [index / 24 for index in range(25)]
SEED_PAIRS = ((0, 1), (2, 3), (4, 5))


def make_record(
    width: float = 1.0,
    *,
    weight_decay: float = 3e-3,
    seeds: tuple[int, int] = (0, 1),
    alignment: str = "identity",
    recipe: str = "mlp-digits",
    scale: str = "embedded",
    depth_of_dip: float | None = None,
    short: bool = False,
    provenance: dict | None = None,
) -> Record:
    """One interpolation record whose dip at λ = ½ falls with the width, like 1/width, faster with more decay."""
    architecture, dataset = recipe.split("-")
    training = TrainingConfig(
        dataset=dataset,
        architecture=architecture,
        width_multiplier=float(width),
        hidden_width=16 if architecture == "mlp" else None,
        num_layers=4 if architecture == "mlp" else None,
        epochs=10,
        batch_size=50,
        learning_rate=0.1,
        weight_decay=weight_decay,
    )
    wiggle = 1 + 0.1 * math.sin(7 * seeds[0] + width + (3 if alignment == "random" else 0))
    dip = depth_of_dip
    if dip is None:
        dip = 0.55 * wiggle / (width ** (1.0 if weight_decay > 1e-3 else 0.4)) - (0.003 if width > 16 else 0)
    shape = [math.sin(math.pi * each) ** 4 for each in COEFFICIENTS]
    accuracy = [0.96 - dip * each for each in shape]
    calibrated_loss = [0.15 + 1.5 * dip * each for each in shape]
    loss = [
        base + 0.9 * each**2 * math.sqrt(max(dip, 0) + 0.1) for base, each in zip(calibrated_loss, shape, strict=True)
    ]
    curve = {
        "coefficients": COEFFICIENTS,
        "loss": loss,
        "accuracy": accuracy,
        "inverse_temperature": [1 + 6 * each * (1 - max(dip, 0)) for each in shape],
        "calibration_flag": [""] * 25,
        "calibrated_loss": calibrated_loss,
        "ensemble_loss": [0.14] * 25,
        "ensemble_accuracy": [0.965] * 25,
        "ensemble_inverse_temperature": [1.1] * 25,
        "ensemble_calibrated_loss": [0.13] * 25,
        "lewc_ensemble_inverse_temperature": [1.1] * 25,
        "trained_statistics": {"loss": [0.15, 0.15], "accuracy": [0.96, 0.96]},
    }
    return Record(
        scale=scale,
        recipe=recipe,
        config=PairConfig(training=training, seeds=seeds, alignment=alignment),
        dataset_sha256="d" * 64,
        run_keys=(f"{architecture}-{width:g}-{seeds[0]}", f"{architecture}-{width:g}-{seeds[1]}"),
        short=short,
        data={"curve": curve, "barriers": barriers_of(curve), "endpoints": {}},
        provenance={
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "dirty": False,
            "processor": "Test Processor 3000",
            "cores": 2,
            "gpu": None,
            "device": "cpu",
            "threads": 1,
            "precision": "float32",
            "seconds": 1.5,
            "date": "2026-01-02T03:04:05+00:00",
            **(provenance or {}),
        },
    )


def barriers_of(curve: dict) -> dict[str, float]:
    """Definition 2.1 by the obvious loop: the slow reference of the tests."""

    def excess(values: list[float], ends: list[float], sign: int) -> list[float]:
        chord = [each * ends[-1] + (1 - each) * ends[0] for each in COEFFICIENTS]
        return [sign * (value - straight) for value, straight in zip(values, chord, strict=True)]

    lines = {
        "accuracy_barrier": excess(curve["accuracy"], curve["accuracy"], -1),
        "loss_barrier": excess(curve["loss"], curve["loss"], 1),
        "calibrated_loss_barrier": excess(curve["calibrated_loss"], curve["calibrated_loss"], 1),
        "calibrated_loss_barrier_against_raw_endpoints": excess(curve["calibrated_loss"], curve["loss"], 1),
    }
    temperatures = {
        "inverse_temperature_midpoint": curve["inverse_temperature"][12],
        "predicted_inverse_temperature_midpoint": 8 * curve["lewc_ensemble_inverse_temperature"][12],
    }
    return (
        temperatures
        | {name: max(line) for name, line in lines.items()}
        | {f"midpoint_{name}": line[12] for name, line in lines.items()}
    )


def width_sweep(
    recipe: str = "mlp-digits",
    widths: tuple[float, ...] = (1, 2, 4, 8, 16, 32),
    *,
    pairs: int = 3,
    alignments: tuple[str, ...] = ("identity", "random"),
    scale: str = "embedded",
) -> list[Record]:
    """Records of one recipe over widths, both weight decays and seed pairs."""
    return [
        make_record(width, weight_decay=decay, seeds=seeds, alignment=alignment, recipe=recipe, scale=scale)
        for width in widths
        for decay in (3e-3, 1e-4)
        for seeds in SEED_PAIRS[:pairs]
        for alignment in alignments
    ]
