"""The pair that a notebook asks about: named by files and functions, or two small networks trained on the spot."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from lmcbook.connecting.factories import Data, build, read_data
from lmcbook.data import load
from lmcbook.errors import InputError
from lmcbook.models import build_model
from lmcbook.training import TrainingConfig, train

EMBEDDED = TrainingConfig(
    dataset="digits",
    architecture="mlp",
    num_layers=4,
    hidden_width=64,
    epochs=40,
    batch_size=64,
    learning_rate=0.1,
)
"""Of the two networks that are trained if none are named: seconds on one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPair:
    """Two networks with what `lmcbook.connect` needs to compare them."""

    model: nn.Module
    a: Any
    """A path, or a state dict of the embedded pair."""
    b: Any
    data: Data


def own_pair(
    a: str | None = None,
    b: str | None = None,
    model: str | None = None,
    data: str | None = None,
    *,
    num_classes: int | None = None,
    image_size: int = 224,
    examples: int | None = None,
) -> OwnPair:
    """The networks that are named, as `lmcbook connect` takes the names; without any the embedded pair is trained.

    Raises:
        InputError: some of the four are given and some not, or one of them cannot be found.
    """
    named = {"a": a, "b": b, "model": model, "data": data}
    missing = [name for name, value in named.items() if value is None]
    if len(missing) == len(named):
        digits = load("digits")
        trained = [train(replace(EMBEDDED, seed=seed), digits, progress=False).state for seed in (0, 1)]
        network = build_model(EMBEDDED, input_shape=digits.input_shape, num_classes=digits.num_classes)
        found = Data(test=digits.test, calibration=digits.calibration, images=digits.train)
        return OwnPair(model=network, a=trained[0], b=trained[1], data=found)
    if missing:
        raise InputError(f"{' and '.join(missing)} must be given too; or none of a, b, model and data")
    return OwnPair(
        model=build(str(model), num_classes),
        a=a,
        b=b,
        data=read_data(str(data), image_size=image_size, examples=examples),
    )
