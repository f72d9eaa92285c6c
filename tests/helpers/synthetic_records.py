"""Made-up records for tests of figures, tables and claims: smooth functions of width, never shown in the book."""

import math
from dataclasses import replace

from lmcbook.lab import recipes
from lmcbook.lab.config import PairConfig
from lmcbook.lab.records import Record
from lmcbook.training.config import TrainingConfig

COEFFICIENTS = [index / 24 for index in range(25)]
SEED_PAIRS = ((0, 1), (2, 3), (4, 5))
PROVENANCE = {
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
}


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
    num_layers: int = 4,
) -> Record:
    """One interpolation record whose dip at λ = ½ falls with the width, like 1/width, faster with more decay."""
    training = training_of(recipe, width, weight_decay, num_layers)
    architecture = training.architecture
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
        data={"curve": curve, "barriers": barriers_of(curve, training.num_layers or 2)},
        provenance=PROVENANCE | (provenance or {}),
    )


def training_of(recipe: str, width: float, weight_decay: float, num_layers: int = 4) -> TrainingConfig:
    """A training of a multilayer perceptron of so many layers, or of a network with batch norm."""
    architecture, dataset = recipe.split("-")
    return TrainingConfig(
        dataset=dataset,
        architecture=architecture,
        width_multiplier=float(width),
        hidden_width=16 if architecture == "mlp" else None,
        num_layers=num_layers if architecture == "mlp" else None,
        epochs=10,
        batch_size=recipes.recipe(recipe).training.batch_size,
        learning_rate=recipes.recipe(recipe).training.learning_rate,
        weight_decay=weight_decay,
    )


def make_layerwise_record(
    width: float = 1.0,
    *,
    weight_decay: float = 3e-3,
    seeds: tuple[int, int] = (0, 1),
    alignment: str = "identity",
    recipe: str = "mlp-digits",
    scale: str = "embedded",
    num_layers: int = 4,
    short: bool = False,
) -> Record:
    """One layerwise record: the wider, the more orthogonal; alike after a matching. Batch norm has a shortcut too."""
    training = training_of(recipe, width, weight_decay, num_layers)
    config = PairConfig(training=training, seeds=seeds, alignment=alignment, measurement="layerwise")
    has_batch_norm = training.num_layers is None
    names = [f"{'conv' if has_batch_norm else 'hidden'}{depth}" for depth in range(1, num_layers)] + ["classifier"]
    matched = "matching" in alignment
    wiggle = 1 + 0.05 * math.sin(5 * seeds[0] + width)
    orthogonality = 0.9 if matched else 0.8 * wiggle / width**0.3
    layers: list[dict] = []
    for depth, name in enumerate(names, start=1):
        metrics = {
            **{f"{rank}_{model}": value * wiggle for model in "ab" for rank, value in ranks_of(width).items()},
            "weight_norm_ratio": 1.0,
        }
        if depth > 1:
            both = {f"reciprocal_orthogonality{way}": orthogonality for way in ("", "_of_a_on_b", "_of_b_on_a")}
            metrics |= both | {"commutativity": 0.2 if matched else 0.9 + 0.1 / width}
        entry: dict = {"layer": name, "depth": depth, "coefficient": None, "metrics": metrics}
        if depth < num_layers:
            metrics |= {"weak_additivity": 0.99 - 0.05 / width, "opposite_signs": 0.45, "overlap": 0.5 / width**0.2}
            metrics |= {"expected_overlap": 0.48 / width**0.2, "active_share_a": 0.6, "active_share_b": 0.5}
            entry["units"] = {model: units_of(width, seed) for model, seed in zip("ab", seeds, strict=True)}
        layers.append(entry)
    if has_batch_norm:
        place = {"layer": "block1.shortcut", "depth": None, "coefficient": None}
        layers.append({**place, "metrics": {"reciprocal_orthogonality": 99.0, "commutativity": 99.0}})
    for coefficient in (0.25, 0.5, 0.75):
        for depth, name in enumerate(names, start=1):
            metrics = {"lewc_cosine": 1 - 0.1 * depth / width**0.4, "llfc_cosine": 1 - 0.1 * depth / width**0.4}
            metrics |= {"lewc_error": 0.1 * depth, "llfc_error": 0.2 * depth, "output_norm": 0.5}
            if coefficient == 0.5:
                metrics["decay_exponent"] = 1.1 if matched else depth - 0.3 / width
            layers.append({"layer": name, "depth": depth, "coefficient": coefficient, "metrics": metrics})
    return Record(
        scale=scale,
        recipe=recipe,
        config=config,
        dataset_sha256="d" * 64,
        run_keys=(f"{training.architecture}-{width:g}-{seeds[0]}", f"{training.architecture}-{width:g}-{seeds[1]}"),
        short=short,
        data={"layers": layers},
        provenance=PROVENANCE,
    )


def ranks_of(width: float) -> dict[str, float]:
    """Ranks of a layer that uses ever fewer of its directions."""
    size = 16 * width
    absolute = {"stable_rank": 4 * size**0.1, "effective_rank": 6 * size**0.3}
    return absolute | {f"relative_{name}": value / size for name, value in absolute.items()}


def units_of(width: float, seed: int) -> dict:
    """Sixteen units per unit of width, most of them nearly silent, in an order that the seed decides."""
    count = round(16 * max(width, 1))
    roots = [1.5 * math.exp(-4 * ((index * (2 * seed + 1) + seed) % count) / count) for index in range(count)]
    largest = max(roots)
    bins = [min(int(40 * root / largest), 39) for root in roots]
    return {
        "num_units": count,
        "root_second_moments": roots,
        "quantiles": {"0.5": sorted(roots)[count // 2]},
        "histogram": {"counts": [bins.count(index) for index in range(40)], "largest": largest},
    }


def with_batch_norm(record: Record) -> Record:
    """The record as if its multilayer perceptron had been given batch norm."""
    training = replace(record.config.training, normalisation="batch")
    return replace(record, config=replace(record.config, training=training), digest="", lewc_exponent=2)


def layers_sweep(recipe: str = "mlp-digits", widths: tuple[float, ...] = (1, 4, 16), *, pairs: int = 2) -> list[Record]:
    """Layerwise records and what goes with them: both weight decays, every alignment, and three layers for the MLP."""
    records = []
    for width in widths:
        for seeds in SEED_PAIRS[:pairs]:
            options: dict = {"seeds": seeds, "recipe": recipe}
            records.append(make_layerwise_record(width, weight_decay=1e-4, **options))
            for alignment in ("identity", "weight_matching"):
                records.append(make_layerwise_record(width, alignment=alignment, **options))
            for alignment in ("weight_matching", "activation_matching"):
                dip = (0.02 if alignment == "weight_matching" else 0.03) / width
                records.append(make_record(width, alignment=alignment, depth_of_dip=dip, **options))
            if recipe.startswith("mlp"):
                for make in (make_record, make_layerwise_record):
                    records.append(make(width, num_layers=3, **options))
    return records


def barriers_of(curve: dict, exponent: int = 4) -> dict[str, float]:
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
        "predicted_inverse_temperature_midpoint": 2 ** (exponent - 1) * curve["lewc_ensemble_inverse_temperature"][12],
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
