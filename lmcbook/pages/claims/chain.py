"""The paper's chain of causes, link by link and network by network, with the verdict on each link."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.claims.catalogue import CLAIMS
from lmcbook.pages.claims.verdict import judge

LINKS: dict[str, tuple[str, ...]] = {
    "width lowers the relative rank": ("rank",),
    "few units are active": ("few-active",),
    "in independent places": ("different-units",),
    "weak additivity": ("weak-additivity",),
    "reciprocal orthogonality": ("reciprocal-orthogonality",),
    "LEWC: the direction": ("lewc-cosine",),
    "the barrier falls with width": ("width",),
    "the widest average loses nothing": ("table-1-accuracy", "accuracy"),
}
"""What each link of the chain is called, in order, and the claims that decide it: the first that a network has."""


def chain_table(records: Sequence[Record]) -> DataFrame:
    """One row for each network and link: the claim, the verdict, ours ± spread and the interval.

    Networks of which no link is measured are left out. The ledger has the same verdicts with tolerances and commands.
    """
    ids = {claim_id: link for link, names in LINKS.items() for claim_id in names}
    asked = [claim for claim in CLAIMS if _plain(claim.id, claim.recipe) in ids]
    rows = [
        {
            "network": verdict.claim.network,
            "link": ids[_plain(verdict.claim.id, verdict.claim.recipe)],
            "claim": verdict.claim.statement,
            "verdict": verdict.word,
            "ours": verdict.ours,
            "95 % interval": verdict.reach,
        }
        for verdict in judge(records, asked)
    ]
    table = DataFrame(rows, columns=["network", "link", "claim", "verdict", "ours", "95 % interval"])
    measured = table[table["verdict"] != "not measured"]["network"].unique()
    table = table[table["network"].isin(measured)]
    order = {name: index for index, name in enumerate([*measured, *LINKS])}
    return table.sort_values(["network", "link"], key=lambda names: names.map(order)).reset_index(drop=True)


def _plain(claim_id: str, recipe: str) -> str:
    """A claim's id in ``claims.toml``, without its network and batch size."""
    return claim_id.split(f"-{recipe}")[0]
