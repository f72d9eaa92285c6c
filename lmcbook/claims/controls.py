"""Claims about the inverse temperature and about weight decay: what the controls of the book ask.

Tolerances are the catalogue's for the same kind of claim: a factor of 1.5 and a factor of 2 for temperatures, a point
of accuracy for a contrast of decays. Part of the digits' records was known when they were asked of these networks.
"""

from collections.abc import Sequence

from lmcbook.claims.claim import Claim, Range


def control_claims(recipes: Sequence[str], multilayer_perceptrons: Sequence[str]) -> list[Claim]:
    """What the paper, or what follows from it, says of temperatures and of weight decay."""
    temperatures = [_depth(recipe) if recipe in multilayer_perceptrons else _batch_norm(recipe) for recipe in recipes]
    return [*temperatures, *(claim for recipe in recipes for claim in _decay(recipe))]


def _depth(recipe: str) -> Claim:
    return Claim(
        id=f"temperature-depth-{recipe}",
        statement="At every depth, β at λ = ½ is 2ᴸ⁻¹ times the ensemble's: the largest error of log₂ β.",
        source="follows from Definition 4.1",
        recipe=recipe,
        statistic="depth_temperature_error",
        paper_value=0.0,
        reproduced=Range(high=0.585),
        partly=Range(high=1),
        chapter="02_temperature",
        layers="all",
    )


def _batch_norm(recipe: str) -> Claim:
    return Claim(
        id=f"temperature-batch-norm-{recipe}",
        statement="With batch norm, β at λ = ½ is twice the ensemble's (binary logarithm of the ratio).",
        source="our theorem on recomputed batch norm",
        recipe=recipe,
        statistic="batch_norm_temperature_error",
        reproduced=Range(low=-0.585, high=0.585),
        partly=Range(low=-1, high=1),
        chapter="02_temperature",
    )


def _decay(recipe: str) -> list[Claim]:
    return [
        Claim(
            id=f"no-weight-decay-{recipe}",
            statement="Without any weight decay, the accuracy barrier is higher than with 3e-3, at one width.",
            source="Fig. 9, asked by reviewers",
            recipe=recipe,
            statistic="decay_advantage",
            arguments={"weak": 0.0},
            reproduced=Range(low=0.01),
            partly=Range(low=0),
            factor=100,
            unit="points",
            digits=1,
            chapter="08_weight_decay",
        ),
        Claim(
            id=f"additivity-decay-{recipe}",
            statement="With weak weight decay weak additivity fails more, at the widest: the difference.",
            source="Fig. 9",
            recipe=recipe,
            statistic="decay_advantage",
            arguments={"column": "weak_additivity"},
            reproduced=Range(high=-0.02),
            partly=Range(high=0),
            digits=3,
            chapter="08_weight_decay",
        ),
    ]
