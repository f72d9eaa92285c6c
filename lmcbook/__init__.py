"""Do we really need permutations? Train, merge, calibrate and measure pairs of networks.

The public names below are loaded when they are first used, so that `import lmcbook` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmcbook.calibration import expected_calibration_error, fit_inverse_temperature
    from lmcbook.config import PairConfig, TrainingConfig
    from lmcbook.data import load
    from lmcbook.errors import InputError
    from lmcbook.evaluation import barriers, coefficients_grid, interpolation_curve, predict_logits
    from lmcbook.matching import activation_matching, weight_matching
    from lmcbook.merging import interpolate, merge, merge_many, recompute_batch_norm
    from lmcbook.models import build_model
    from lmcbook.permutation import PermutationSpec
    from lmcbook.records import read_records
    from lmcbook.store import ensure, ensure_many
    from lmcbook.training import train

__version__ = "0.1.0"

_HOME = {
    "InputError": "errors",
    "PairConfig": "config",
    "PermutationSpec": "permutation",
    "TrainingConfig": "config",
    "activation_matching": "matching",
    "barriers": "evaluation",
    "build_model": "models",
    "coefficients_grid": "evaluation",
    "ensure": "store",
    "ensure_many": "store",
    "expected_calibration_error": "calibration",
    "fit_inverse_temperature": "calibration",
    "interpolate": "merging",
    "interpolation_curve": "evaluation",
    "load": "data",
    "merge": "merging",
    "merge_many": "merging",
    "predict_logits": "evaluation",
    "read_records": "records",
    "recompute_batch_norm": "merging",
    "train": "training",
    "weight_matching": "matching",
}


__all__ = [
    "InputError",
    "PairConfig",
    "PermutationSpec",
    "TrainingConfig",
    "__version__",
    "activation_matching",
    "barriers",
    "build_model",
    "coefficients_grid",
    "ensure",
    "ensure_many",
    "expected_calibration_error",
    "fit_inverse_temperature",
    "interpolate",
    "interpolation_curve",
    "load",
    "merge",
    "merge_many",
    "predict_logits",
    "read_records",
    "recompute_batch_norm",
    "train",
    "weight_matching",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
