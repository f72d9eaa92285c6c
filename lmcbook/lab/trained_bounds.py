"""The bounds of the theory on two small networks that are trained for it: what a chapter says of trained pairs."""

from lmcbook.data import load
from lmcbook.theory import BoundedRise, Network, Pair, bounded_rise
from lmcbook.training import TrainingConfig, train


def bounds_on_digits(num_layers: int = 4, units: int = 64) -> BoundedRise:
    """The bounds on the calibrated loss at λ = ½ of perceptrons trained on digits from the seeds 0 and 1, in nats.

    They take about a second each, and are judged on the calibration images. Nothing is stored.
    """
    digits = load("digits")
    networks = []
    for seed in (0, 1):
        config = TrainingConfig(
            dataset="digits",
            architecture="mlp",
            hidden_width=units,
            num_layers=num_layers,
            epochs=20,
            batch_size=100,
            learning_rate=0.1,
            seed=seed,
        )
        state = train(config, digits, progress=False).state
        networks.append(Network(weights=tuple(weight.double() for weight in state.values())))
    images = digits.calibration.images.flatten(1).double()
    return bounded_rise(Pair(*networks), 0.5, images, digits.calibration.labels)
