"""Verdicts on claims, computed from records and never typed."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pandas import DataFrame

from lmcbook.lab.plan import recipe
from lmcbook.lab.records import Record, pairs_table
from lmcbook.pages.analysis.labels import mean_and_spread, recipe_label, width_label
from lmcbook.pages.claims.catalogue import CLAIMS
from lmcbook.pages.claims.claim import Claim
from lmcbook.pages.claims.statistics import seen_by

Word = Literal["reproduced", "partly", "not reproduced", "not measured"]
VERDICTS: tuple[Word, ...] = ("reproduced", "partly", "not reproduced", "not measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the records say of one claim."""

    claim: Claim
    values: tuple[float, ...]
    """The statistic, one value for each pair."""
    scales: tuple[str, ...] = ()
    """Of the records that the values rest on."""
    short: bool = False
    """Whether some of them are of trainings shorter than the recipe's."""
    widths: tuple[float, ...] = ()
    """Their width multipliers, ascending."""

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
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def word(self) -> Word:
        """``reproduced``, ``partly``, ``not reproduced`` or ``not measured``: where the mean over pairs lies."""
        if self.mean is None:
            return "not measured"
        if self.mean in self.claim.reproduced:
            return "reproduced"
        return "partly" if self.mean in self.claim.partly else "not reproduced"

    @property
    def ours(self) -> str:
        """Mean ± standard deviation (number of pairs) in the claim's unit."""
        if not self.values:
            return "–"
        return f"{self.numbers} {self.claim.unit}".strip()

    @property
    def numbers(self) -> str:
        """`ours` without the unit."""
        claim = self.claim
        return mean_and_spread(self.values, factor=claim.factor, digits=claim.digits, count=not claim.pooled)


def judge(records: Sequence[Record], claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """The verdict on each of ``claims``, in their order; a record that is given twice counts once.

    Shortened trainings count only for a recipe of which there are no others; variants of a recipe's networks, such as
    those with biases or another activation, never do.
    """
    own = [record for record in records if _is_the_recipes_own(record)]
    full = {record.recipe for record in own if not record.short}
    counted = {record.digest: record for record in own if not (record.short and record.recipe in full)}
    table = pairs_table(list(counted.values()))
    verdicts = []
    for claim in claims:
        seen = seen_by(claim, table)
        rows = seen.rows if seen.values else seen.rows.iloc[:0]
        verdicts.append(
            Verdict(
                claim=claim,
                values=tuple(seen.values),
                scales=tuple(sorted(set(rows["scale"]))),
                short=bool(rows["short"].any()),
                widths=tuple(sorted(set(rows["width_multiplier"]))),
            )
        )
    return verdicts


def _is_the_recipes_own(record: Record) -> bool:
    ours = record.config.training
    usual = recipe(record.recipe).training
    names = (
        *("architecture", "bias", "activation", "decay_normalisation", "batch_size", "momentum", "learning_rate"),
        *("centred_rows", "normalisation", "skip", "optimiser", "loss_weight_variance", "train_fraction"),
    )
    return all(getattr(ours, name) == getattr(usual, name) for name in names)


_SIGNS: dict[Word, str] = {"reproduced": "✓", "partly": "◐", "not reproduced": "✗", "not measured": "–"}


def verdict_matrix(verdicts: Iterable[Verdict]) -> DataFrame:
    """One row for each statement and one column for each network: the verdict and ours ± spread (pairs)."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    networks = []
    for verdict in verdicts:
        claim, network = verdict.claim, recipe_label(verdict.claim.recipe)
        networks.append(network)
        asked = claim.reproduced.describe(claim.factor, claim.unit)
        row = rows.setdefault((f"{claim.statement} ({claim.source})", asked), {})
        row[network] = f"{_SIGNS[verdict.word]}\u00a0{verdict.word}" + (
            f": {verdict.numbers}" if verdict.values else ""
        )
    columns = ["claim", "asked", *dict.fromkeys(networks)]
    return DataFrame(
        [{"claim": said, "asked": asked, **row} for (said, asked), row in rows.items()], columns=columns
    ).fillna("–")


def verdict_table(verdicts: Iterable[Verdict]) -> DataFrame:
    """One row for each verdict: the claim, the paper's number, ours ± spread (pairs), what was asked, the verdict."""
    columns = ["claim", "network", "source", "paper", "ours", "asked", "verdict", "scale"]
    rows = [
        [
            verdict.claim.statement,
            recipe_label(verdict.claim.recipe),
            verdict.claim.source,
            _paper(verdict.claim),
            verdict.ours,
            verdict.claim.reproduced.describe(verdict.claim.factor, verdict.claim.unit),
            verdict.word,
            verdict.seen,
        ]
        for verdict in verdicts
    ]
    return DataFrame(rows, columns=columns)


def count(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How often each verdict was given."""
    words = [verdict.word for verdict in verdicts]
    return {word: words.count(word) for word in VERDICTS}


def verdict_sentence(verdicts: Sequence[Verdict]) -> str:
    """How many of the claims that could be judged are reproduced, for the caption of a table of verdicts."""
    if not verdicts:
        return "No claim could be judged"
    counted = count(verdicts)
    words = ", ".join(f"{counted[word]} {word}" for word in VERDICTS[:3])
    return f"Of {len(verdicts)} claims that could be judged: {words}. In brackets the number of pairs"


def _paper(claim: Claim) -> str:
    if claim.paper_value is None:
        return "no number"
    return f"{claim.factor * claim.paper_value:.{claim.digits}f} {claim.unit}".strip()
