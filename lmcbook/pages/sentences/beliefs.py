"""What the records say of the claim as a whole: a few sentences, every number computed."""

from collections.abc import Sequence

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.claims.chain import LINKS, chain_table
from lmcbook.pages.claims.verdict import VERDICTS


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
