"""Small networks of foreign make, with what a trace must find in them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Branches(nn.Module):
    """Two convolutions side by side, concatenated, normalised together."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(10)
        self.head = nn.Linear(10 * 4 * 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = self.norm(torch.cat([self.left(x), self.right(x)], dim=1))
        return self.head(both.relu().flatten(1))


class Attention(nn.Module):
    """Explicit query, key and value, in the style chosen by ``form``."""

    def __init__(self, form: str, width: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.form, self.heads = form, heads
        if form == "stacked":
            self.qkv = nn.Linear(width, 3 * width)
        else:
            self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        examples, tokens, width = x.shape
        each = width // self.heads
        if self.form == "stacked":
            q, k, v = self.qkv(x).reshape(examples, tokens, 3, self.heads, each).permute(2, 0, 3, 1, 4).unbind(0)
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        elif self.form == "einsum":
            q, k, v = (f(x).view(examples, tokens, self.heads, each) for f in (self.query, self.key, self.value))
            scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / each**0.5
            mixed = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v)
        else:
            q, k, v = (
                f(x).view(examples, tokens, self.heads, each).transpose(1, 2)
                for f in (self.query, self.key, self.value)
            )
            mixed = ((q @ k.transpose(-2, -1)) / each**0.5).softmax(dim=-1).matmul(v).transpose(1, 2)
        return self.out(mixed.reshape(examples, tokens, width))


class SelfAttention(nn.Module):
    """torch's own attention; batch first or not."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.attention = nn.MultiheadAttention(12, 3, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        mixed, _ = self.attention(x, x, x)
        return mixed if self.batch_first else mixed.transpose(0, 1)


class Transformer(nn.Module):
    """A small vision transformer: class token, positions, pre-norm blocks."""

    def __init__(self, attention: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 12)
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.positions = nn.Parameter(torch.randn(1, 6, 12))
        self.block = nn.Sequential(
            Residual(nn.LayerNorm(12), attention),
            Residual(nn.LayerNorm(12), nn.Linear(12, 20), activation, nn.Linear(20, 12)),
        )
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.embed(x)], dim=1) + self.positions
        return self.head(self.block(x)[:, 0])


class GatedUnits(nn.Module):
    """SwiGLU: a gate and a value, computed together and cut apart."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self.inside = nn.Linear(5, 16) if not apart else nn.ModuleList([nn.Linear(5, 8), nn.Linear(5, 8)])
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.inside, nn.ModuleList):
            gate, value = (layer(x) for layer in self.inside)
        else:
            gate, value = self.inside(x).chunk(2, -1)
        return self.out(F.silu(gate) * value)


class Shuffled(nn.Module):
    """Channel shuffle: two interleaved halves, of which only whole ones could change places."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        shuffled = x.view(len(x), 2, 4, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
        return self.second(shuffled).mean((2, 3))


class TiedWords(nn.Module):
    """One matrix embeds the words and reads them out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.hidden = Residual(nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 6))
        self.read = nn.Linear(6, 7, bias=False)
        self.read.weight = self.embed.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.read(self.hidden(self.embed(words)))


class Recurrent(nn.Module):
    """A recurrent layer whose input and output are sorted, so that none of it may move."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 6)
        self.recurrent = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 2))

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.recurrent(self.embed(x).sort(-1).values)
        return self.head(outputs[:, -1].sort(-1).values)


class Fixed(nn.Module):
    """A hidden layer whose units are told apart by constants, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x).cumsum(1).relu()).relu())


class TwoInputs(nn.Module):
    """Several inputs, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 6), nn.Linear(4, 6)
        self.heads = nn.ModuleList([nn.Linear(6, 2), nn.Linear(6, 3)])

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        hidden = torch.maximum(self.left(x), self.right(y))
        return tuple(head(hidden) for head in self.heads)


def depthwise() -> nn.Module:
    """An inverted bottleneck: 1×1, depth-wise 3×3, 1×1."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 1),
        Residual(
            nn.Conv2d(6, 10, 1), nn.BatchNorm2d(10), nn.SiLU(), nn.Conv2d(10, 10, 3, padding=1, groups=10),
            nn.BatchNorm2d(10), nn.SiLU(), nn.Conv2d(10, 6, 1),
        ),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 2),
    )  # fmt: skip


def grouped() -> nn.Module:
    """As in ResNeXt: channels move within the convolution's groups, those that it reads in all groups alike."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 16, 2)
    )


def group_normalised(groups: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(groups, 8), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 4, 3)
    )


def deconvolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.Tanh(), nn.ConvTranspose2d(5, 7, 2, stride=2), nn.InstanceNorm2d(7, affine=True),
        nn.PReLU(7), nn.Upsample(scale_factor=2), nn.Conv2d(7, 1, 1),
    )  # fmt: skip


class Between(nn.Module):
    """A linear layer of 8 units, some operation on [examples, 5, units], and whatever reads the result."""

    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.before, self.operation = nn.Linear(6, 8), operation
        shape = operation(torch.ones(3, 5, 8)).shape
        self.after = nn.Linear(shape[-1], 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.operation(self.before(x)))
