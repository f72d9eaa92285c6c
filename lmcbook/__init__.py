"""Do we really need permutations? Merge, calibrate and measure pairs of networks, and train them.

The core is at the top: what two networks of your own need. `lmcbook.lab` trains from a plan, stores, measures and
records; `lmcbook.pages` makes the book. The public names are loaded when they are first used, so that `import lmcbook`
costs nothing.
"""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand

if TYPE_CHECKING:
    from lmcbook.calibration import expected_calibration_error, fit_inverse_temperature
    from lmcbook.connecting import Connection, MergedNetwork, connect, merge_networks, read_network
    from lmcbook.data import Split, load
    from lmcbook.errors import InputError
    from lmcbook.evaluation import (
        Line,
        accuracy,
        barriers,
        coefficients_grid,
        ensemble_logits,
        interpolation_curve,
        loss,
        predict_logits,
        self_merge,
    )
    from lmcbook.layerwise import measure_common_mode, measure_layers
    from lmcbook.matching import activation_matching, observe_modules, weight_matching
    from lmcbook.merging import interpolate, merge, merge_many, recompute_batch_norm
    from lmcbook.merging.repairing import add_biases, repair
    from lmcbook.models import build_model
    from lmcbook.permutation import PermutationSpec, apply, derive_spec
    from lmcbook.randomness import random_stream
    from lmcbook.training import TrainingConfig, train

__version__ = "0.1.0"

__all__ = [
    "Connection",
    "InputError",
    "Line",
    "MergedNetwork",
    "PermutationSpec",
    "Split",
    "TrainingConfig",
    "__version__",
    "accuracy",
    "activation_matching",
    "add_biases",
    "apply",
    "barriers",
    "build_model",
    "coefficients_grid",
    "connect",
    "derive_spec",
    "ensemble_logits",
    "expected_calibration_error",
    "fit_inverse_temperature",
    "interpolate",
    "interpolation_curve",
    "load",
    "loss",
    "measure_common_mode",
    "measure_layers",
    "merge",
    "merge_many",
    "merge_networks",
    "observe_modules",
    "predict_logits",
    "random_stream",
    "read_network",
    "recompute_batch_norm",
    "repair",
    "self_merge",
    "train",
    "weight_matching",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "calibration": "expected_calibration_error fit_inverse_temperature",
        "connecting": "Connection MergedNetwork connect merge_networks read_network",
        "data": "Split load",
        "errors": "InputError",
        "evaluation": (
            "Line accuracy barriers coefficients_grid ensemble_logits interpolation_curve loss predict_logits "
            "self_merge"
        ),
        "layerwise": "measure_common_mode measure_layers",
        "matching": "activation_matching observe_modules weight_matching",
        "merging": "add_biases interpolate merge merge_many recompute_batch_norm repair",
        "models": "build_model",
        "permutation": "PermutationSpec apply derive_spec",
        "randomness": "random_stream",
        "training": "TrainingConfig train",
    },
)
