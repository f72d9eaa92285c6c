"""Measure what is missing: train, open a session for each pair, measure, record."""

import gc
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lmcbook.data import Splits, describe, load
from lmcbook.evaluation import lewc_exponent
from lmcbook.lab import paths
from lmcbook.lab.budget.costs import costs_of, estimated_measuring_seconds, estimated_training_seconds
from lmcbook.lab.config import PairConfig
from lmcbook.lab.measurements import MEASUREMENTS
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.progress import Work, wants_bars
from lmcbook.lab.provenance import provenance
from lmcbook.lab.records import Record, RecordIndex, check_writable, write_record
from lmcbook.lab.session import PairSession, same_networks
from lmcbook.lab.store import DamagedRun, Run, ensure_many, is_stored
from lmcbook.lab.turns import in_turn
from lmcbook.training import TrainingsDiverged, arithmetic, uses_tf32
from lmcbook.training.config import TrainingConfig, company, trains_together
from lmcbook.training.device import resolve_device
from lmcbook.training.memory import check_memory


class Bench:
    """Where pairs are measured, one after the other: the device, the data on it, and the session of the current pair.

    Measurements of one pair that follow each other share its session, and pairs that follow each other their data; of
    either the last is kept.

    Args:
        device: auto, cpu, cuda, cuda:0, …
        require_cached: whether a network that is not in the store is an error.
        progress: whether to say how far trainings, searches and measurements are; without bars in a file.
        deadline: when a training stops, as `lmcbook.training.train` takes it.

    Raises:
        InputError: the device is unknown or not there.
    """

    def __init__(
        self,
        *,
        device: str = "cpu",
        require_cached: bool = False,
        progress: bool = True,
        deadline: float | None = None,
    ) -> None:
        self.device, self._tells = resolve_device(device), progress
        self.progress = progress and wants_bars()
        self._work = Work({}, {})
        self._training: dict[str, Any] = {
            "device": self.device,
            "require_cached": require_cached,
            "progress": self.progress,
            "deadline": deadline,
        }
        self._splits: dict[str, Splits] = {}
        self._session: PairSession | None = None

    def splits(self, dataset: str) -> Splits:
        """The data, on the device of the bench.

        Raises:
            InputError: they are not here.
        """
        if dataset not in self._splits:
            self.clear()
            self._splits = {dataset: load(dataset, device=self.device)}
        return self._splits[dataset]

    def session(self, pair: PairConfig) -> PairSession:
        """The session of a pair; its two networks are trained if the store does not hold them.

        Raises:
            InputError: missing data, or a network that is not in the store and is required to be.
            TimeIsUp: the deadline came during a training, whose checkpoint is kept.
            TrainingsDiverged: there is no such network, because the loss of its training is not finite.
        """
        if self._session is None or not self._session.holds(pair):
            self._session = None  # two networks may be all that fits into memory
            splits = self.splits(pair.training.dataset)
            self.check_memory([pair])
            for config in same_networks(pair):
                if not (trains_together(config) or is_stored(config)):
                    with self._work.training([config]):
                        ensure_many([config], splits=splits, **self._training)
            with self._work.training([config for config in same_networks(pair) if not is_stored(config)]):
                runs = ensure_many(same_networks(pair), splits=splits, **self._training)
            self._session = PairSession(pair, splits, *runs, progress=self.progress)
        return self._session

    def expect(self, planned: Sequence[PlannedPair]) -> None:
        """Tell from now on how much of ``planned`` is left: the networks that it needs, and the measurements."""
        if not self._tells:
            return
        costs = costs_of(self.device)
        trainings = {
            config: estimated_training_seconds(config, costs)
            for config in dict.fromkeys(config for one in planned for config in same_networks(one.pair))
            if not is_stored(config)
        }
        self._work = Work(trainings, {one.pair.digest: estimated_measuring_seconds(one, costs) for one in planned})

    def check_memory(self, pairs: Iterable[PairConfig]) -> None:
        """Raise `InputError` where a network that must be trained is too large for the device, or has no units."""
        wanted = {config for pair in pairs for config in same_networks(pair) if not is_stored(config)}
        for config in {replace(config, seed=0) for config in wanted}:
            facts = describe(config.dataset)
            check_memory(config, input_shape=facts.input_shape, num_classes=facts.num_classes, device=self.device)

    def clear(self) -> None:
        """Let go of the session and of the data."""
        self._session, self._splits = None, {}

    def measure(self, planned: PlannedPair) -> Record:
        """Do one measurement of the plan.

        Raises:
            InputError: as `session`.
            TimeIsUp: as `session`.
            TrainingsDiverged: as `session`.
        """
        with self._work.measuring(planned.pair.digest, f"{planned.job}, {planned.pair.measurement}"):
            return self._measure(planned)

    def _measure(self, planned: PlannedPair) -> Record:
        pair, device = planned.pair, self.device
        session = self.session(pair)
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)  # what the record tells is its own peak
        started = time.monotonic()
        with arithmetic(pair.training.precision, device):
            alignment = session.aligned(pair)
            data = MEASUREMENTS[pair.measurement](pair, session)
        return Record(
            scale=planned.scale,
            recipe=planned.recipe,
            measurement=pair.measurement,
            config=pair,
            digest=pair.digest,
            dataset_sha256=session.splits.sha256,
            run_keys=tuple(run.key for run in session.runs),
            short=planned.short,
            lewc_exponent=lewc_exponent(session.model),
            data={**data, "alignment": alignment.told},
            provenance={
                **provenance(device),
                "precision": pair.training.precision,
                "tf32": uses_tf32(pair.training.precision, device),
                "seconds": time.monotonic() - started,
                "alignment_cpu_seconds": alignment.cpu_seconds,
                "training": [_training_summary(run) for run in session.runs],
            },
        )

    def train_narrow(self, planned: Iterable[PlannedPair]) -> dict[TrainingConfig, str]:
        """Train all networks of ``planned`` that train together, at once; returns what diverged, and what is said.

        Networks that are trained one by one are left for the moment at which they are measured.

        Raises:
            InputError: as `session`.
            TimeIsUp: the deadline came during the trainings, whose checkpoints are kept.
        """
        self._session = None
        by_dataset: dict[str, list[TrainingConfig]] = {}
        for one in planned:
            if trains_together(one.pair.training):
                # what is stored is read, and found damaged, when its pair has its turn
                untrained = [config for config in same_networks(one.pair) if not is_stored(config)]
                by_dataset.setdefault(one.pair.training.dataset, []).extend(untrained)
        diverged: dict[TrainingConfig, str] = {}
        for dataset, configs in by_dataset.items():
            groups: dict[TrainingConfig, list[TrainingConfig]] = {}
            for config in configs:
                groups.setdefault(company(config), []).append(config)
            for group in groups.values():
                try:
                    with self._work.training(group):
                        ensure_many(group, splits=self.splits(dataset), **self._training)
                except TrainingsDiverged as error:
                    diverged |= error.messages
        return diverged


def _training_summary(run: Run) -> dict[str, Any]:
    origin = run.manifest["provenance"]
    return {
        "seconds": run.manifest["seconds"],
        "final_loss": run.manifest["history"]["loss"][-1],
        "final_accuracy": run.manifest["history"]["accuracy"][-1],
        "execution": run.manifest.get("execution", {}),
        **{
            name: origin[name]
            for name in ("device", "gpu", "processor", "threads", "commit", "date", "peak_memory_bytes")
        },
    }


def release_memory() -> None:
    """Give back what failed work still holds: its tensors refer to each other, and so outlive it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def measure_missing(planned: Iterable[PlannedPair], *, folder: Path | None = None, **options: Any) -> list[Record]:
    """The records of ``planned``, in its order: read from ``folder`` where they are there, else measured and written.

    Each record is written as soon as it is measured, so nothing is lost when the process dies. Narrow networks are all
    trained before the first measurement, because that happens together. All measurements of a pair are done in one
    session, when the first of them has its turn.

    Args:
        folder: of the records; by default `lmcbook.lab.paths.fresh_records`.
        options: those of `Bench`.

    Raises:
        InputError: before any training, where ``folder`` cannot be written, the device is not there, or a network does
            not fit on it.
        TrainingsDiverged: some losses are not finite; all other pairs were measured before it is raised.
        DamagedRun: some stored weights are damaged; all other pairs were measured before it is raised.
    """
    folder = paths.fresh_records() if folder is None else folder
    planned = list(planned)
    index = RecordIndex(folder)
    found = {one.pair.digest: index.find(one.pair) for one in planned}
    missing = {one.pair.digest: one for one in planned if found[one.pair.digest] is None}
    if missing:
        check_writable(folder)
    bench = Bench(**options)
    bench.check_memory(one.pair for one in missing.values())
    bench.expect(list(missing.values()))
    diverged = bench.train_narrow(missing.values())
    damaged: dict[str, DamagedRun] = {}
    for one in in_turn(by_pair(missing.values()), lambda one: one.pair):
        if not diverged.keys().isdisjoint(same_networks(one.pair)):
            continue
        known = RecordIndex(folder).find(one.pair)  # another process may have measured it meanwhile
        try:
            record = bench.measure(one) if known is None else known
        except TrainingsDiverged as error:
            diverged |= error.messages
            continue
        except DamagedRun as error:
            damaged[str(error)] = error
            continue
        if known is None:
            write_record(record, folder)
        found[one.pair.digest] = record
    if diverged:
        raise TrainingsDiverged(diverged)
    if damaged:
        raise DamagedRun("; ".join(damaged)) from next(iter(damaged.values()))
    return [known for one in planned if (known := found[one.pair.digest]) is not None]


def by_pair(planned: Iterable[PlannedPair]) -> list[PlannedPair]:
    """The measurements in an order in which those of the same two networks follow each other."""
    groups: dict[tuple[TrainingConfig, ...], list[PlannedPair]] = {}
    for one in planned:
        groups.setdefault(same_networks(one.pair), []).append(one)
    return [one for group in groups.values() for one in group]
