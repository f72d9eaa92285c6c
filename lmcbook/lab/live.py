"""What the live explorer computes with: small networks and images of digits, in one file of text that a browser reads.

``python -m lmcbook.lab.live FILE`` trains the networks, or takes them from the store, and writes the file.
"""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.data import Splits, load
from lmcbook.data.whole_files import spaced_sha256, write_whole
from lmcbook.evaluation import ensemble_logits, predict_logits
from lmcbook.evaluation.metrics import accuracy
from lmcbook.lab import plan
from lmcbook.lab.config import PairConfig
from lmcbook.lab.provenance import provenance
from lmcbook.lab.store import ensure
from lmcbook.merging import Repairer, add_biases, interpolate
from lmcbook.models import LayeredModel, build_model
from lmcbook.states import StateDict
from lmcbook.training.config import TrainingConfig

RECIPE, WIDTHS, BATCHES, SEEDS = "mlp-digits", (1, 4), (32, 128), (0, 1)
REPAIR_IMAGES = 300
"""Training images, without labels, that the repair takes its means from."""
COEFFICIENTS = tuple(index / 20 for index in range(21))
"""λ of the still figure."""
LEVELS = "0123456789abcdefg"
"""One letter for each grey level of a pixel, 0 to 16."""


def pairs() -> list[PairConfig]:
    """One pair of the plan for each width and batch size."""
    selection = plan.Selection("desk", recipes=[RECIPE], width_multipliers=list(WIDTHS), seed_pairs=[SEEDS])
    found = [one.pair for one in plan.batch_size(selection) if one.pair.measurement == "interpolation"]
    return [pair for pair in found if pair.training.batch_size in BATCHES]


def live_data() -> dict[str, Any]:
    """Everything that the live explorer needs; its networks are trained unless they are in the store."""
    splits = load("digits")
    return {
        "recipe": RECIPE,
        "seeds": list(SEEDS),
        "mean": splits.mean[0],
        "std": splits.std[0],
        "test": {"pixels": letters(splits, "test"), "labels": "".join(map(str, splits.test.labels.tolist()))},
        "repair": {"pixels": letters(splits, "train", REPAIR_IMAGES)},
        "settings": [_setting(pair, splits) for pair in pairs()],
        "dataset_sha256": splits.sha256,
        "provenance": provenance(),
    }


def _setting(pair: PairConfig, splits: Splits) -> dict[str, Any]:
    trained = [ensure(training, progress=False).state for training in (pair.training_a, pair.training_b)]
    model, images, labels = network_of(pair.training, splits), splits.test.images, splits.test.labels
    names = list(model.state_dict())  # from the images to the logits, which the store does not keep
    networks = [[packed(state[name]) for name in names] for state in trained]
    states = [unpacked(network, names) for network in networks]
    return {
        "width": pair.training.width_multiplier,
        "batch": pair.training.batch_size,
        "weight_decay": pair.training.weight_decay,
        "epochs": pair.training.epochs,
        "networks": networks,
        "sha256": [spaced_sha256(network) for network in networks],
        "trained_accuracies": [accuracy(predict_logits(model, state, images), labels) for state in trained],
        "curve": list(_curve(model, states, splits)),
    }


def network_of(training: TrainingConfig, splits: Splits) -> LayeredModel:
    """The network itself; its weights are drawn and do not count."""
    return build_model(training, input_shape=splits.input_shape, num_classes=splits.num_classes)


def ways(
    model: LayeredModel, states: list[StateDict], coefficient: float, repairing: Tensor, images: Tensor
) -> dict[str, Float[Tensor, "examples classes"]]:
    """The logits of ``images`` from a, b, the plain average, the ensemble and the repaired average."""
    a, b = (predict_logits(model, state, images) for state in states)
    merged = interpolate(states[0], states[1], coefficient)
    repaired = Repairer(model, states, repairing).repair(merged, (coefficient, 1 - coefficient), "lewc_mean")
    return {
        "a": a,
        "b": b,
        "average": predict_logits(model, merged, images),
        "ensemble": ensemble_logits(a, b, coefficient),
        "repaired": predict_logits(add_biases(model), repaired, images),
    }


def _curve(model: LayeredModel, states: list[StateDict], splits: Splits) -> Iterator[dict[str, float]]:
    repairing = splits.train.images[:REPAIR_IMAGES]
    for coefficient in COEFFICIENTS:
        answers = ways(model, states, coefficient, repairing, splits.test.images)
        right = {way: accuracy(logits, splits.test.labels) for way, logits in answers.items()}
        yield {"coefficient": coefficient, **right}


def packed(weight: Float[Tensor, "units inputs"]) -> dict[str, Any]:
    """A weight as whole numbers of 16 bits, little-endian and in base64, and the size of one of their steps."""
    scale = float(weight.abs().max()) / 32767
    whole = (weight.double() / scale).round().to(torch.int16)
    text = base64.b64encode(whole.numpy().astype("<i2").tobytes()).decode()
    return {"shape": list(weight.shape), "scale": scale, "int16": text}


def unpacked(network: list[dict[str, Any]], names: list[str]) -> StateDict:
    """The state of a network of `packed` weights, under these ``names`` of its tensors."""
    return {name: _weight(layer) for name, layer in zip(names, network, strict=True)}


def _weight(layer: dict[str, Any]) -> Float[Tensor, "units inputs"]:
    whole = torch.frombuffer(bytearray(base64.b64decode(layer["int16"])), dtype=torch.int16)
    return (whole.double() * layer["scale"]).float().reshape(layer["shape"])


def letters(splits: Splits, part: str, count: int | None = None) -> str:
    """The pixels of the first ``count`` images of a part of digits, a letter of `LEVELS` each."""
    images = getattr(splits, part).images[:count].double()
    levels = ((images * splits.std[0] + splits.mean[0]) * 16).round().int().flatten().tolist()
    return "".join(LEVELS[level] for level in levels)


if __name__ == "__main__":
    write_whole(Path(sys.argv[1]), json.dumps(live_data(), separators=(",", ":"), ensure_ascii=False) + "\n")
