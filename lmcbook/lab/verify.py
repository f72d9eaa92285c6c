"""Committed records held against this machine: a sample of pairs is trained and measured again, in a store of its own.

A training is chaotic: the last bit of a sum decides which network comes out. On the processor, with the number of
threads and with the libraries of a record the same networks come out, and all numbers are compared. Elsewhere they are
others, as if the seeds were, and the main numbers are held against their spread over the committed pairs of seeds.
"""

import math
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as t_distribution

from lmcbook.data import describe, is_available
from lmcbook.errors import InputError, check_choice, check_number, one_line
from lmcbook.lab import paths, plan
from lmcbook.lab.config import PairConfig
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import Record, read_records
from lmcbook.lab.records.flatness import flatness_summary
from lmcbook.lab.records.one_network import one_network_summary
from lmcbook.lab.records.repairs import repair_summary
from lmcbook.lab.records.summaries import layerwise_summary

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""How far numbers of the same two networks may be apart: another processor adds in another order."""

FEWEST_PAIRS = 3
"""Pairs of seeds without which a spread says nothing."""

FALSE_ALARMS = 0.01
"""Share of the records of other networks that are said to disagree although nothing is wrong."""

AGREES, DISAGREES, UNJUDGED = "agrees", "disagrees", "cannot be judged"

_MAIN: dict[str, tuple[Callable[[Record], dict[str, float]], tuple[str, ...]]] = {
    "interpolation": (
        lambda record: record.data["barriers"],
        ("midpoint_accuracy_barrier", "midpoint_calibrated_loss_barrier"),
    ),
    "repair": (repair_summary, ("none_accuracy_barrier", "lewc_mean_accuracy_barrier")),
    "layerwise": (layerwise_summary, ("lewc_cosine", "weak_additivity", "reciprocal_orthogonality")),
    "flatness": (flatness_summary, ("global_excess", "global_accuracy_deficit")),
    "common_mode": (
        lambda record: next(iter(one_network_summary([record]).values())),
        ("one_network_orthogonality_error",),
    ),
    "self_merge": (
        lambda record: next(iter(one_network_summary([record]).values())),
        ("self_merge_accuracy_error", "self_merge_temperature_error"),
    ),
}
"""Measurement → its main numbers, and which of them are judged; what is not here has none that one pair gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one record."""

    record: Record
    word: str
    """``agrees``, ``disagrees`` or ``cannot be judged``."""
    why: str

    def __str__(self) -> str:
        return f"{self.word:<16} {self.record.file_name}: {self.why}"


def verify(
    scale: str,
    *,
    sample: int = 5,
    seed: int = 0,
    recipes: Sequence[str] | None = None,
    folder: Path | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    report: Callable[[str], None] = print,
) -> list[Verdict]:
    """Train and measure ``sample`` records of a scale again, and judge each; the store and the records stay untouched.

    Args:
        seed: which records are drawn, each with the same probability.
        folder: of the records; the committed by default.
        max_minutes: no pair is begun after this time, and a training that is running then is given up.

    Raises:
        InputError: an argument is not what it may be, there are no such records, or a record is damaged or edited.
    """
    from lmcbook.lab.missing import Bench, by_pair, release_memory
    from lmcbook.training import TimeIsUp
    from lmcbook.training.device import resolve_device

    check_choice("scale", scale, plan.SCALES)
    check_number("sample", sample, minimum=1, integer=True)
    check_number("seed", seed, minimum=0, integer=True)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    for name in recipes or ():
        plan.recipe(name)
    device = resolve_device(device)
    folder = paths.committed_records() if folder is None else folder
    found = read_records(folder, scale=scale, recipe=recipes)
    records = [record for record in found if is_available(record.config.training.dataset)]
    if not records:
        lacking = f" of data that are here ({len(found)} of others)" if found else ""
        raise InputError(
            f"records folder is {str(folder)!r}, which has no such records of scale {scale}{lacking}: name another "
            "scale, recipe or folder"
        )
    if len(records) < len(found):
        report(f"{len(found) - len(records)} records are of data that are not here, and are not drawn")
    drawn = random.Random(seed).sample(records, min(sample, len(records)))
    report(f"{len(drawn)} of {len(records)} records of scale {scale}, drawn with seed {seed}. {_WHAT_CAN_AGREE}")
    by_digest = {record.digest: record for record in drawn}
    planned = [PlannedPair(scale=each.scale, recipe=each.recipe, pair=each.config) for each in drawn]
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    verdicts: list[Verdict] = []
    with _store_of_its_own():
        bench = Bench(device=device, deadline=deadline)
        for one in by_pair(planned):
            record = by_digest[one.pair.digest]
            if deadline is not None and time.monotonic() > deadline:
                break
            try:
                with _threads(record.provenance["training"][0]["threads"]):
                    again = bench.measure(one)
                verdicts.append(judge(record, again, _peers(record, records)))
            except TimeIsUp:
                break
            except (InputError, RuntimeError) as error:  # torch's errors on a device are RuntimeErrors
                verdicts.append(
                    Verdict(record=record, word=DISAGREES, why=f"it cannot be measured again: {one_line(error)}")
                )
            report(str(verdicts[-1]))
            release_memory()
    words = [verdict.word for verdict in verdicts]
    late = f", {len(drawn) - len(words)} not reached in time" if len(words) < len(drawn) else ""
    report(", ".join(f"{words.count(word)} {word}" for word in (AGREES, DISAGREES, UNJUDGED)) + late)
    return verdicts


def judge(record: Record, again: Record, peers: Sequence[Record]) -> Verdict:
    """Whether ``record`` agrees with what was measured ``again`` of the same configuration.

    ``peers`` are the records of the same configuration with other seeds.
    """
    if _trainings(record) == _trainings(again):
        return _compared(record, again)
    others = "other networks"
    if all(record.provenance.get(name) == again.provenance[name] for name in ("processor", "gpu", "versions")):
        others += " although processor and libraries have the same names"
    if record.measurement not in _MAIN:
        return Verdict(record=record, word=UNJUDGED, why=f"{others}, and no main number of {record.measurement}")
    if len(peers) + 1 < FEWEST_PAIRS:
        pairs = f"{len(peers) + 1} committed pair{'s' if peers else ''}"
        return Verdict(record=record, word=UNJUDGED, why=f"{others}, and no spread of {pairs}")
    summary, names = _MAIN[record.measurement]
    level = FALSE_ALARMS / (2 * len(names))
    least = 1 / describe(record.config.training.dataset).num_test
    told, outside = [], False
    for name in names:
        old, new = summary(record)[name], summary(again)[name]
        rest = [summary(peer)[name] for peer in peers]
        if not all(math.isfinite(value) for value in (old, new, *rest)):
            continue
        # either may be wrong, and must not widen the interval that it is held against
        intervals = [_interval([*rest, expected], level, least) for expected in (old, new)]
        inside = all(low <= value <= high for value, (low, high) in zip((new, old), intervals, strict=True))
        outside |= not inside
        low, high = intervals[0]
        told.append(f"{name} {new:.4g} (record {old:.4g}, {len(rest) + 1} pairs give {low:.3g} to {high:.3g})")
    word = DISAGREES if outside else AGREES if told else UNJUDGED
    return Verdict(record=record, word=word, why="; ".join([others, *told]))


_WHAT_CAN_AGREE = (
    "Where the same networks come out (the processor, threads and libraries of the record), all numbers must agree "
    f"within {RELATIVE:g} of their size or {ABSOLUTE:g}. Elsewhere training is as with another seed: main numbers must "
    f"lie in the spread of {FEWEST_PAIRS} or more pairs, which finds gross errors only"
)


def _compared(record: Record, again: Record) -> Verdict:
    old, new = dict(_leaves(record.data)), dict(_leaves(again.data))
    apart = [name for name in old.keys() | new.keys() if not _same(old.get(name, "absent"), new.get(name, "absent"))]
    if not apart:
        exact = "to the bit" if old == new else "within the tolerance"
        return Verdict(record=record, word=AGREES, why=f"the same networks, and {len(old)} values {exact}")
    first = min(apart)
    shown = f"{first} is {new.get(first, 'absent')}, the record has {old.get(first, 'absent')}"
    return Verdict(
        record=record, word=DISAGREES, why=f"the same networks, but {len(apart)} of {len(old)} values differ: {shown}"
    )


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, float | int) and isinstance(new, float | int):
        return math.isclose(old, new, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(old == new)


def _leaves(data: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict | list):
        for name, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _leaves(value, f"{place}.{name}" if place else str(name))
    else:
        yield place, data


def _trainings(record: Record) -> list[tuple[float, float]]:
    """What the last epoch of each training gave: the same to the last bit only where the networks are the same."""
    return [(each["final_loss"], each["final_accuracy"]) for each in record.provenance["training"]]


def _peers(record: Record, records: Sequence[Record]) -> list[Record]:
    def alike(pair: PairConfig) -> PairConfig:
        return replace(pair, seeds=(0, 1))

    if record.measurement not in _MAIN:
        return []
    return [each for each in records if alike(each.config) == alike(record.config) and each.address != record.address]


def _interval(values: Sequence[float], level: float, least: float) -> tuple[float, float]:
    """Where one more value lies with probability 1 − ``level``, if all are drawn from one normal distribution."""
    spread = max(stdev(values), least) * math.sqrt(1 + 1 / len(values))
    half = float(t_distribution.ppf(1 - level / 2, len(values) - 1)) * spread
    return fmean(values) - half, fmean(values) + half


@contextmanager
def _store_of_its_own() -> Iterator[None]:
    """An empty folder as ``LMCBOOK_RUNS``: nothing is taken from the user's store, and nothing gets there."""
    before = os.environ.get("LMCBOOK_RUNS")
    with tempfile.TemporaryDirectory(prefix="lmcbook-verify-") as folder:
        os.environ["LMCBOOK_RUNS"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["LMCBOOK_RUNS"]
            else:
                os.environ["LMCBOOK_RUNS"] = before


@contextmanager
def _threads(recorded: int) -> Iterator[None]:
    """As many threads as the record was made with, as far as there are cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(min(recorded, os.cpu_count() or 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)
