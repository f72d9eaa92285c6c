"""The theorems as numbers: networks that meet their conditions exactly, closed forms, predictions and bounds.

The names are loaded when they are first used: the closed forms serve the figures too, which start without torch.
"""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand

if TYPE_CHECKING:
    from lmcbook.theory.batch_norm import (
        NormalisedNetwork,
        disjoint_normalised_networks,
        merged_normalised,
        run_normalised,
    )
    from lmcbook.theory.bounds import ErrorBudget, deficit, error_budget
    from lmcbook.theory.checks import (
        batch_norm_errors,
        bias_errors,
        condition_errors,
        connectivity_errors,
        fitted_and_predicted,
        law_errors,
        normalised_errors,
        shared_decay,
        two_networks,
    )
    from lmcbook.theory.common_mode import (
        CrossTalk,
        Shares,
        all_placements,
        centred_rows,
        drawn_layer,
        expected_cross_talk,
        expected_orthogonality,
        four_parts,
        layer_shares,
        part_energies,
        placed_cross_talk,
        random_placements,
        widened,
        width_rows,
    )
    from lmcbook.theory.forgetting import rank_bound, remembered_steps
    from lmcbook.theory.gaussian import INDEPENDENT_COSINE, cosine_spread, gaussian_cosine, relu_covariance
    from lmcbook.theory.loss_rise import BoundedRise, LossBounds, bounded_rise, loss_bounds
    from lmcbook.theory.networks import Network, merged, run
    from lmcbook.theory.one_law import line_factors, midpoint_exponents, midpoint_factors
    from lmcbook.theory.overlapping import constant, line_checks, mixed, mixed_exponents, overlapping_pair, silent
    from lmcbook.theory.pairs import (
        Pair,
        both_mechanisms,
        break_additivity,
        break_orthogonality,
        broken_pairs,
        commuting_pair,
        disjoint_networks,
        disjoint_pair,
    )
    from lmcbook.theory.repairing import layer_cross_talk, repair_checks, repair_errors, repaired
    from lmcbook.theory.simulation import cosine_rows, simulated_cosines
    from lmcbook.theory.sliding import dense_pair, slide, sliding_pair

__all__ = [
    "INDEPENDENT_COSINE",
    "BoundedRise",
    "CrossTalk",
    "ErrorBudget",
    "LossBounds",
    "Network",
    "NormalisedNetwork",
    "Pair",
    "Shares",
    "all_placements",
    "batch_norm_errors",
    "bias_errors",
    "both_mechanisms",
    "bounded_rise",
    "break_additivity",
    "break_orthogonality",
    "broken_pairs",
    "centred_rows",
    "commuting_pair",
    "condition_errors",
    "connectivity_errors",
    "constant",
    "cosine_rows",
    "cosine_spread",
    "deficit",
    "dense_pair",
    "disjoint_networks",
    "disjoint_normalised_networks",
    "disjoint_pair",
    "drawn_layer",
    "error_budget",
    "expected_cross_talk",
    "expected_orthogonality",
    "fitted_and_predicted",
    "four_parts",
    "gaussian_cosine",
    "law_errors",
    "layer_cross_talk",
    "layer_shares",
    "line_checks",
    "line_factors",
    "loss_bounds",
    "merged",
    "merged_normalised",
    "midpoint_exponents",
    "midpoint_factors",
    "mixed",
    "mixed_exponents",
    "normalised_errors",
    "overlapping_pair",
    "part_energies",
    "placed_cross_talk",
    "random_placements",
    "rank_bound",
    "relu_covariance",
    "remembered_steps",
    "repair_checks",
    "repair_errors",
    "repaired",
    "run",
    "run_normalised",
    "shared_decay",
    "silent",
    "simulated_cosines",
    "slide",
    "sliding_pair",
    "two_networks",
    "widened",
    "width_rows",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "batch_norm": "NormalisedNetwork disjoint_normalised_networks merged_normalised run_normalised",
        "bounds": "ErrorBudget deficit error_budget",
        "checks": (
            "batch_norm_errors bias_errors condition_errors connectivity_errors fitted_and_predicted law_errors "
            "normalised_errors shared_decay two_networks"
        ),
        "common_mode": (
            "CrossTalk Shares all_placements centred_rows drawn_layer expected_cross_talk expected_orthogonality "
            "four_parts layer_shares part_energies placed_cross_talk random_placements widened width_rows"
        ),
        "gaussian": "INDEPENDENT_COSINE cosine_spread gaussian_cosine relu_covariance",
        "loss_rise": "BoundedRise LossBounds bounded_rise loss_bounds",
        "networks": "Network merged run",
        "one_law": "line_factors midpoint_exponents midpoint_factors",
        "overlapping": "constant line_checks mixed mixed_exponents overlapping_pair silent",
        "pairs": (
            "Pair both_mechanisms break_additivity break_orthogonality "
            "broken_pairs commuting_pair disjoint_networks disjoint_pair"
        ),
        "forgetting": "rank_bound remembered_steps",
        "repairing": "layer_cross_talk repair_checks repair_errors repaired",
        "simulation": "cosine_rows simulated_cosines",
        "sliding": "dense_pair slide sliding_pair",
    },
)
