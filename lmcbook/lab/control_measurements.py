"""Measurements that can refute what is said of the common mode: averages at λ = ½, of many and of placed networks."""

from dataclasses import replace
from typing import Any

from lmcbook.errors import InputError
from lmcbook.evaluation.averages import averages
from lmcbook.evaluation.line import logits_of
from lmcbook.lab.config import PairConfig
from lmcbook.lab.session import PairSession
from lmcbook.models import LayeredModel, build_model
from lmcbook.models.placing import placed, random_places
from lmcbook.randomness import random_stream

PLACEMENTS = (
    *((factor, 1) for factor in (1, 2, 4, 8, 16)),
    *((16, c) for c in (2, 4, 8)),
    *((c, c) for c in (2, 4, 8, 16)),
)
"""How many times as many units the wide network has, and how many copies each narrow unit is split into."""

DRAWS = 3
"""Random placements of each kind."""


def measure_controls(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """How good the average of the pair is at λ = ½: plain, repaired, and without its mean cross-talk."""
    training = pair.training
    is_chain = training.architecture == "mlp" and training.normalisation == "none" and not training.skip
    return {"merges": _averages(session.model, session.states, session, cross_talk=is_chain)}


def measure_many(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """The same of the first two of the pair's networks, of the first three and so on."""
    inputs = [session.splits.calibration.images, session.splits.test.images]
    own = [logits_of(session.model, state, inputs) for state in session.states]
    return {
        "merges": [
            {"networks": count, **entry}
            for count in range(2, len(own) + 1)
            for entry in _averages(session.model, session.states[:count], session, own=own[:count])
        ]
    }


def measure_placement(pair: PairConfig, session: PairSession) -> dict[str, Any]:
    """The same of both networks at random places of wider networks, for each of `PLACEMENTS`, with several draws.

    Raises:
        InputError: the networks are no plain multilayer perceptrons, as `placed` takes them.
    """
    training = pair.training
    if training.architecture != "mlp" or training.hidden_width is None:
        raise InputError(f"architecture is {training.architecture!r}; only an mlp can be placed in a wider network")
    units = session.model.linear("hidden1").weight.shape[0]
    merges = []
    for factor, copies in PLACEMENTS:
        wide = build_model(
            replace(training, hidden_width=factor * units, width_multiplier=1.0),
            input_shape=session.splits.input_shape,
            num_classes=session.splits.num_classes,
            device="meta",
        )
        for draw in range(DRAWS):
            stream = random_stream(pair.seeds[0], "placement", pair.seeds[1], factor, copies, draw)
            states = [
                placed(
                    session.model,
                    state,
                    factor * units,
                    random_places(session.model, factor * units, copies=copies, generator=stream),
                )
                for state in session.states
            ]
            place = {"units": factor * units, "copies": copies, "share": copies / factor, "draw": draw}
            merges += [{**place, **entry} for entry in _averages(wide, states, session)]
    return {"merges": merges}


def _averages(model: LayeredModel, states: list[Any], session: PairSession, **options: Any) -> list[dict[str, Any]]:
    splits = session.splits
    images = session.sample(session.pair.repair_examples)
    return averages(model, states, images, calibration=splits.calibration, test=splits.test, **options)
