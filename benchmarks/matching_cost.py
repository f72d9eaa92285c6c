"""Weight matching's CPU time and memory against width, on untrained MLPs: the numbers behind the book's appendix.

    python benchmarks/matching_cost.py                          # ×1/4 to ×16, most of an hour on one core
    python benchmarks/matching_cost.py --width-multipliers 0.25 1 --starts fast --out costs.json

784-n-n-n-10 with n = 512 × the multiplier, two random initialisations, one thread, one process for each line so that
its peak memory is its own. The file is written anew after every line, so a run that is stopped keeps what it has.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from matching import network, pair_of

from lmcbook.lab.provenance import peak_memory_bytes, provenance
from lmcbook.matching import weight_matching

OUT = Path(__file__).resolve().parent / "results" / "matching_cost.json"
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

BEST_UP_TO = 4.0
"""Widths at which "best" is timed too; beyond, its many descents take longer than all the rest of the table."""


def one(width_multiplier: float, starts: str) -> dict[str, Any]:
    """What one matching costs in this process."""
    torch.set_num_threads(1)
    pair = pair_of([network("mlp", seed, width_multiplier) for seed in (1, 2)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    started = time.process_time()
    matching = weight_matching(*pair, model=None, starts=starts, progress=False)
    return {
        "width_multiplier": width_multiplier,
        "units": max(pair.spec.groups(pair.a).values()),
        "parameters": sum(tensor.numel() for tensor in pair.a.values()),
        "starts": starts,
        "cpu_seconds": time.process_time() - started,
        "peak_memory_bytes": peak_memory_bytes(),
        "peak_memory_before_bytes": before,
        "sweeps": matching.sweeps,
        "objective": matching.objective,
        "identity_objective": matching.identity_objective,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width-multipliers", type=float, nargs="+", default=WIDTHS)
    parser.add_argument("--starts", nargs="+", default=["fast", "best"], choices=["fast", "best"])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--one", nargs=2, metavar=("WIDTH", "STARTS"), help="one line, printed as JSON")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(float(arguments.one[0]), arguments.one[1])))
        return
    rows: list[dict[str, Any]] = []
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for width in arguments.width_multipliers:
        for starts in arguments.starts:
            if starts == "best" and width > BEST_UP_TO:
                continue
            command = [sys.executable, __file__, "--one", str(width), starts]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            rows.append(json.loads(found.stdout))
            memory = rows[-1]["peak_memory_bytes"] / 2**30
            print(f"×{width:g} {starts}: {rows[-1]['cpu_seconds']:.2f} CPU s, {memory:.2f} GiB", flush=True)
            content = {"rows": rows, "provenance": {**provenance(), "threads": 1}}
            arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
