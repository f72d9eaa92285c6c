"""The sweep of inverse temperatures: its least loss lies where the fit says, and its numbers are the metrics' own."""

import pytest
import torch

from lmcbook.calibration import expected_calibration_error, fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.evaluation import loss, temperature_sweep


def test_the_fitted_temperature_has_the_least_loss_of_the_sweep():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4000, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    fitted = fit_inverse_temperature(logits / 8, labels).inverse_temperature
    sweep = temperature_sweep(logits / 8, labels, fitted)
    assert len(sweep) == 13
    assert min(sweep, key=lambda entry: entry["loss"]) is sweep[6]
    assert sweep[6]["inverse_temperature"] == pytest.approx(fitted, rel=1e-5)
    assert sweep[12]["inverse_temperature"] / sweep[0]["inverse_temperature"] == pytest.approx(64, rel=1e-4)
    for entry in sweep:
        scale = entry["inverse_temperature"]
        assert entry["loss"] == pytest.approx(loss(logits * scale / 8, labels), rel=1e-4)
        exact = expected_calibration_error(logits / 8, labels, inverse_temperature=scale)
        assert entry["expected_calibration_error"] == pytest.approx(exact, abs=1e-3)
        assert sum(entry["counts"]) == 4000


def test_a_temperature_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="inverse_temperature is 0"):
        temperature_sweep(torch.eye(3), torch.arange(3), 0.0)
