"""Sessions of pairs whose networks come from a fixture and not from the store."""

from pathlib import Path

from lmcbook.data import Splits
from lmcbook.lab.config import PairConfig
from lmcbook.lab.session import PairSession
from lmcbook.lab.store import Run
from lmcbook.states import StateDict


def session_of(pair: PairConfig, state_a: StateDict, state_b: StateDict, splits: Splits) -> PairSession:
    """As the bench opens it, with these two networks."""
    trainings = zip((pair.training_a, pair.training_b), (state_a, state_b), strict=True)
    runs = [Run(key="", config=config, state=state, manifest={}, folder=Path()) for config, state in trainings]
    return PairSession(pair, splits, *runs, progress=False)
