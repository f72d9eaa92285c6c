"""Verdicts on claims, computed from records and never typed.

The rule: a verdict is given by the 95 % interval of the mean over independent pairs, never by the mean alone. The
claim's two ranges cut the numbers into three parts: inside `reproduced`; inside `partly` and outside `reproduced`;
outside both. Where the whole interval lies in one part, that part is the verdict: *reproduced*, *partly* or *not
reproduced*. Where it reaches into two or three, the pairs are too few or too different to tell, and the verdict is
*undecided*. A single pair tells no spread, so it decides nothing. A claim that something changes nothing has a range
with two ends, and follows the same rule: it is reproduced only if the whole interval lies between them, so a mean near
0 with a wide interval is no proof of equality. Trainings of less than half of the recipe's steps are no test of a claim
about trained networks, whatever comes out: *not judged*.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pandas import DataFrame

from lmcbook.lab.plan import SCALES, recipe
from lmcbook.lab.records import Record, pairs_table
from lmcbook.pages.analysis.intervals import UNKNOWN, Interval
from lmcbook.pages.analysis.labels import mean_and_deviation, signed, width_label
from lmcbook.pages.analysis.lengths import longest_trainings, trial
from lmcbook.pages.claims.catalogue import CLAIMS
from lmcbook.pages.claims.claim import GROUPS, Claim
from lmcbook.pages.claims.statistics import seen_by

Word = Literal["reproduced", "partly", "not reproduced", "undecided", "not judged", "not measured"]
VERDICTS: tuple[Word, ...] = ("reproduced", "partly", "not reproduced", "undecided", "not measured")
"""What the book's records may say; *not judged* is for trials of your own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the records say of one claim."""

    claim: Claim
    values: tuple[float, ...]
    """The statistic, one value for each pair."""
    interval: Interval = UNKNOWN
    """95 % interval of their mean."""
    scales: tuple[str, ...] = ()
    """Of the records that the values rest on."""
    short: bool = False
    """Whether some of them are of trainings shorter than the recipe's."""
    widths: tuple[float, ...] = ()
    """Their width multipliers, ascending."""
    trial: str = ""
    """``2 epochs of 31`` where they are of trainings too short to be judged."""

    @property
    def seen(self) -> str:
        """The scales of the records that the values rest on, and what they lack: of widths, of epochs."""
        lacks = ["shortened training"] if self.short else []
        widest = recipe(self.claim.recipe).width_multipliers[-1]
        if self.widths and self.widths[-1] < widest:
            ends = " to ".join(map(width_label, dict.fromkeys([self.widths[0], self.widths[-1]])))
            lacks.insert(0, f"{'at ' if len(self.widths) == 1 else ''}{ends} of {width_label(widest)}")
        return ", ".join([*self.scales, *lacks]) or "–"

    @property
    def command(self) -> str:
        """What measures the claim again, at the largest of the scales that its values rest on."""
        scale = next((each for each in reversed(SCALES) if each in self.scales), SCALES[-1])
        other = self.claim.batch_size not in (None, recipe(self.claim.recipe).training.batch_size)
        chapter = "13_batch_size" if other else self.claim.chapter
        return f"papermill notebooks/{chapter}.ipynb out.ipynb -p recipe {self.claim.recipe} -p scale {scale}"

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def possible(self) -> tuple[Word, ...]:
        """The words that the interval leaves open, best first; none where nothing is measured."""
        if not self.values or self.trial:
            return ()
        low, high = self.interval
        inner, outer = self.claim.reproduced, self.claim.partly
        below = outer.low <= high and low < inner.low and outer.low < inner.low
        above = outer.high >= low and high > inner.high and outer.high > inner.high
        found: dict[Word, bool] = {
            "reproduced": low <= inner.high and high >= inner.low,
            "partly": below or above,
            "not reproduced": low < outer.low or high > outer.high,
        }
        return tuple(word for word, open_ in found.items() if open_)

    @property
    def word(self) -> Word:
        """``reproduced``, ``partly``, ``not reproduced``, ``undecided`` or ``not measured``, by the module's rule."""
        if not self.values:
            return "not measured"
        if self.trial:
            return "not judged"
        return self.possible[0] if len(self.possible) == 1 else "undecided"

    @property
    def said(self) -> str:
        """The word, and of a trial how short it was."""
        return f"{self.word}: {self.trial}" if self.trial else self.word

    @property
    def ours(self) -> str:
        """Mean ± standard deviation (number of pairs) in the claim's unit."""
        if not self.values:
            return "–"
        return f"{self.numbers} {self.claim.unit}".strip()

    @property
    def reach(self) -> str:
        """``0.2 to 6.8``: the interval in the claim's unit, or why there is none."""
        if not self.values:
            return "–"
        if math.isinf(self.interval.low):
            return "one pair has none" if len(self.values) == 1 and not self.claim.pooled else "any number"
        ends = self.interval.scaled(self.claim.factor)
        return " to ".join(signed(end, self.claim.digits) for end in ends)

    @property
    def numbers(self) -> str:
        """`ours` without the unit."""
        claim = self.claim
        return mean_and_deviation(self.values, factor=claim.factor, digits=claim.digits, count=not claim.pooled)


def judge(records: Sequence[Record], claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """The verdict on each of ``claims``, in their order; a record that is given twice counts once.

    What counts says `lmcbook.pages.analysis.lengths.longest_trainings`; trainings of less than half of their recipe's
    steps are not judged.
    """
    counted = longest_trainings(records)
    trials = {record.recipe: told for record in counted if (told := trial(record))}
    table = pairs_table(counted)
    of_recipe = {str(name): rows for name, rows in table.groupby("recipe", observed=True)}  # each claim is of one
    verdicts = []
    for claim in claims:
        seen = seen_by(claim, of_recipe.get(claim.recipe, table.iloc[:0]))
        rows = seen.rows if seen.values else seen.rows.iloc[:0]
        verdicts.append(
            Verdict(
                claim=claim,
                values=tuple(seen.values),
                interval=seen.interval,
                scales=tuple(sorted(set(rows["scale"]))),
                short=bool(rows["short"].any()),
                widths=tuple(sorted(set(rows["width_multiplier"]))),
                trial=trials.get(claim.recipe, "") if rows["short"].any() else "",
            )
        )
    return verdicts


def by_statement(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The same verdicts, those on one statement side by side; statements in the order in which they first come."""
    given = list(verdicts)
    places = {statement: place for place, statement in enumerate(dict.fromkeys(one.claim.statement for one in given))}
    return sorted(given, key=lambda verdict: places[verdict.claim.statement])


_SIGNS: dict[Word, str] = {
    **{"reproduced": "✓", "partly": "◐", "not reproduced": "✗"},
    **{"undecided": "?", "not judged": "–", "not measured": "–"},
}


def verdict_matrix(verdicts: Iterable[Verdict]) -> DataFrame:
    """One row for each statement and one column for each network: the verdict and ours ± spread (pairs).

    Beside *undecided* stands the interval as well.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    networks = []
    for verdict in verdicts:
        claim, network = verdict.claim, verdict.claim.network
        networks.append(network)
        asked = claim.reproduced.describe(claim.factor, claim.unit)
        row = rows.setdefault((f"{claim.statement} ({claim.source})", asked), {})
        interval = f"; 95\u00a0%: {verdict.reach}" if verdict.word == "undecided" else ""
        row[network] = f"{_SIGNS[verdict.word]}\u00a0{verdict.said}" + (
            f": {verdict.numbers}{interval}" if verdict.values and not verdict.trial else ""
        )
    columns = ["claim", "asked", *dict.fromkeys(networks)]
    return DataFrame(
        [{"claim": said, "asked": asked, **row} for (said, asked), row in rows.items()], columns=columns
    ).fillna("–")


def verdict_table(verdicts: Iterable[Verdict]) -> DataFrame:
    """The ledger, a row for each verdict: claim, the paper's number, ours ± spread (pairs), interval, what was asked.

    ``test`` is the claim's id in ``claims.toml``; ``command`` measures it again.
    """
    columns = ["claim", "network", "source", "paper", "ours", "95 % interval", "asked", "verdict", "scale"]
    columns += ["test", "command"]
    rows = [
        [
            verdict.claim.statement,
            verdict.claim.network,
            verdict.claim.source,
            _paper(verdict.claim),
            verdict.ours,
            verdict.reach,
            verdict.claim.reproduced.describe(verdict.claim.factor, verdict.claim.unit),
            verdict.said,
            verdict.seen,
            verdict.claim.id,
            verdict.command,
        ]
        for verdict in verdicts
    ]
    return DataFrame(rows, columns=columns)


def count(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How often each verdict was given; *not judged* only where it was."""
    words = [verdict.word for verdict in verdicts]
    extra: tuple[Word, ...] = ("not judged",) if "not judged" in words else ()
    return {word: words.count(word) for word in (*VERDICTS[:-1], *extra, VERDICTS[-1])}


def count_table(verdicts: Iterable[Verdict]) -> DataFrame:
    """How often each verdict was given in each of `GROUPS`, and in all."""
    given = list(verdicts)
    parts = {group: [verdict for verdict in given if verdict.claim.group == group] for group in GROUPS}
    rows = [{"claims": group, **count(part), "in all": len(part)} for group, part in (parts | {"all": given}).items()]
    return DataFrame(rows)


def verdict_sentence(verdicts: Sequence[Verdict]) -> str:
    """How many of the claims that could be judged are reproduced, for the caption of a table of verdicts."""
    if not verdicts:
        return "No claim could be judged"
    return f"Of {len(verdicts)} claims that are measured: {_counted(verdicts)}. In brackets the number of pairs"


def _counted(verdicts: Sequence[Verdict]) -> str:
    counted = count(verdicts)
    return ", ".join(f"{number} {word}" for word, number in counted.items() if number and word != VERDICTS[-1])


def _paper(claim: Claim) -> str:
    if claim.paper_value is None:
        return "no number"
    return f"{signed(claim.factor * claim.paper_value, claim.digits)} {claim.unit}".strip()
