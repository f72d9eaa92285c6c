"""Claims of the controls: temperature, weight decay, a penalty against low rank, flatness, a common start.

Tolerances are the catalogue's for the same kind of claim: a factor of 1.5 and a factor of 2 for temperatures, a point
of accuracy for a contrast of trainings. Part of the digits' records was known when they were asked of these networks;
of the last three controls, all of the multilayer perceptron's on digits, and of flatness one pair of each network.
"""

from collections.abc import Sequence

from lmcbook.pages.claims.claim import Claim, Range


def control_claims(recipes: Sequence[str], multilayer_perceptrons: Sequence[str]) -> list[Claim]:
    """What the paper, or what follows from it, says of temperatures and of weight decay."""
    temperatures = [_depth(recipe) if recipe in multilayer_perceptrons else _batch_norm(recipe) for recipe in recipes]
    of_each = (_decay, _low_rank, _flatness, _start)
    return [*temperatures, *(claim for ask in of_each for recipe in recipes for claim in ask(recipe))]


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


def _low_rank(recipe: str) -> list[Claim]:
    source, chapter = "asked by reviewers", "08_weight_decay"
    return [
        Claim(
            id=f"penalty-orthogonality-{recipe}",
            statement="A strong penalty against low rank breaks reciprocal orthogonality: what it adds to the ratio.",
            source=source,
            recipe=recipe,
            statistic="penalty_effect",
            arguments={"column": "reciprocal_orthogonality"},
            reproduced=Range(low=0.1),
            partly=Range(low=0),
            chapter=chapter,
        ),
        Claim(
            id=f"penalty-barrier-{recipe}",
            statement="Merging breaks with it: with a strong penalty against low rank, the accuracy barrier is higher.",
            source=source,
            recipe=recipe,
            statistic="penalty_effect",
            reproduced=Range(low=0.01),
            partly=Range(low=0),
            factor=100,
            unit="points",
            digits=1,
            chapter=chapter,
        ),
        Claim(
            id=f"penalty-accuracy-{recipe}",
            statement="The penalty does not ruin the networks themselves: what it changes of their own accuracy.",
            source=source,
            recipe=recipe,
            statistic="penalty_effect",
            arguments={"column": "endpoint_accuracy"},
            reproduced=Range(low=-0.01),
            partly=Range(low=-0.03),
            factor=100,
            unit="points",
            digits=1,
            chapter=chapter,
        ),
    ]


def _flatness(recipe: str) -> list[Claim]:
    chapter = "09_flatness"
    return [
        Claim(
            id=f"random-direction-{recipe}",
            statement="A random direction as long as the way to network b raises the calibrated loss at its end.",
            source="Appendix",
            recipe=recipe,
            statistic="barrier",
            arguments={"column": "global_rise"},
            reproduced=Range(low=0.1),
            partly=Range(low=0.02),
            unit="nats",
            chapter=chapter,
        ),
        Claim(
            id=f"flatness-{recipe}",
            statement="Halfway to network b the calibrated loss is lower than in random directions as long.",
            source="Appendix, asked by reviewers",
            recipe=recipe,
            statistic="barrier",
            arguments={"column": "global_excess"},
            reproduced=Range(low=0.02),
            partly=Range(low=0),
            unit="nats",
            digits=3,
            chapter=chapter,
        ),
        Claim(
            id=f"untrained-{recipe}",
            statement="Halfway to network b the calibrated loss is lower than halfway to untrained networks.",
            source="asked here",
            recipe=recipe,
            statistic="barrier",
            arguments={"column": "untrained_excess"},
            reproduced=Range(low=0.02),
            partly=Range(low=0),
            unit="nats",
            digits=3,
            chapter=chapter,
        ),
    ]


def _start(recipe: str) -> list[Claim]:
    source, chapter = "asked by reviewers", "10_same_start"
    return [
        Claim(
            id=f"same-order-{recipe}",
            statement="The order of the examples links nothing: sharing it alone leaves the accuracy barrier as it is.",
            source="asked here",
            recipe=recipe,
            statistic="sharing_effect",
            arguments={"shared": "order"},
            reproduced=Range(low=-0.02, high=0.02),
            partly=Range(low=-0.05, high=0.05),
            factor=100,
            unit="points",
            digits=1,
            chapter=chapter,
        ),
        Claim(
            id=f"spawned-barrier-{recipe}",
            statement="Networks that part after a fifth of their training are connected: their accuracy barrier.",
            source="Frankle et al. 2020, asked by reviewers",
            recipe=recipe,
            statistic="spawned",
            arguments={"fraction": 0.2},
            reproduced=Range(high=0.01),
            partly=Range(high=0.05),
            factor=100,
            unit="points",
            digits=1,
            chapter=chapter,
        ),
        Claim(
            id=f"spawned-law-{recipe}",
            statement="They are so by LLFC: the relative error of its law at their merged logits.",
            source=source,
            recipe=recipe,
            statistic="spawned",
            arguments={"fraction": 0.2, "column": "llfc_error"},
            reproduced=Range(high=0.2),
            partly=Range(high=0.5),
            chapter=chapter,
        ),
        Claim(
            id=f"same-start-{recipe}",
            statement="Sharing the initialisation alone makes networks alike: what it changes of commutativity.",
            source=source,
            recipe=recipe,
            statistic="sharing_effect",
            arguments={"shared": "start", "column": "commutativity"},
            reproduced=Range(high=-0.3),
            partly=Range(high=0),
            chapter=chapter,
        ),
    ]
