"""The claims themselves. Tolerances were written before the records they judge, and are not moved after them."""

from lmcbook.pages.claims.claim import Claim, Range
from lmcbook.pages.claims.controls import control_claims
from lmcbook.pages.claims.inside import layer_claims, permutation_claims
from lmcbook.pages.paper_table import PAPER_TABLE_1

_MULTILAYER_PERCEPTRONS = ("mlp-digits", "mlp-mnist", "mlp-fashion_mnist")

RECIPES = (
    "mlp-digits",
    "resnet20-digits",
    "vgg11-digits",
    "mlp-mnist",
    "mlp-fashion_mnist",
    "vgg11-cifar10",
    "resnet20-cifar10",
)
"""The recipes that claims are made about."""


def _table_1() -> list[Claim]:
    """The paper's own numbers: ours may be better by any amount, and worse by as much as is said here."""
    claims = []
    for row in PAPER_TABLE_1:
        accuracy, loss = row.accuracy_barrier, row.calibrated_loss_barrier
        claims += [
            Claim(
                id=f"table-1-accuracy-{row.recipe}",
                statement="Merged as they are, wide networks keep their accuracy at λ = ½.",
                source="Table 1",
                recipe=row.recipe,
                statistic="barrier",
                arguments={"width_multiplier": row.width_multiplier},
                paper_value=accuracy,
                reproduced=Range(high=round(accuracy + 0.01, 6)),
                partly=Range(high=round(accuracy + 0.05, 6)),
                factor=100,
                unit="points",
            ),
            Claim(
                id=f"table-1-loss-{row.recipe}",
                statement="Merged as they are and calibrated, wide networks keep their loss at λ = ½.",
                source="Table 1",
                recipe=row.recipe,
                statistic="barrier",
                arguments={"width_multiplier": row.width_multiplier, "column": "midpoint_calibrated_loss_barrier"},
                paper_value=loss,
                reproduced=Range(high=round(loss + 0.03, 6)),
                partly=Range(high=round(loss + 0.1, 6)),
                unit="nats",
                digits=3,
            ),
        ]
    return claims


def _of(recipe: str) -> list[Claim]:
    """What the paper says of every network, asked of one recipe."""
    claims = [
        Claim(
            id=f"width-{recipe}",
            statement="Width suffices: without permutation, the accuracy barrier falls from narrow to wide.",
            source="Abstract, Fig. 1",
            recipe=recipe,
            statistic="remaining_share",
            reproduced=Range(high=0.25),
            partly=Range(high=0.75),
            factor=100,
            unit="% of the narrowest",
            digits=0,
        ),
        Claim(
            id=f"weight-decay-{recipe}",
            statement="It takes weight decay: at the widest, the accuracy barrier is lower with 3e-3 than with 1e-4.",
            source="Fig. 9",
            recipe=recipe,
            statistic="decay_advantage",
            reproduced=Range(low=0.01),
            partly=Range(low=0),
            factor=100,
            unit="points",
            digits=1,
        ),
        Claim(
            id=f"calibration-{recipe}",
            statement="Fitting one inverse temperature removes most of the loss barrier that is left at the widest.",
            source="Fig. 2",
            recipe=recipe,
            statistic="calibration_share",
            reproduced=Range(low=0.5),
            partly=Range(low=0.2),
            factor=100,
            unit="% of the loss barrier",
            digits=0,
        ),
        Claim(
            id=f"random-permutation-{recipe}",
            statement="A random permutation before merging changes nothing for wide networks.",
            source="Appendix",
            recipe=recipe,
            statistic="permutation_effect",
            reproduced=Range(low=-0.02, high=0.02),
            partly=Range(low=-0.05, high=0.05),
            factor=100,
            unit="points",
            digits=1,
        ),
        Claim(
            id=f"ensemble-{recipe}",
            statement="The merged network predicts what the ensemble of the two predicts: they are equally accurate.",
            source="follows from Definition 4.1",
            recipe=recipe,
            statistic="ensemble_gap",
            paper_value=0.0,
            reproduced=Range(low=-0.02, high=0.02),
            partly=Range(low=-0.05, high=0.05),
            factor=100,
            unit="points",
            digits=1,
        ),
    ]
    if recipe not in {row.recipe for row in PAPER_TABLE_1}:
        claims.append(
            Claim(
                id=f"accuracy-{recipe}",
                statement="Merged as they are, wide networks keep their accuracy at λ = ½.",
                source="Abstract, Fig. 1",
                recipe=recipe,
                statistic="barrier",
                reproduced=Range(high=0.02),
                partly=Range(high=0.1),
                factor=100,
                unit="points",
                digits=1,
            )
        )
    if recipe in _MULTILAYER_PERCEPTRONS:
        claims.append(
            Claim(
                id=f"temperature-{recipe}",
                statement="The fitted inverse temperature at λ = ½ is 2ᴸ⁻¹ times the ensemble's (binary logarithm).",
                source="follows from Definition 4.1",
                recipe=recipe,
                statistic="temperature_error",
                paper_value=0.0,
                # a factor of 1.5 and a factor of 2
                reproduced=Range(low=-0.585, high=0.585),
                partly=Range(low=-1, high=1),
            )
        )
    return claims


CLAIMS: tuple[Claim, ...] = (
    *_table_1(),
    *(claim for recipe in RECIPES for claim in _of(recipe)),
    *permutation_claims(RECIPES),
    *layer_claims(RECIPES, _MULTILAYER_PERCEPTRONS),
    *control_claims(RECIPES, _MULTILAYER_PERCEPTRONS),
)
"""Every claim that the book judges."""


def of_chapter(*chapters: str) -> tuple[Claim, ...]:
    """Those of `CLAIMS` that are measured by the notebooks ``chapters``."""
    return tuple(claim for claim in CLAIMS if claim.chapter in chapters)


def about(*words: str) -> tuple[Claim, ...]:
    """Those of `CLAIMS` whose chapter or source has one of the ``words`` in its name."""
    return tuple(claim for claim in CLAIMS if any(word in f"{claim.chapter}, {claim.source}" for word in words))
