"""Sixteen narrow MLPs trained together: this package's one computation against its own training, one by one.

    python benchmarks/training_together.py       # about two minutes

Four seeds × four weight decays, no bias, SGD with momentum, on the handwritten digits (784 of the MNIST shapes: noise
of MNIST's shape if it is not at hand). Both sides start from the same weights and see the same examples in the same
order. CPU seconds of one process with one thread, the better of three turns of each side, taken in turns. Then both
sides do single steps from one state: what differs is rounding. Exits with 1 if a ratio is below what is promised, or a
step differs by more than 1e-5. Large batches are not trained together: there the products themselves take the time.
"""

import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from _per_sample import MEAN, STD, cpu_seconds, mnist_or_noise, verdict

from lmcbook.data import Split, Splits, load
from lmcbook.training import TimeIsUp, train, train_together
from lmcbook.training.checkpoint import read_checkpoint
from lmcbook.training.config import TrainingConfig

TURNS = 3
DIGITS = {16: 8.0, 64: 4.0, 256: 1.5}
"""Hidden units → promised ratio, on the digits at batch 32."""
MNIST = {32: 4.0, 128: 1.0}
"""Batch size → promised ratio, at 64 hidden units on MNIST's shapes."""


def mnist_splits(examples: int) -> Splits:
    images = mnist_or_noise("train", examples)
    split = Split(images=images.normalised(), labels=torch.from_numpy(images.labels))
    names = tuple("0123456789")
    return Splits(
        name="mnist", train=split, calibration=split, test=split, num_classes=10, class_names=names, mean=(MEAN,),
        std=(STD,), sha256="",
    )  # fmt: skip


def sixteen(hidden_width: int, batch_size: int, epochs: int) -> list[TrainingConfig]:
    config = TrainingConfig(
        dataset="digits",
        architecture="mlp",
        hidden_width=hidden_width,
        num_layers=4,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=0.1,
        warmup_epochs=0.5,
    )
    return [replace(config, seed=seed, weight_decay=decay) for seed in range(4) for decay in (0.0, 1e-4, 1e-3, 3e-3)]


def one_by_one(configs: list[TrainingConfig], splits: Splits) -> list[float]:
    return [train(config, splits, progress=False).history["accuracy"][-1] for config in configs]


def together(configs: list[TrainingConfig], splits: Splits) -> list[float]:
    return [model.history["accuracy"][-1] for _, model in train_together(configs, splits, progress=False)]


def largest_difference(configs: list[TrainingConfig], splits: Splits, steps: int) -> float:
    """Of a weight after one step from the same state, over so many steps."""
    largest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        files = {config: Path(folder) / str(place) for place, config in enumerate(configs)}
        for _ in range(steps):
            before = {config: file.read_bytes() for config, file in files.items() if file.exists()}
            alone = {}
            for config, file in files.items():
                try:
                    train(config, splits, checkpoint=file, deadline=-math.inf, progress=False)
                except TimeIsUp:
                    alone[config] = read_checkpoint(file, config)[0]
                file.unlink()
                if config in before:
                    file.write_bytes(before[config])
            try:
                list(train_together(configs, splits, checkpoints=files, deadline=-math.inf, progress=False))
            except TimeIsUp:
                found = {config: read_checkpoint(file, config)[0] for config, file in files.items()}
            for config, state in alone.items():
                for name, weight in state.items():
                    largest = max(largest, (weight - found[config][name]).abs().max().item())
    return largest


def compare(name: str, configs: list[TrainingConfig], splits: Splits, promised: float) -> int:
    warm = [replace(config, epochs=1) for config in configs[:2]]
    one_by_one(warm, splits)  # both sides warm: the first products of a process take longer
    together(warm, splits)
    slow, fast = [], []
    for _ in range(TURNS):  # in turns, so that a busy machine slows both sides alike
        seconds, alone = cpu_seconds(one_by_one, configs, splits)
        slow.append(seconds)
        seconds, grouped = cpu_seconds(together, configs, splits)
        fast.append(seconds)
    print(name)
    print(f"{'  one by one':<24}{min(slow):8.2f} CPU s, mean accuracy {sum(alone) / 16:.4f}")
    print(f"{'  together':<24}{min(fast):8.2f} CPU s, mean accuracy {sum(grouped) / 16:.4f}")
    return verdict(min(slow) / min(fast), promised)


def main() -> int:
    torch.set_num_threads(1)
    digits, shapes = load("digits"), mnist_splits(9_600)
    failed = 0
    print("16 MLPs of four layers, four seeds × four weight decays, one thread")
    for hidden_width, promised in DIGITS.items():
        failed |= compare(f"digits, 64-{hidden_width}×3-10, batch 32", sixteen(hidden_width, 32, 8), digits, promised)
    for batch_size, promised in MNIST.items():
        failed |= compare(
            f"MNIST shapes, 784-64×3-10, batch {batch_size}", sixteen(64, batch_size, 1), shapes, promised
        )
    difference = largest_difference(sixteen(64, 32, 1), digits, steps=20)
    print(f"largest difference of a weight after one step from the same state, 20 steps: {difference:.1e}")
    return failed | (difference > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
