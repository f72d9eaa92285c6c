"""Which device work is done on; torch is imported only to ask for a GPU."""

from lmcbook.errors import InputError


def check_device(device: str) -> None:
    """Raise `InputError` unless the name is that of a device, whether or not it is there.

    Raises:
        InputError: it is not.
    """
    kind, colon, number = str(device).partition(":")
    is_numbered = kind == "cuda" and colon and number.isdecimal()
    if device not in ("auto", "cpu", "cuda") and not is_numbered:
        raise InputError(f"device is {device!r}; it may be one of: auto, cpu, cuda, cuda:0, cuda:1, …")


def resolve_device(device: str) -> str:
    """``auto`` is the GPU where there is one, else the CPU; any other device is given back, if it is there.

    Raises:
        InputError: the device is unknown or not there.
    """
    check_device(device)
    if device == "cpu":
        return device
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not torch.cuda.is_available():
        raise InputError(
            f"device is {device!r}, but torch sees no GPU here: give device cpu, or auto to take what there is"
        )
    if ":" in device and int(device.partition(":")[2]) >= torch.cuda.device_count():
        raise InputError(f"device is {device!r}, but torch sees {torch.cuda.device_count()} GPU(s), counted from 0")
    return device
