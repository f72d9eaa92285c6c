"""Compare linear-assignment solvers on similarity matrices of the sizes that weight matching meets.

    python benchmarks/assignment_solvers.py                     # 512 and 2048 units
    python benchmarks/assignment_solvers.py --units 8192        # a few minutes

scipy's solver is always measured; `lap` (or its successor `lapx`) and `lapjv` where they are installed. Three kinds of
matrix: "noise" (independent Gaussian rows, as between networks at initialisation), "matched" (every row has a partner
of correlation 0.3) and "trained" (units of very different norm, and much that all of them have in common, as between
trained networks). CPU seconds include the conversion to what the solver takes.
"""

import argparse
import importlib
import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import linear_sum_assignment

Solver = Callable[[np.ndarray], np.ndarray]


def solvers() -> dict[str, Solver]:
    """Name → function from a float32 similarity matrix to the column of every row."""
    found: dict[str, Solver] = {"scipy": lambda similarity: linear_sum_assignment(similarity, maximize=True)[1]}
    try:
        lap = importlib.import_module("lap")
        found["lap.lapjv"] = lambda similarity: lap.lapjv(-similarity.astype(np.float64), return_cost=False)[0]
        if hasattr(lap, "lapjvs"):
            found["lapx.lapjvs"] = lambda similarity: lap.lapjvs(-similarity, return_cost=False)[1]
        if hasattr(lap, "lapjvx"):
            found["lapx.lapjvx"] = lambda similarity: lap.lapjvx(-similarity.astype(np.float64), return_cost=False)[1]
    except ImportError:
        pass
    try:
        lapjv = importlib.import_module("lapjv")
        found["lapjv"] = lambda similarity: lapjv.lapjv(-similarity)[0]
    except ImportError:
        pass
    return found


def similarity_matrix(units: int, kind: str, seed: int) -> np.ndarray:
    """Products of the rows of two Gaussian matrices, made alike as ``kind`` says."""
    generator = np.random.default_rng(seed)
    left = generator.standard_normal((units, units), dtype=np.float32)
    right = generator.standard_normal((units, units), dtype=np.float32)
    if kind == "matched":
        right = 0.3 * left[generator.permutation(units)] + np.float32(0.954) * right
    if kind == "trained":
        common = generator.standard_normal((8, units), dtype=np.float32)
        for rows in (left, right):
            rows += generator.standard_normal((units, 8), dtype=np.float32) @ common
            rows *= np.exp(generator.standard_normal((units, 1), dtype=np.float32))
    return left @ right.T / np.float32(units)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--repeats", type=int, default=3, help="the median is printed")
    parser.add_argument("--only", nargs="+", help="names of solvers; all that are installed without it")
    arguments = parser.parse_args()
    chosen = {name: solve for name, solve in solvers().items() if not arguments.only or name in arguments.only}
    print(f"{'units':>6} {'matrix':>8} {'solver':>12} {'CPU s':>9} {'x scipy':>8}  value / best")
    for units in arguments.units:
        for kind in ("noise", "matched", "trained"):
            rows = []
            for name, solve in chosen.items():
                seconds, value = [], 0.0
                for repeat in range(arguments.repeats):
                    similarity = similarity_matrix(units, kind, repeat)
                    start = time.process_time()
                    columns = np.asarray(solve(similarity))
                    seconds.append(time.process_time() - start)
                    value += float(similarity.astype(np.float64)[np.arange(units), columns].sum())
                rows.append((name, float(np.median(seconds)), value))
            best = max(value for _, _, value in rows)
            reference = next((seconds for name, seconds, _ in rows if name == "scipy"), rows[0][1])
            for name, seconds, value in rows:
                ratio = seconds / reference
                print(f"{units:>6} {kind:>8} {name:>12} {seconds:>9.4f} {ratio:>8.2f}  {value / best:.9f}", flush=True)


if __name__ == "__main__":
    main()
