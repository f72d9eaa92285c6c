"""Small networks that nobody here designed: each has something that a tool for merging may stumble over."""

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from lmcbook.randomness import random_stream
from lmcbook.states import StateDict

IMAGE = (3, 8, 8)
CLASSES = 4


class HuggingFaceStyle(nn.Module):
    """Returns an object with logits beside other tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.ReLU())
        self.classifier = nn.Linear(12, CLASSES)

    def forward(self, pixel_values: Tensor) -> Any:
        hidden = self.encoder(pixel_values)
        return SimpleNamespace(logits=self.classifier(hidden), hidden_states=(hidden,))


class TiedEncoder(nn.Module):
    """Words in, and the same table reads them out, beside an encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.read = nn.Linear(8, 10, bias=False)
        self.read.weight = self.embed.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.read(self.encoder(self.embed(words)).mean(1))


class Conv1D(nn.Module):
    """A linear layer as transformers' GPT-2 has it: its weight is (inputs, outputs)."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf) / nx**0.5), nn.Parameter(torch.randn(nf) / 9)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.reshape(-1, self.nx), self.weight).view(*x.shape[:-1], self.nf)


class GPT2Style(nn.Module):
    """Words in, a block of `Conv1D` with a skip, and the logits of the last word's successor by the tied table."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(10, 8)
        self.c_fc, self.c_proj, self.ln = Conv1D(16, 8), Conv1D(8, 16), nn.LayerNorm(8)
        self.lm_head = nn.Linear(8, 10, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, input_ids: Tensor, past: Any = None, use_cache: bool = True, **more: Any) -> Any:
        hidden = self.wte(input_ids)
        hidden = hidden + self.c_proj(nn.functional.gelu(self.c_fc(hidden)))
        return SimpleNamespace(logits=self.lm_head(self.ln(hidden)[:, -1]), past=past, hidden_states=(hidden,))


class Odd(nn.Module):
    """A list of submodules, a layer that is called twice, parameters and buffers that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(192, 10), nn.Linear(10, 10)])
        self.last, self.unused = nn.Linear(10, CLASSES), nn.Linear(3, 3)
        self.alone = nn.Parameter(torch.randn(5))
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.blocks[0](images.flatten(1)).relu()
        return self.last(self.blocks[1](self.blocks[1](hidden).relu()).relu()) * self.scale


def _perceptron(around: Callable[[nn.Module], nn.Module]) -> nn.Module:
    first, second = around(nn.Linear(192, 12)), around(nn.Linear(12, 8))
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), nn.Linear(8, CLASSES))


def _convolutional(*middle: nn.Module, channels: int) -> nn.Module:
    pooled = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    return nn.Sequential(nn.Conv2d(3, 8, 3), *middle, *pooled)


STRANGERS: dict[str, Callable[[], nn.Module]] = {
    "hugging face style": HuggingFaceStyle,
    "tied encoder": TiedEncoder,
    "gpt-2 style": GPT2Style,
    "odd": Odd,
    "weight norm": lambda: _perceptron(weight_norm),
    "spectral norm": lambda: _perceptron(spectral_norm),
    "group norm": lambda: _convolutional(nn.GroupNorm(2, 8), channels=8),
    "instance norm": lambda: _convolutional(nn.InstanceNorm2d(8, affine=True), channels=8),
    "layer norm": lambda: _convolutional(nn.LayerNorm([8, 6, 6]), channels=8),
    "batch norm": lambda: _convolutional(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), channels=6),
    "depthwise": lambda: _convolutional(nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), channels=8),
    "transposed": lambda: _convolutional(nn.ReLU(), nn.ConvTranspose2d(8, 6, 3), channels=6),
    "pixel shuffle": lambda: _convolutional(nn.ReLU(), nn.PixelShuffle(2), channels=2),
    "channel shuffle": lambda: _convolutional(nn.ReLU(), nn.ChannelShuffle(2), channels=8),
}


def two_of(build: Callable[[], nn.Module]) -> tuple[nn.Module, StateDict, StateDict]:
    """A module and two states of it from different seeds, with statistics that some images left."""
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = build()
        with torch.no_grad():
            model.train()(inputs_of(model, 16, seed))
        states.append({name: tensor.clone() for name, tensor in copy.deepcopy(model.state_dict()).items()})
    return model.eval(), states[0], states[1]


def inputs_of(model: nn.Module, examples: int, seed: int = 0) -> Tensor:
    """Random inputs of a network: images, or words for one that embeds them."""
    generator = random_stream(seed, "strangers")
    if any(isinstance(module, nn.Embedding) for module in model.modules()):
        return torch.randint(10, (examples, 5), generator=generator)
    return torch.randn(examples, *IMAGE, generator=generator)
