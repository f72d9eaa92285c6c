"""A lab so small that a whole job takes a fraction of a second: 20 images of 4 × 4 pixels, networks of 12 weights."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from lmcbook.lab import missing, provenance, store
from lmcbook.lab.config import PairConfig
from lmcbook.lab.measurements import MEASUREMENTS
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.session import PairSession
from lmcbook.states import state_sha256
from lmcbook.training import train, train_together
from lmcbook.training.config import TrainingConfig
from tests.helpers.small_dataset import put_in_place
from tests.helpers.small_trainings import small_training

NARROW = small_training(dataset="dots", hidden_width=3, num_layers=2, epochs=1, batch_size=9, warmup_epochs=0)
WIDE = replace(NARROW, centred_rows=True)
"""As small, but trained by itself."""


def planned(training: TrainingConfig = NARROW, measurement: str = "layerwise") -> PlannedPair:
    pair = PairConfig(training=training, measurement=measurement, num_coefficients=3)
    return PlannedPair(scale="embedded", recipe="mlp-digits", pair=pair)


def import_dots(seed: int = 0, name: str = "dots") -> None:
    """Put the dataset in its place."""
    put_in_place(name, ("dark", "light"), seed)


@contextmanager
def at_every_step() -> Iterator[None]:
    """A checkpoint is written after every step, a measurement is a digest of the weights, nothing is asked of git."""

    def digests(pair: PairConfig, session: PairSession) -> dict[str, Any]:
        return {"layers": [], "weights": [state_sha256(state) for state in session.states]}

    with (
        mock.patch.object(store, "train", lambda *a, **k: train(*a, **k, checkpoint_seconds=-1.0)),
        mock.patch.object(store, "train_together", lambda *a, **k: train_together(*a, **k, checkpoint_seconds=-1.0)),
        mock.patch.dict(MEASUREMENTS, {"layerwise": digests}),
        mock.patch.object(missing, "release_memory", lambda: None),
        mock.patch.object(provenance, "commit", lambda: (None, None, None)),
    ):
        yield


def content_of(folder: Path) -> dict[str, Any]:
    """What is below ``folder``: every file, without times and the digests that cover them."""
    return {
        str(path.relative_to(folder)): _essence(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def _essence(path: Path) -> Any:
    content = path.read_bytes()
    if path.suffix == ".safetensors":  # its metadata come in any order
        end = 8 + int.from_bytes(content[:8], "little")
        return json.loads(content[8:end]), content[end:]
    if path.suffix != ".json":
        return content
    return _timeless(json.loads(path.read_text()))


def _timeless(content: Any) -> Any:
    if isinstance(content, dict):
        passing = ("seconds", "sha256", "manifest_sha256", "provenance", "execution")
        return {name: _timeless(value) for name, value in content.items() if name not in passing}
    return [_timeless(value) for value in content] if isinstance(content, list) else content
