"""Kills a reduced `reproduce` many times, from a seed, and writes into the book how often.

    python -m tests.faults.kills --count 60 --seed 0

starts series of kills, each in a folder of its own, until so many processes were killed. After each series the same
command is run to its end and must leave what an undisturbed run leaves.
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


def kill(count: int, seed: int, folder: Path, *, each: int = 10) -> Iterator[Counter[str]]:
    """Kill so many processes; gives after every series how many of each kind it were so far.

    Raises:
        AssertionError: what is left differs from what an undisturbed run leaves.
    """
    checkout = make_checkout(folder / "checkout")
    whole = undisturbed(checkout, folder / "whole")
    assert len(whole["weights"]) == len(whole["records"]) == 8
    chance, done, number = random.Random(seed), Counter[str](), 0
    while done.total() < count:
        number += 1
        kinds = series(min(each, count - done.total()), chance, done)
        began = time.monotonic()
        struck, left = killed(checkout, folder / f"series-{number}", kinds, chance)
        for what, content in whole.items():
            assert left[what] == content, f"series {number} of seed {seed} ({', '.join(kinds)}) left other {what}"
        assert struck, f"series {number} hit nothing"
        done += struck
        print(f"series {number}: {dict(struck)} in {time.monotonic() - began:.0f} s, {done.total()} in all", flush=True)
        yield done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=60, help="processes to kill (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed and when (default: 0)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for done in kill(options.count, options.seed, Path(folder)):
            for kind in KINDS:
                report.state(PART, kind, {"SIGKILL": done[kind]})


if __name__ == "__main__":
    main()
