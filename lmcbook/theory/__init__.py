"""The theorems as numbers: networks that meet their conditions exactly, closed forms, predictions and bounds.

The names are loaded when they are first used: the closed forms serve the figures too, which start without torch.
"""

from typing import TYPE_CHECKING

from lmcbook import names_on_demand

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
        law_errors,
        normalised_errors,
        shared_decay,
        temperatures,
        two_networks,
    )
    from lmcbook.theory.gaussian import INDEPENDENT_COSINE, cosine_spread, gaussian_cosine, relu_covariance
    from lmcbook.theory.networks import Network, merged, run
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
    from lmcbook.theory.simulation import cosine_rows, simulated_cosines
    from lmcbook.theory.sliding import dense_pair, slide, sliding_pair

__all__ = [
    "INDEPENDENT_COSINE",
    "ErrorBudget",
    "Network",
    "NormalisedNetwork",
    "Pair",
    "batch_norm_errors",
    "bias_errors",
    "both_mechanisms",
    "break_additivity",
    "break_orthogonality",
    "broken_pairs",
    "commuting_pair",
    "condition_errors",
    "connectivity_errors",
    "cosine_rows",
    "cosine_spread",
    "deficit",
    "dense_pair",
    "disjoint_networks",
    "disjoint_normalised_networks",
    "disjoint_pair",
    "error_budget",
    "gaussian_cosine",
    "law_errors",
    "merged",
    "merged_normalised",
    "normalised_errors",
    "relu_covariance",
    "run",
    "run_normalised",
    "shared_decay",
    "simulated_cosines",
    "slide",
    "sliding_pair",
    "temperatures",
    "two_networks",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "batch_norm": "NormalisedNetwork disjoint_normalised_networks merged_normalised run_normalised",
        "bounds": "ErrorBudget deficit error_budget",
        "checks": (
            "batch_norm_errors bias_errors condition_errors connectivity_errors law_errors "
            "normalised_errors shared_decay temperatures two_networks"
        ),
        "gaussian": "INDEPENDENT_COSINE cosine_spread gaussian_cosine relu_covariance",
        "networks": "Network merged run",
        "pairs": (
            "Pair both_mechanisms break_additivity break_orthogonality "
            "broken_pairs commuting_pair disjoint_networks disjoint_pair"
        ),
        "simulation": "cosine_rows simulated_cosines",
        "sliding": "dense_pair slide sliding_pair",
    },
)
