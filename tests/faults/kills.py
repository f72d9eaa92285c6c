"""Kills a reduced `reproduce` many times, from a seed, and writes into the book how often.

    python -m tests.faults.kills --count 60 --seed 0

starts series of kills, each in a folder of its own, until so many processes were killed. After each series the same
command is run to its end and must leave what an undisturbed run leaves. What the book counts already is not done again,
unless ``--anew`` says so: a command that was ended goes on from there.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults import report
from tests.faults.reproductions import KINDS, killed, make_checkout, undisturbed

PART = "killed in `reproduce`"


def series(count: int, chance: random.Random, done: Counter[str]) -> list[str]:
    """So many kinds, those that were killed least; in the order in which each leaves something for the next to kill.

    Workers whose engine was killed end their jobs, and kernels live when all jobs are done.
    """
    kinds: list[str] = []
    counts = Counter(done)
    for _ in range(count):
        kind = min(KINDS, key=lambda kind: (counts[kind], chance.random()))
        counts[kind] += 1
        kinds.append(kind)
    return sorted(kinds, key=KINDS.index)


def kill(count: int, seed: int, folder: Path, done: Counter[str], *, each: int = 10) -> Iterator[Counter[str]]:
    """Kill processes until there are ``count`` with those that were ``done`` before; gives after every series how many
    of each kind it were so far.

    Raises:
        AssertionError: what is left differs from what an undisturbed run leaves.
    """
    checkout = make_checkout(folder / "checkout")
    whole = undisturbed(checkout, folder / "whole")
    assert len(whole["weights"]) == len(whole["records"]) == 8
    done = Counter(done)
    while done.total() < count:
        number = done.total()
        chance = random.Random(f"{seed}, after {number}")
        kinds = series(min(each, count - done.total()), chance, done)
        began = time.monotonic()
        struck, left = killed(checkout, folder / f"series-{number}", kinds, chance)
        for what, content in whole.items():
            assert left[what] == content, (
                f"the series after {number} kills of seed {seed} ({', '.join(kinds)}) left other {what}"
            )
        assert struck, f"the series after {number} kills hit nothing"
        done += struck
        print(f"{dict(struck)} in {time.monotonic() - began:.0f} s, {done.total()} in all", flush=True)
        yield done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=60, help="processes to be killed in all (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed and when (default: 0)")
    parser.add_argument("--anew", action="store_true", help="forget what the book counts")
    options = parser.parse_args()
    done = Counter({} if options.anew else {kind: row["SIGKILL"] for kind, row in report.stated(PART).items()})
    with tempfile.TemporaryDirectory() as folder:
        for counts in kill(options.count, options.seed, Path(folder), done):
            for kind in KINDS:
                report.state(PART, kind, {"SIGKILL": counts[kind]})


if __name__ == "__main__":
    main()
