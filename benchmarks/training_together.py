"""Sixteen narrow MLPs trained together: this package's one computation against its own training, one by one.

    python benchmarks/training_together.py           # about two minutes
    python benchmarks/training_together.py --vmap    # and torch.func.vmap of torch.func.grad in place of our own step

Four seeds × four weight decays, no bias, SGD with momentum, on the handwritten digits (784 of the MNIST shapes: noise
of MNIST's shape if it is not there). Both sides start from the same weights and see the same examples in the same
order. CPU seconds of one process with one thread, the better of three turns of each side, taken in turns. Then both
sides do single steps from one state: what differs is rounding. Exits with 1 if a ratio is below what is promised, or a
step differs by more than 1e-5. Large batches are not trained together: there the products themselves take the time.

With ``--vmap`` a third side does the same steps by `ByVmap`, which needs no backward pass written by hand, and a check
shows whether a network's numbers depend on the networks beside it, which they must not (see `StackedNetworks`). In one
run of three turns, speeds relative to one by one (together, vmap): digits 16 units 14.9, 4.5; 64 units 9.2, 2.6; 256
units 2.4, 0.9; MNIST's shapes batch 32 5.7, 2.3; batch 128 2.5, 1.7. Numbers by vmap do not depend on the company
there, but they are other roundings than those of the committed records.
"""

import argparse
import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from _per_sample import MEAN, STD, cpu_seconds, mnist_or_noise, verdict
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lmcbook.data import Split, Splits, load
from lmcbook.models import build_model
from lmcbook.states import StateDict
from lmcbook.training import TimeIsUp, train, train_together
from lmcbook.training.checkpoint import read_checkpoint
from lmcbook.training.config import TrainingConfig

TURNS = 3
DIGITS = {16: 8.0, 64: 4.0, 256: 1.5}
"""Hidden units → promised ratio, on the digits at batch 32."""
MNIST = {32: 4.0, 128: 1.0}
"""Batch size → promised ratio, at 64 hidden units on MNIST's shapes."""


class ByVmap:
    """What `StackedNetworks` does, by automatic differentiation of one network's loss, mapped over all of them.

    It would serve any architecture. The benchmark's networks have no rank penalty, so it is left out.
    """

    capacity = 64

    def __init__(
        self, configs: list[TrainingConfig], states: list[StateDict], momenta: list[StateDict], *, device: torch.device
    ) -> None:
        self.config = configs[0]
        outputs, self.units_in = list(states[0].values())[-1].shape[0], next(iter(states[0].values())).shape[1]
        model = build_model(self.config, input_shape=(1, 1, self.units_in), num_classes=outputs)
        empty = {name: torch.zeros_like(tensor) for name, tensor in states[0].items()}
        self.weights = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        self.momenta = {name: torch.stack([held.get(name, empty[name]) for held in momenta]) for name in states[0]}
        self.decay = torch.tensor([config.weight_decay for config in configs])[:, None, None]
        self.logits: list[Tensor] = []

        def loss(state: StateDict, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            logits = functional_call(model, state, (images,))
            return nn.functional.cross_entropy(logits, labels), logits

        self.gradients = vmap(grad(loss, has_aux=True))

    def step(self, images: Tensor, labels: Tensor, rate: float, place: int) -> None:
        gradients, logits = self.gradients(self.weights, images, labels[:, 0])
        self.logits = [*self.logits[:place], logits.detach()]
        for name, weight in self.weights.items():
            momentum = self.momenta[name].mul_(self.config.momentum).add_(gradients[name])
            momentum.addcmul_(weight, self.decay)
            weight.add_(momentum, alpha=-rate)

    def losses(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.stack(self.logits[: len(labels)])
        losses = -logits.log_softmax(dim=3).gather(3, labels.mT).mean(dim=(2, 3))
        return losses.T, (logits.argmax(dim=3) == labels[:, :, 0]).sum(dim=(0, 2))

    def state(self, member: int) -> StateDict:
        return {name: stack[member].clone() for name, stack in self.weights.items()}

    def momentum(self, member: int) -> StateDict:
        return {name: stack[member].clone() for name, stack in self.momenta.items()}


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


def by_vmap(configs: list[TrainingConfig], splits: Splits) -> list[float]:
    with patch("lmcbook.training.together.StackedNetworks", ByVmap):
        return together(configs, splits)


def depends_on_company(configs: list[TrainingConfig], splits: Splits) -> bool:
    """Whether any bit of the first three networks changes when the others are left out."""
    with patch("lmcbook.training.together.StackedNetworks", ByVmap):
        among_all, among_three = (dict(train_together(some, splits, progress=False)) for some in (configs, configs[:3]))
    return any(
        not torch.equal(weight, among_all[config].state[name])
        for config in configs[:3]
        for name, weight in among_three[config].state.items()
    )


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


def compare(name: str, configs: list[TrainingConfig], splits: Splits, promised: float, *, vmapped: bool) -> int:
    sides = {"one by one": one_by_one, "together": together} | ({"by vmap": by_vmap} if vmapped else {})
    least, accuracy = dict.fromkeys(sides, math.inf), {}
    for side in sides.values():  # all warm: the first products of a process take longer
        side([replace(config, epochs=1) for config in configs[:2]], splits)
    for _ in range(TURNS):  # in turns, so that a busy machine slows all sides alike
        for label, side in sides.items():
            seconds, found = cpu_seconds(side, configs, splits)
            least[label], accuracy[label] = min(seconds, least[label]), sum(found) / len(found)
    print(name)
    for label in sides:
        print(f"{f'  {label}':<24}{least[label]:8.2f} CPU s, mean accuracy {accuracy[label]:.4f}")
    if vmapped:
        ratio = least["one by one"] / least["by vmap"]
        share = least["together"] / least["by vmap"]
        print(
            f"  by vmap: {ratio:.2f} times one by one, {share:.0%} of together, {ratio / promised:.0%} of the promise"
        )
    return verdict(least["one by one"] / least["together"], promised)


def main() -> int:
    parser = argparse.ArgumentParser(description="Networks trained together against networks trained one by one.")
    parser.add_argument("--vmap", action="store_true", help="also by torch.func.vmap of torch.func.grad")
    vmapped = parser.parse_args().vmap
    torch.set_num_threads(1)
    digits, shapes = load("digits"), mnist_splits(9_600)
    failed = 0
    print("16 MLPs of four layers, four seeds × four weight decays, one thread")
    cases = [
        (f"digits, 64-{hidden_width}×3-10, batch 32", sixteen(hidden_width, 32, 8), digits, promised)
        for hidden_width, promised in DIGITS.items()
    ]
    cases += [
        (f"MNIST shapes, 784-64×3-10, batch {batch_size}", sixteen(64, batch_size, 1), shapes, promised)
        for batch_size, promised in MNIST.items()
    ]
    for case in cases:
        failed |= compare(*case, vmapped=vmapped)
    if vmapped:
        depends = depends_on_company(sixteen(64, 32, 1), digits)
        print(f"by vmap a network's numbers {'depend' if depends else 'do not depend'} on the networks beside it")
    difference = largest_difference(sixteen(64, 32, 1), digits, steps=20)
    print(f"largest difference of a weight after one step from the same state, 20 steps: {difference:.1e}")
    return failed | (difference > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
