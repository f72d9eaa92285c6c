"""How figures, tables and sentences write names and numbers: networks, widths, weight decays, means over pairs."""

from collections.abc import Sequence

from pandas import DataFrame, Series

_NETWORKS = {"mlp": "MLP", "vgg11": "VGG-11", "resnet20": "ResNet-20", "resnet50": "ResNet-50"}
_DATASETS = {
    "digits": "digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet": "ImageNet",
}
_FRACTIONS = {0.25: "¼", 0.5: "½", 0.75: "¾"}


def recipe_label(recipe: str) -> str:
    """``MLP on digits`` for ``mlp-digits``; other names unchanged."""
    network, _, dataset = recipe.partition("-")
    return f"{_NETWORKS.get(network, network)} on {_DATASETS.get(dataset, dataset)}" if dataset else recipe


def width_label(width_multiplier: float) -> str:
    """``×1/4``, ``×16``: as the paper writes a width multiplier."""
    if 0 < width_multiplier < 1 and (1 / width_multiplier).is_integer():
        return f"×1/{1 / width_multiplier:.0f}"
    return f"×{width_multiplier:g}"


def width_of(table: DataFrame) -> str:
    """``×4``: the width that all rows of ``table`` have."""
    return width_label(table["width_multiplier"].iloc[0])


def network_of(table: DataFrame) -> str:
    """``MLP on digits at ×4``: recipe and width, which all rows of ``table`` have in common."""
    return f"{recipe_label(table['recipe'].iloc[0])} at {width_of(table)}"


def coefficient_label(coefficient: float) -> str:
    """``¼``, ``0.1``: an interpolation coefficient."""
    return _FRACTIONS.get(coefficient, f"{coefficient:g}")


def decay_label(weight_decay: float) -> str:
    """``3e-3``: as code writes a weight decay."""
    if weight_decay == 0:
        return "0"
    mantissa, exponent = f"{weight_decay:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def mean_and_deviation(
    values: Sequence[float] | Series, factor: float = 1.0, digits: int = 2, *, count: bool = False
) -> str:
    """``12.3 ± 0.4``: mean and standard deviation (of the sample); with ``count`` also the number of values, ``(3)``.

    A single value has no deviation, and no values are ``–``.
    """
    numbers = factor * Series(values, dtype=float).dropna()
    if numbers.empty:
        return "–"
    # no line may break inside a number and its deviation
    deviation = f"\u00a0±\u00a0{numbers.std(ddof=1):.{digits}f}" if len(numbers) > 1 else ""
    return signed(numbers.mean(), digits) + deviation + (f" ({len(numbers)})" if count else "")


def signed(value: float, digits: int) -> str:
    """``−0.52``: with a minus sign instead of a hyphen, and without a sign where it rounds to zero."""
    text = f"{value:.{digits}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def at_width(table: DataFrame, column: str, factor: float, digits: int) -> str:
    """``3.5 ± 1.5 at ×32``: mean and standard deviation of a column of rows of one width."""
    return f"{mean_and_deviation(table[column], factor, digits)} at {width_of(table)}"


def enumerated(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def pair_count(*counts: int) -> str:
    """``3 pairs``, or ``1 to 3 pairs`` where ``counts`` differ."""
    least, most = min(counts, default=0), max(counts, default=0)
    return f"{least if least == most else f'{least} to {most}'} {'pair' if most == 1 else 'pairs'}"


def number_of_pairs(table: DataFrame) -> str:
    """``3 pairs of networks``: how many there are at each width, weight decay and alignment."""
    return f"{pair_count(*table.groupby(['width_multiplier', 'weight_decay', 'alignment']).size())} of networks"


def ends_in_words(table: DataFrame, column: str, factor: float = 1.0) -> str:
    """``0.5 at ×1 and 0.1 at ×32``: means over pairs of the narrowest and the widest."""
    means = factor * table.dropna(subset=[column]).groupby("width_multiplier")[column].mean()
    if means.empty:
        return "not measured"
    ends = dict.fromkeys([means.index.min(), means.index.max()])
    return " and ".join(f"{means[width]:.3g} at {width_label(width)}" for width in ends)
