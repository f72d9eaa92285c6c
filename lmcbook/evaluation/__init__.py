"""How good a network and a merged network are: logits, loss, accuracy, ensembles, barriers, the curve along λ.

The names are loaded when they are first used: the scale of LEWC's prediction serves the lab and the pages too, which
start without torch.
"""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand

if TYPE_CHECKING:
    from lmcbook.evaluation.barrier import (
        accuracy_barrier,
        barriers,
        loss_barrier,
        midpoint_accuracy_barrier,
        midpoint_loss_barrier,
    )
    from lmcbook.evaluation.calibrating import calibration_study
    from lmcbook.evaluation.curve import InterpolationCurve, curve_along, interpolation_curve
    from lmcbook.evaluation.ensembles import ensemble_logits
    from lmcbook.evaluation.lewc import (
        lewc_ensemble_weight,
        lewc_exponent,
        lewc_scale,
        predicted_inverse_temperature,
    )
    from lmcbook.evaluation.line import Line
    from lmcbook.evaluation.metrics import accuracy, loss
    from lmcbook.evaluation.prediction import coefficients_grid, predict_logits, predict_logits_along
    from lmcbook.evaluation.repairing import repair_study
    from lmcbook.evaluation.self_merging import Midpoints, self_merge
    from lmcbook.evaluation.sweeping_temperatures import temperature_sweep

__all__ = [
    "InterpolationCurve",
    "Line",
    "Midpoints",
    "accuracy",
    "accuracy_barrier",
    "barriers",
    "calibration_study",
    "coefficients_grid",
    "curve_along",
    "ensemble_logits",
    "interpolation_curve",
    "lewc_ensemble_weight",
    "lewc_exponent",
    "lewc_scale",
    "loss",
    "loss_barrier",
    "midpoint_accuracy_barrier",
    "midpoint_loss_barrier",
    "predict_logits",
    "predict_logits_along",
    "predicted_inverse_temperature",
    "repair_study",
    "self_merge",
    "temperature_sweep",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "barrier": "accuracy_barrier barriers loss_barrier midpoint_accuracy_barrier midpoint_loss_barrier",
        "calibrating": "calibration_study",
        "curve": "InterpolationCurve curve_along interpolation_curve",
        "ensembles": "ensemble_logits",
        "lewc": "lewc_ensemble_weight lewc_exponent lewc_scale predicted_inverse_temperature",
        "line": "Line",
        "metrics": "accuracy loss",
        "prediction": "coefficients_grid predict_logits predict_logits_along",
        "repairing": "repair_study",
        "self_merging": "Midpoints self_merge",
        "sweeping_temperatures": "temperature_sweep",
    },
)
