"""How small a barrier the pairs that are there can show, and how much of it may be the test images' doing."""

import math
from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.data.datasets import DATASETS
from lmcbook.lab.plain import is_the_recipes_own
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.intervals import mean_interval
from lmcbook.pages.analysis.vocabulary import (
    ACCURACY,
    SEEDS,
    as_they_are,
    groups,
    plain,
    widest,
)


def resolution_table(records: Sequence[Record]) -> DataFrame:
    """For each network and batch size at the widest that has several pairs, at the paper's weight decay: fractions.

    ``smallest`` is the least mean barrier whose 95 % interval, with the spread that the pairs have, excludes 0;
    ``images`` the most that the standard error of that mean can be by the draw of the test images (`error_of_images`),
    which all pairs share, so that it is not in their spread.
    """
    own = [record for record in records if is_the_recipes_own(record.recipe, record.config.training, "num_layers")]
    table = plain(as_they_are(barriers_table(own)))
    table = table[table["weight_decay"] == MAIN_WEIGHT_DECAY].dropna(subset=[ACCURACY])
    rows = []
    for (name, size), of_network in groups(table, "recipe", "batch_size"):
        counts = of_network.groupby("width_multiplier")["seed_a"].transform("nunique")
        chosen = widest(of_network[counts > 1]).drop_duplicates(SEEDS)
        dataset = of_network["dataset"].iloc[0]
        if chosen.empty or dataset not in DATASETS:
            continue
        barriers = [float(value) for value in chosen[ACCURACY]]
        low, high = mean_interval(barriers)
        num_test = DATASETS[dataset].num_test
        errors = [
            error_of_images(1 - merged, 1 - parents, num_test)
            for merged, parents in zip(chosen["merged_accuracy"], chosen["endpoint_accuracy"], strict=True)
        ]
        rows.append([name, size, chosen["width_multiplier"].iloc[0], len(barriers), sum(barriers) / len(barriers)])
        rows[-1] += [(high - low) / 2, num_test, sum(errors) / len(errors)]
    names = ["recipe", "batch_size", "width_multiplier", "num_pairs", ACCURACY, "smallest", "num_test", "images"]
    return DataFrame(rows, columns=names)


def error_of_images(merged: float, parents: float, num_images: int) -> float:
    r"""The most that the standard error of an accuracy barrier can be by the draw of test images.

    The barrier is the mean over images of $d = m - (a+b)/2$, where $m, a, b \in \{0, 1\}$ say whether the merged
    network and its parents err. As $m(a+b) \ge 0$ and $((a+b)/2)^2 \le (a+b)/2$, the mean of $d^2$ is at most the sum
    of the two error rates; it is that where both parents err together and never with the merged network. Which images a
    network gets wrong would say more, but records hold accuracies only. The mean of $d^2$ in a record, one number,
    would make it exact. The mean over pairs that share the images has an error no larger than the mean of theirs.

    Args:
        merged: error rate of the merged network, a fraction.
        parents: mean of those of its two parents.
        num_images: test images.
    """
    return math.sqrt(max(merged + parents - (merged - parents) ** 2, 0.0) / num_images)
