"""One training epoch of MNIST's MLP: this package against a DataLoader with transforms per sample.

    python benchmarks/training_epoch.py       # about a minute

784-h-h-h-10 without bias, SGD with momentum and weight decay, batch 500, on the 54,000 training images that the
calibration split leaves (noise of their shape if MNIST is not at hand). The naive side is the loop of most training
scripts: images through PIL, `ToTensor` and `Normalize` one by one, loss and accuracy read after every step. Ours counts
the conversion of all images as well, which a training of many epochs pays once. Both start from the same weights. CPU
seconds of one process with one thread. Exits with 1 if a ratio is below 5 at 128 hidden units, or 1.4 at 512.
"""

import sys

import torch
from _per_sample import MEAN, STD, Images, PerSample, cpu_seconds, mnist_or_noise, plain_mlp, verdict
from torch import nn
from torch.utils.data import DataLoader

from lmcbook.data import Split, Splits
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from lmcbook.training import train
from lmcbook.training.config import TrainingConfig

PROMISED = {128: 5.0, 512: 1.4}


def config_of(hidden_width: int) -> TrainingConfig:
    return TrainingConfig(
        dataset="mnist",
        architecture="mlp",
        hidden_width=hidden_width,
        num_layers=4,
        epochs=1,
        batch_size=500,
        learning_rate=0.1,
        warmup_epochs=0.5,
    )


def ours(images: Images, config: TrainingConfig) -> tuple[float, float]:
    split = Split(images=images.normalised(), labels=torch.from_numpy(images.labels))
    splits = Splits(
        name="mnist",
        train=split,
        calibration=split,
        test=split,
        num_classes=10,
        class_names=tuple("0123456789"),
        mean=(MEAN,),
        std=(STD,),
        sha256="",
    )
    history = train(config, splits, progress=False).history
    return history["loss"][-1], history["accuracy"][-1]


def naive(images: Images, config: TrainingConfig) -> tuple[float, float]:
    initial = build_model(config, input_shape=(1, 28, 28), num_classes=10, generator=random_stream(config.seed, "init"))
    model = plain_mlp(config.hidden_width or 0, initial.state_dict())
    loader = DataLoader(PerSample(images), batch_size=config.batch_size, shuffle=True, drop_last=True)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )
    half = len(loader) / 2
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: (step + 1) / half if step < half else max(0.0, 2 - step / half)
    )
    model.train()
    total, right, seen = 0.0, 0, 0
    for batch, labels in loader:
        optimiser.zero_grad()
        logits = model(batch)
        value = nn.functional.cross_entropy(logits, labels)
        value.backward()
        optimiser.step()
        schedule.step()
        total += value.item() * len(labels)
        right += (logits.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
    return total / seen, right / seen


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = mnist_or_noise("train", 54_000)
    few = Images(images.name, images.pixels[:1000], images.labels[:1000])
    failed = 0
    print(f"one epoch, MLP 784-h-h-h-10, {len(images.labels):,} × {images.name}, one thread")
    for hidden_width, promised in PROMISED.items():
        config = config_of(hidden_width)
        ours(few, config)  # both sides warm: the first products of a process take longer
        naive(few, config)
        fast, (our_loss, our_accuracy) = cpu_seconds(ours, images, config)
        slow, (loss, accuracy) = cpu_seconds(naive, images, config)
        print(f"h = {hidden_width}")
        print(f"{'  DataLoader, transforms per sample':<40}{slow:8.2f} CPU s, loss {loss:.3f}, accuracy {accuracy:.3f}")
        print(f"{'  lmcbook':<40}{fast:8.2f} CPU s, loss {our_loss:.3f}, accuracy {our_accuracy:.3f}")
        failed |= verdict(slow / fast, promised)
    return failed


if __name__ == "__main__":
    sys.exit(main())
