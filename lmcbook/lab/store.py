"""Trained weights at the address of their configuration: locked, atomic, checked, resumed, never trained twice."""

import json
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from lmcbook.data import Splits, dataset_sha256, load
from lmcbook.data.locks import held
from lmcbook.data.safe_files import NO_FILE, opened
from lmcbook.data.whole_files import (
    file_sha256,
    private_folder,
    private_path,
    read_json,
    readable_as_its_folder,
    remove,
    spaced_sha256,
    sync,
    sync_folder,
)
from lmcbook.errors import InputError, one_line
from lmcbook.lab import paths, scratch
from lmcbook.lab.provenance import provenance
from lmcbook.states import StateDict
from lmcbook.training import TrainedModel, TrainingDiverged, TrainingsDiverged, train, train_together
from lmcbook.training.checkpoint import CheckpointOfAnother, drop_checkpoint, was_exchanged
from lmcbook.training.config import TrainingConfig, company, digest_of, trains_together

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

    It is `ensure_many` of one.

    Raises:
        TimeIsUp: the deadline came before the end; the next call goes on from there.
        TrainingDiverged: the loss is not finite.
        InputError: with ``require_cached``, the run is not in the store.
        DamagedRun: the stored files differ from their manifest.
    """
    return ensure_many(
        [config], device=device, require_cached=require_cached, progress=progress, splits=splits, deadline=deadline
    )[0]


def ensure_many(
    configs: Sequence[TrainingConfig],
    *,
    device: str = "cpu",
    require_cached: bool = False,
    progress: bool = True,
    splits: Splits | None = None,
    deadline: float | None = None,
) -> list[Run]:
    """The trained networks of ``configs``, in their order: read from the store, or trained and stored.

    Narrow networks of one shape are trained together (`lmcbook.training.train_together`), which does not change what
    they become. Two processes that want some of the same trainings do each of them once. A killed training goes on from
    its last checkpoint. A run appears in the store whole or not at all, as soon as it is done: it is written in a
    private folder and renamed into place.

    Args:
        splits: The data of all ``configs``, where they are loaded already; loaded otherwise, and only to train.
        deadline: As `lmcbook.training.train` takes it.

    Raises:
        TimeIsUp: the deadline came before the end; the next call goes on from there.
        TrainingsDiverged: some losses are not finite; all other trainings were done and stored before it is raised.
        InputError: with ``require_cached``, a run is not in the store.
        DamagedRun: the stored files differ from their manifest.
    """
    runs: dict[TrainingConfig, Run] = {}
    diverged: dict[TrainingConfig, str] = {}
    while True:
        runs |= {config: run for config in configs if config not in runs and (run := _stored(config)) is not None}
        missing = [config for config in dict.fromkeys(configs) if config not in runs]
        if not missing:
            return [runs[config] for config in configs]
        if require_cached:
            config, others = missing[0], f" (nor are {len(missing) - 1} others)" if len(missing) > 1 else ""
            raise InputError(
                f"require_cached is true, but the training {run_key(config)} ({config.architecture} "
                f"×{config.width_multiplier:g} on {config.dataset}, weight decay {config.weight_decay:g}, "
                f"seed {config.seed}) is not in {run_folder(config).parent}{others}: train it with require_cached false"
            )
        scratch.make()
        for group in _groups(missing):
            data = load(group[0].dataset) if splits is None else splits
            diverged |= _train_group(group, data, device=device, progress=progress, deadline=deadline)
        if diverged:
            raise TrainingsDiverged(diverged)


def _stored(config: TrainingConfig) -> Run | None:
    """The run of ``config`` if it is in the store; another process may forget it while it is read.

    Raises:
        DamagedRun: the stored files differ from their manifest.
    """
    try:
        return _read(run_folder(config), config) if is_stored(config) else None
    except DamagedRun:
        if is_stored(config):
            raise
        return None


def forget(config: TrainingConfig) -> None:
    """Remove the run of ``config`` from the store, if it is there: at once for all readers, then file by file."""
    folder = run_folder(config)
    if is_stored(config):
        scratch.make()
        gone = private_path(scratch.folder() / folder.name)
        with suppress(FileNotFoundError):  # another process has forgotten it meanwhile
            os.rename(folder, gone)
        remove(gone)
    scratch.unmark(folder.name)


# Every training holds a lock, and a process may have no more than 256 files open.
_MOST_AT_ONCE = 64

_TRIES = 3
"""Times that a run is renamed to its place, while others put something there and take it away."""


def _groups(configs: Iterable[TrainingConfig]) -> list[list[TrainingConfig]]:
    """What is trained in one go: all of one shape where that is possible, else one."""
    groups: dict[TrainingConfig, list[TrainingConfig]] = {}
    for config in configs:
        groups.setdefault(company(config) if trains_together(config) else config, []).append(config)
    return [part for group in groups.values() for part in _parts(group)]


def _parts(group: list[TrainingConfig]) -> Iterator[list[TrainingConfig]]:
    for start in range(0, len(group), _MOST_AT_ONCE):
        yield group[start : start + _MOST_AT_ONCE]


def _train_group(
    group: list[TrainingConfig], splits: Splits, *, device: str, progress: bool, deadline: float | None
) -> dict[TrainingConfig, str]:
    """Train and store what nobody else has by then; returns what diverged, with what is to be said of it."""
    with held(map(scratch.lock, map(run_key, group)), f"trains {_named(group)}"):
        while True:
            missing = [config for config in group if not is_stored(config)]  # others may have trained while we waited
            for file in map(scratch.checkpoint, map(run_key, missing)):
                if was_exchanged(file):
                    drop_checkpoint(file, "it was written under another name")
            try:
                for config, trained in _trained(missing, splits, device=device, progress=progress, deadline=deadline):
                    _publish(config, trained, splits.sha256, device)
            except CheckpointOfAnother as error:  # its name is made of the configuration, so somebody exchanged files
                drop_checkpoint(error.path, "it is of another training")
                continue
            except TrainingsDiverged as error:
                return error.messages
            except TrainingDiverged as error:
                return {missing[0]: str(error)}
            return {}


def _named(group: Sequence[TrainingConfig]) -> str:
    first, others = group[0], f" and {len(group) - 1} like it" if len(group) > 1 else ""
    return f"{first.architecture} ×{first.width_multiplier:g} on {first.dataset}{others}"


def _trained(
    configs: list[TrainingConfig], splits: Splits, *, device: str, progress: bool, deadline: float | None
) -> Iterator[tuple[TrainingConfig, TrainedModel]]:
    checkpoints = {config: scratch.checkpoint(run_key(config)) for config in configs}
    if configs and trains_together(configs[0]):
        yield from train_together(
            configs, splits, device=device, checkpoints=checkpoints, progress=progress, deadline=deadline
        )
        return
    for config in configs:
        yield (
            config,
            train(config, splits, device=device, checkpoint=checkpoints[config], progress=progress, deadline=deadline),
        )


def _publish(config: TrainingConfig, trained: TrainedModel, dataset_sha256: str, device: str) -> None:
    folder = run_folder(config)
    content = {
        "key": folder.name,
        "config": config.to_dict(),
        "dataset_sha256": dataset_sha256,
        "history": trained.history,
        "seconds": trained.seconds,
        "execution": trained.execution,
        "provenance": provenance(device),
    }
    with private_folder(scratch.folder() / folder.name) as private:
        save_file(trained.state, private / WEIGHTS)
        readable_as_its_folder(private / WEIGHTS)
        manifest = {**content, "files": {WEIGHTS: file_sha256(private / WEIGHTS)}}
        manifest["manifest_sha256"] = spaced_sha256(manifest)
        (private / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
        for name in (WEIGHTS, MANIFEST):
            sync(private / name)
        sync_folder(private)
        _take_place(private, folder, config)
        sync_folder(folder.parent)
    scratch.checkpoint(folder.name).unlink(missing_ok=True)


def _take_place(private: Path, folder: Path, config: TrainingConfig) -> None:
    """Rename a whole run to its place, unless another process was first: where locks do not hold, both trained it.

    Raises:
        OSError: it cannot be renamed, whatever others do there.
    """
    for _ in range(_TRIES):
        try:
            os.rename(private, folder)
            return
        except OSError as error:
            if is_stored(config):
                return
            failure = error
        aside = folder.with_name(f"{folder.name}.set-aside-{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):  # what was in the way is gone: another process set it aside, or forgot it
            os.rename(folder, aside)
            print(
                f"{folder} was in the way of a trained network and held no whole run; it is {aside} now",
                file=sys.stderr,
            )
    raise failure


def _weights(path: Path) -> StateDict:
    with opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (a safe_open has no iterator)


def _read(folder: Path, config: TrainingConfig) -> Run:
    way_out = f"remove the folder {folder} to train it again"
    try:
        manifest = read_json(folder / MANIFEST)
        stated = manifest.pop("manifest_sha256")
        files, of = manifest["files"], (manifest["key"], manifest["config"])
        damaged = stated != spaced_sha256(manifest) or of != (folder.name, config.to_dict()) or [*files] != [WEIGHTS]
        same = not damaged and file_sha256(folder / WEIGHTS) == files[WEIGHTS]
        state = _weights(folder / WEIGHTS) if same else {}
    except FileNotFoundError as error:
        raise DamagedRun(f"{error.filename} is missing: {way_out}") from None
    except PermissionError as error:
        raise DamagedRun(f"{error.filename} cannot be read ({error.strerror}): ask its owner to let you") from None
    except OSError as error:  # what is no file holds nothing, and what cannot be read now may be whole
        then = way_out if error.errno in NO_FILE else "try again later"
        raise DamagedRun(f"{error.filename} cannot be read ({error.strerror}): {then}") from error
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise DamagedRun(f"{folder / MANIFEST} or {WEIGHTS} cannot be read ({one_line(error)}): {way_out}") from error
    if damaged:
        raise DamagedRun(f"{folder / MANIFEST} was changed after it was written: {way_out}")
    if not same:
        raise DamagedRun(f"{folder / WEIGHTS} is missing or differs from the SHA-256 in its manifest: {way_out}")
    return Run(key=folder.name, config=config, state=state, manifest=manifest, folder=folder)
