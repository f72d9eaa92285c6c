"""What the records say of the claim as a whole: a few sentences, every number computed."""

from collections.abc import Sequence

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.permutations import plain_and_matched_table
from lmcbook.pages.analysis.summary import falls_with_width
from lmcbook.pages.analysis.told import Told
from lmcbook.pages.claims.catalogue import CLAIMS
from lmcbook.pages.claims.chain import LINKS, chain_table
from lmcbook.pages.claims.verdict import VERDICTS, judge


def chain_finding(records: Sequence[Record]) -> list[str]:
    """For each link of the chain, of how many networks it is reproduced, and of which others what is known."""
    table = Measurements.of(records).table(chain_table)
    sentences = []
    for link in LINKS:
        words = list(table[table["link"] == link]["verdict"])
        measured = [word for word in words if word != "not measured"]
        if measured:
            others = [f"{measured.count(word)} {word}" for word in VERDICTS[1:-1] if word in measured]
            rest = f"; {', '.join(others)}" if others else ""
            sentences.append(
                f"{link[0].upper()}{link[1:]}: reproduced in {measured.count('reproduced')} of {len(measured)}{rest}."
            )
    return sentences


def decay_stand(records: Sequence[Record]) -> list[str]:
    """What the paper's weight decay gains over the usual at the widest, in points: a sentence for each network."""
    asked = [claim for claim in CLAIMS if claim.id.startswith("weight-decay-")]
    return [
        Told(
            f"{verdict.claim.network}: that 3e-3 beats 1e-4 at the widest is {verdict.word}.",
            [{"network": verdict.claim.network, "3e-3 gains over 1e-4, at the widest (pairs)": verdict.ours}],
        )
        for verdict in judge(records, asked)
        if verdict.values
    ]


def fall_finding(records: Sequence[Record]) -> str:
    """In how many networks and batch sizes averaging costs less at the widest, and what matching saves beside it."""
    falls, counted = falls_with_width(records)
    if not counted:
        return "No network was measured at several widths."
    said = f"From the narrowest to the widest, averaging costs less in {falls} of {counted} of these rows."
    gains = Measurements.of(records).table(plain_and_matched_table)["gain"]
    if len(gains):
        said += (
            f" Weight matching loses less accuracy than the plain average in {(gains > 0).sum()} of {len(gains)} pairs."
        )
    return said
