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
    # torch's newer switches (fp32_precision) make its own compiler, which reads the older switches, stop with an error
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    try:
        allowed = uses_tf32(precision, device)
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        cudnn.allow_tf32, cudnn.benchmark = allowed, True
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.benchmark = before[1:]
