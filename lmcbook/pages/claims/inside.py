"""Claims about permutations and about what happens inside of the networks: LEWC, its conditions, active units, ranks.

Part of the records of the embedded scale was known when these tolerances were written, and the bounds on the rank
correlation were set after its value had been seen: on digits they describe, on other data they test.
"""

from collections.abc import Sequence

from lmcbook.pages.claims.claim import Claim, Range
from lmcbook.pages.paper_table import PAPER_TABLE_1


def permutation_claims(recipes: Sequence[str]) -> list[Claim]:
    """What the paper and its reviewers say of merging after a search for a permutation."""
    claims = []
    for row in PAPER_TABLE_1:
        accuracy, loss = row.matched_accuracy_barrier, row.matched_loss_barrier
        claims += [
            Claim(
                id=f"table-1-matched-accuracy-{row.recipe}",
                statement="Merged after weight matching, wide networks keep their accuracy at λ = ½.",
                source="Table 1",
                recipe=row.recipe,
                statistic="matched_barrier",
                arguments={"width_multiplier": row.width_multiplier},
                paper_value=accuracy,
                reproduced=Range(high=round(accuracy + 0.01, 6)),
                partly=Range(high=round(accuracy + 0.05, 6)),
                factor=100,
                unit="points",
                chapter="03_permutations",
            ),
            Claim(
                id=f"table-1-matched-loss-{row.recipe}",
                statement="Merged after weight matching, wide networks keep their loss at λ = ½.",
                source="Table 1",
                recipe=row.recipe,
                statistic="matched_barrier",
                arguments={"width_multiplier": row.width_multiplier, "column": "midpoint_loss_barrier"},
                paper_value=loss,
                reproduced=Range(high=round(loss + 0.03, 6)),
                partly=Range(high=round(loss + 0.1, 6)),
                unit="nats",
                digits=3,
                chapter="03_permutations",
            ),
        ]
    for recipe in recipes:
        claims.append(
            Claim(
                id=f"matching-gain-{recipe}",
                statement="At the widest, a search for a permutation gains no accuracy over a random one.",
                source="asked by reviewers",
                recipe=recipe,
                statistic="matching_gain",
                reproduced=Range(low=-0.02, high=0.02),
                partly=Range(low=-0.05, high=0.05),
                factor=100,
                unit="points",
                digits=1,
                chapter="03_permutations",
            )
        )
    return claims


def layer_claims(recipes: Sequence[str], multilayer_perceptrons: Sequence[str]) -> list[Claim]:
    """What the paper says of every network's layers."""
    claims = [claim for recipe in recipes for claim in _of(recipe)]
    for recipe in recipes:
        if recipe not in multilayer_perceptrons:
            continue
        claims += [
            Claim(
                id=f"temperature-three-layers-{recipe}",
                statement="Of three layers, β at λ = ½ is 4 times the ensemble's (binary logarithm of the ratio).",
                source="follows from Definition 4.1",
                recipe=recipe,
                statistic="temperature_error",
                paper_value=0.0,
                # a factor of 1.5 and a factor of 2
                reproduced=Range(low=-0.585, high=0.585),
                partly=Range(low=-1, high=1),
                chapter="04_lewc",
                layers=3,
            ),
            Claim(
                id=f"temperature-orthogonality-{recipe}",
                statement="The closer pairs are to reciprocal orthogonality, the better β is predicted: "
                "Spearman's correlation over widths, depths and weight decays.",
                source="follows from Theorem 5.3",
                recipe=recipe,
                statistic="temperature_rank_correlation",
                reproduced=Range(low=0.5),
                partly=Range(low=0.2),
                chapter="04_lewc",
                layers="all",
                pooled=True,
            ),
        ]
    return claims


def _of(recipe: str) -> list[Claim]:
    return [
        Claim(
            id=f"lewc-cosine-{recipe}",
            statement="At the widest, the merged logits point where LEWC says: their cosine at λ = ½.",
            source="Fig. 3",
            recipe=recipe,
            statistic="barrier",
            arguments={"column": "lewc_cosine"},
            reproduced=Range(low=0.95),
            partly=Range(low=0.85),
            digits=3,
            chapter="04_lewc",
        ),
        Claim(
            id=f"lewc-rise-{recipe}",
            statement="The cosine of the logits rises from narrow to wide.",
            source="Fig. 3",
            recipe=recipe,
            statistic="rise",
            arguments={"column": "lewc_cosine"},
            reproduced=Range(low=0.02),
            partly=Range(low=0),
            chapter="04_lewc",
        ),
        Claim(
            id=f"weak-additivity-{recipe}",
            statement="At the widest, weak additivity holds at least as well as for independent Gaussians: the cosine.",
            source="Fig. 4, Theorem 5.4",
            recipe=recipe,
            statistic="barrier",
            arguments={"column": "weak_additivity"},
            reproduced=Range(low=0.93),
            partly=Range(low=0.9),
            digits=3,
            chapter="05_weak_additivity",
        ),
        Claim(
            id=f"few-active-{recipe}",
            statement="At the widest, most units sit in the lowest bin of the histogram of root second moments.",
            source="Fig. 5",
            recipe=recipe,
            statistic="barrier",
            arguments={"column": "lowest_bin_share"},
            reproduced=Range(low=0.5),
            partly=Range(low=0.25),
            factor=100,
            unit="% of the units",
            digits=0,
            chapter="06_active_units",
        ),
        Claim(
            id=f"different-units-{recipe}",
            statement="The two models' active units overlap no more than independent ones would: the difference.",
            source="Fig. 6",
            recipe=recipe,
            statistic="overlap_excess",
            reproduced=Range(high=0.05),
            partly=Range(high=0.1),
            digits=3,
            chapter="06_active_units",
        ),
        Claim(
            id=f"rank-{recipe}",
            statement="The effective rank of the weights falls with width, relative to their size.",
            source="Fig. 7",
            recipe=recipe,
            statistic="remaining_share",
            arguments={"column": "relative_effective_rank"},
            reproduced=Range(high=0.5),
            partly=Range(high=1),
            factor=100,
            unit="% of the narrowest",
            digits=0,
            chapter="06_active_units",
        ),
        Claim(
            id=f"rank-decay-{recipe}",
            statement="With weak weight decay the relative effective rank is higher, at the widest: the difference.",
            source="Fig. 9",
            recipe=recipe,
            statistic="decay_advantage",
            arguments={"column": "relative_effective_rank"},
            reproduced=Range(low=0.05),
            partly=Range(low=0),
            chapter="06_active_units",
        ),
        Claim(
            id=f"reciprocal-orthogonality-{recipe}",
            statement="The two models' weights and features become more orthogonal with width.",
            source="Fig. 8",
            recipe=recipe,
            statistic="remaining_share",
            arguments={"column": "reciprocal_orthogonality"},
            reproduced=Range(high=0.75),
            partly=Range(high=1),
            factor=100,
            unit="% of the narrowest",
            digits=0,
            chapter="07_reciprocal_orthogonality",
        ),
        Claim(
            id=f"orthogonality-decay-{recipe}",
            statement="With weak weight decay reciprocal orthogonality fails more, at the widest: the difference.",
            source="Fig. 9",
            recipe=recipe,
            statistic="decay_advantage",
            arguments={"column": "reciprocal_orthogonality"},
            reproduced=Range(low=0.05),
            partly=Range(low=0),
            chapter="07_reciprocal_orthogonality",
        ),
        Claim(
            id=f"commutativity-{recipe}",
            statement="Commutativity, the condition of LLFC, is far from holding at the widest (0: it holds).",
            source="Fig. 10",
            recipe=recipe,
            statistic="barrier",
            arguments={"column": "commutativity"},
            reproduced=Range(low=0.5),
            partly=Range(low=0.3),
            chapter="07_reciprocal_orthogonality",
        ),
    ]
