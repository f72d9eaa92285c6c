"""The datasets that the package knows: sizes, licence, source and the digest that they must have. No torch here."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What can be said about a dataset without reading its images."""

    name: str
    """As `lmcbook.data.load` takes it."""
    input_shape: tuple[int, int, int]
    """Channels, height, width."""
    class_names: tuple[str, ...]
    """By label; empty where only the file knows them."""
    num_classes: int
    num_train: int
    """Examples that networks are trained on."""
    num_calibration: int
    """Training examples kept apart: nothing is trained on them, the inverse temperature is fitted on them."""
    num_test: int
    licence: str
    source: str
    """Who made it, and where it comes from, in one sentence."""
    sha256: str | None = None
    """Canonical digest (see `lmcbook.data.canonical`); ``None`` where none is pinned."""
    pixel_maximum: int = 255
    """The stored value of a white pixel."""
    streamed: bool = False
    """Whether its images stay in their files, in class folders (see `lmcbook.data.folders`)."""

    @property
    def num_examples(self) -> int:
        return self.num_train + self.num_calibration + self.num_test


_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

DATASETS = MappingProxyType(
    {
        dataset.name: dataset
        for dataset in (
            Dataset(
                name="digits",
                input_shape=(1, 8, 8),
                class_names=_DIGITS,
                num_classes=10,
                num_train=997,
                num_calibration=300,
                num_test=500,
                licence="CC BY 4.0",
                source="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), its test part, "
                "inside scikit-learn.",
                sha256="c922c3886bccd5fd7df245c0213c76eeb8303f7d2dd44c0e6cfd1b6142dfd5b2",
                pixel_maximum=16,
            ),
            Dataset(
                name="mnist",
                input_shape=(1, 28, 28),
                class_names=_DIGITS,
                num_classes=10,
                num_train=54_000,
                num_calibration=6_000,
                num_test=10_000,
                licence="CC BY-SA 3.0",
                source="LeCun, Cortes and Burges, The MNIST database of handwritten digits (1998).",
                sha256="3526e20c850683abc72b5de7fb5c8cc6c37de85b4ae2fe34a8ad64036a06aef3",
            ),
            Dataset(
                name="fashion_mnist",
                input_shape=(1, 28, 28),
                class_names=_CLOTHES,
                num_classes=10,
                num_train=54_000,
                num_calibration=6_000,
                num_test=10_000,
                licence="MIT",
                source="Xiao, Rasul and Vollgraf, Fashion-MNIST (2017).",
                sha256="b1cf3a959508f764a9c56b1d0eae7d31ae090486ac8857351921513b37f16c69",
            ),
            Dataset(
                name="cifar10",
                input_shape=(3, 32, 32),
                class_names=_THINGS,
                num_classes=10,
                num_train=45_000,
                num_calibration=5_000,
                num_test=10_000,
                licence="free for research; cite the technical report",
                source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).",
                sha256="0f8105d6294cccfec5bdfa76c136effa804ca7edd6e19803153f8552e7ede502",
            ),
            # Not pinned: no copy was available when the others were. The digest of the first download is written into
            # its file, checked at every load, and stands in every record.
            Dataset(
                name="cifar100",
                input_shape=(3, 32, 32),
                class_names=(),
                num_classes=100,
                num_train=45_000,
                num_calibration=5_000,
                num_test=10_000,
                licence="free for research; cite the technical report",
                source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).",
            ),
            Dataset(
                name="imagenet",
                input_shape=(3, 224, 224),
                class_names=(),
                num_classes=1000,
                num_train=1_153_051,
                num_calibration=128_116,
                num_test=50_000,
                licence="free for research, from image-net.org only",
                source="Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge (2015).",
                streamed=True,
            ),
        )
    }
)
"""Known names → what is known of them."""
