"""Trained weights at the address of their configuration: locked, atomic, checked, resumed, never trained twice."""

import hashlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors.torch import load_file, save_file

from lmcbook import paths
from lmcbook.config import TrainingConfig, digest_of
from lmcbook.data import Splits, dataset_sha256, load
from lmcbook.errors import InputError
from lmcbook.permutation import StateDict
from lmcbook.provenance import provenance
from lmcbook.training import train

WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"


class DamagedRun(RuntimeError):
    """A stored run is not what was stored: it is named and refused, never used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished training, read from the store."""

    key: str
    config: TrainingConfig
    state: StateDict
    """Weights and batch-norm statistics, on the CPU."""
    manifest: dict[str, Any]
    """Configuration, data, history, hashes and provenance, as `ensure` wrote them."""
    folder: Path


def run_key(config: TrainingConfig) -> str:
    """The address of a training: a digest of its configuration, of the code's version and of the data.

    Raises:
        InputError: the dataset is unknown, or is missing and its content cannot be known without it.
    """
    return digest_of({"config": config.digest, "dataset_sha256": dataset_sha256(config.dataset)})


def run_folder(config: TrainingConfig) -> Path:
    """Where the run of ``config`` lies, or would lie."""
    return paths.runs() / "models" / run_key(config)


def is_stored(config: TrainingConfig) -> bool:
    """Whether the run of ``config`` is in the store (its files are checked when it is read)."""
    return (run_folder(config) / MANIFEST).is_file()


def ensure(
    config: TrainingConfig,
    *,
    device: str = "cpu",
    require_cached: bool = False,
    progress: bool = True,
    splits: Splits | None = None,
    deadline: float | None = None,
) -> Run:
    """The trained network of ``config``: from the store if it is there, else trained and stored.

    Two processes that want the same training train it once. A killed training goes on from its last checkpoint.
    A run appears in the store whole or not at all: it is written in a private folder and renamed into place.

    Args:
        splits: The data of ``config.dataset``, where they are at hand already; loaded otherwise, and only to train.
        deadline: As `lmcbook.training.train` takes it.

    Raises:
        TimeIsUp: the deadline came before the end; the next call goes on from there.
        InputError: with ``require_cached``, the run is not in the store.
        DamagedRun: the stored files differ from their manifest.
    """
    folder = run_folder(config)
    if is_stored(config):
        return _read(folder, config)
    if require_cached:
        raise InputError(
            f"require_cached is true, but the training {folder.name} ({config.architecture} "
            f"×{config.width_multiplier:g} on {config.dataset}, weight decay {config.weight_decay:g}, "
            f"seed {config.seed}) is not in {folder.parent}: train it with require_cached false"
        )
    scratch = folder.parent.parent / "unfinished"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"LMCBOOK_RUNS is {paths.runs()}; it cannot be written ({error}): give another folder"
        ) from error
    with FileLock(scratch / f"{folder.name}.lock"):
        if is_stored(config):  # another process has trained it while we waited
            return _read(folder, config)
        for left_over in scratch.glob(f"{folder.name}.private-*"):  # of a process that was killed: we hold its lock
            shutil.rmtree(left_over, ignore_errors=True)
        checkpoint = scratch / f"{folder.name}.checkpoint.safetensors"
        splits = load(config.dataset) if splits is None else splits
        trained = train(config, splits, device=device, checkpoint=checkpoint, progress=progress, deadline=deadline)
        content = {
            "key": folder.name,
            "config": config.to_dict(),
            "dataset_sha256": splits.sha256,
            "history": trained.history,
            "seconds": trained.seconds,
            "provenance": provenance(device),
        }
        _publish(folder, scratch, trained.state, content)
        checkpoint.unlink(missing_ok=True)
    return _read(folder, config)


def _publish(folder: Path, scratch: Path, state: StateDict, content: dict[str, Any]) -> None:
    private = scratch / f"{folder.name}.private-{uuid.uuid4().hex[:8]}"
    private.mkdir()
    try:
        save_file(state, private / WEIGHTS)
        manifest = {**content, "files": {WEIGHTS: _sha256(private / WEIGHTS)}}
        manifest["manifest_sha256"] = _content_sha256(manifest)
        (private / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
        for name in (WEIGHTS, MANIFEST):
            with (private / name).open("rb") as file:
                os.fsync(file.fileno())
        os.rename(private, folder)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _read(folder: Path, config: TrainingConfig) -> Run:
    way_out = f"remove the folder {folder} to train it again"
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        stated = manifest.pop("manifest_sha256")
        files = manifest["files"]
    except (OSError, KeyError, ValueError) as error:
        raise DamagedRun(f"{folder / MANIFEST} cannot be read ({error}): {way_out}") from error
    if stated != _content_sha256(manifest) or manifest["config"] != config.to_dict():
        raise DamagedRun(f"{folder / MANIFEST} was changed after it was written: {way_out}")
    for name, sha256 in files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != sha256:
            raise DamagedRun(f"{folder / name} is missing or differs from the SHA-256 in its manifest: {way_out}")
    return Run(key=folder.name, config=config, state=load_file(folder / WEIGHTS), manifest=manifest, folder=folder)


def _content_sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
