"""numpy's arrays as tensors, whichever way they lie in memory, and tensors that nothing can be computed from."""

import numpy as np
import torch
from torch import Tensor


def tensor_of(array: np.ndarray) -> Tensor:
    """The tensor of an array's values and shape; it shares the array's memory where torch can.

    What torch cannot share is copied: arrays that may not be written, are read backwards, or have another byte order.

    Raises:
        TypeError: the array holds no numbers, or numbers of a type that torch has not.
    """
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    shared = native.flags.writeable and all(stride >= 0 for stride in native.strides)
    return torch.as_tensor(native if shared else native.copy())


def is_plain(tensor: Tensor) -> bool:
    """Whether the tensor's values lie one beside another, as all that is computed here takes them."""
    return not (tensor.is_meta or tensor.is_nested or tensor.is_quantized) and tensor.layout is torch.strided


def is_in_memory(tensor: Tensor) -> bool:
    """Whether the values are here to be computed with; a tensor whose values lie elsewhere says ``in_memory = False``.

    Streamed images do (`lmcbook.data.StreamedImages`), which are decoded when they are used.
    """
    return getattr(tensor, "in_memory", True)


def plain_form(tensor: Tensor) -> str:
    """What a tensor must be that is not plain, and how it becomes so."""
    if tensor.is_meta:
        return "one with values, which the device meta has not: load it on a device that has them"
    way_out = {"nested": "to_padded_tensor(0)", "quantized": "dequantize()"}
    kind = "nested" if tensor.is_nested else "quantized" if tensor.is_quantized else "sparse"
    return f"an ordinary tensor, and this tensor is {kind}: give its {way_out.get(kind, 'to_dense()')}"
