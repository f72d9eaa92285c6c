"""How float32 products are computed on a GPU: TF32 where the precision allows it, said and not left to a default."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def uses_tf32(precision: str, device: str | torch.device) -> bool:
    """Whether float32 products on ``device`` are rounded to TF32's 10 bits of mantissa.

    Only where the configuration asks for bfloat16, which has 7: then what is left in float32 (measurements above all)
    runs on the matrix units too. Where it asks for float32 it gets float32, as on a CPU.
    """
    return precision == "bfloat16" and torch.device(device).type == "cuda"


@contextmanager
def arithmetic(precision: str, device: str | torch.device) -> Iterator[None]:
    """Products and convolutions as `uses_tf32` says; cuDNN may try which of its algorithms is fastest."""
    found = "tf32" if uses_tf32(precision, device) else "ieee"
    cudnn = torch.backends.cudnn
    matmul, conv = torch.backends.cuda.matmul, cudnn.conv  # type: ignore[attr-defined]
    before = matmul.fp32_precision, conv.fp32_precision, cudnn.benchmark
    try:
        matmul.fp32_precision = conv.fp32_precision = found
        cudnn.benchmark = True
        yield
    finally:
        matmul.fp32_precision, conv.fp32_precision, cudnn.benchmark = before
