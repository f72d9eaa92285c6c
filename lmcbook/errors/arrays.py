"""numpy's arrays as tensors, whichever way they lie in memory."""

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
