"""Errors of the machine: too little memory, or a device that failed. Nothing that somebody gave is wrong then."""

from lmcbook.errors import InputError, described, one_line

_MEMORY = ("allocate memory", "not enough memory", "out of memory", "std::bad_alloc", "status_alloc_failed")
_DEVICE = (
    *("cuda error", "cuda driver error", "hip error", "nccl error"),
    *("cudnn_status_execution_failed", "cudnn_status_internal_error", "cudnn_status_not_initialized"),
)


def lacks_memory(error: BaseException) -> bool:
    """Whether memory was too little, on the CPU or on a device."""
    return isinstance(error, MemoryError) or "OutOfMemoryError" in _kinds(error) or _says(error, _MEMORY)


def device_failed(error: BaseException) -> bool:
    """Whether a GPU, its driver or its libraries failed."""
    return "AcceleratorError" in _kinds(error) or _says(error, _DEVICE)


def of_the_machine(error: BaseException) -> bool:
    """Whether memory was too little or a device failed: whoever turns errors into bad input lets these through."""
    return lacks_memory(error) or device_failed(error)


def no_such_device(device: object, error: BaseException) -> InputError:
    """What to raise for a device that torch refused."""
    reason = one_line(error, first_line=True)
    return InputError(f"device is {described(device)}, which cannot be used here ({reason}); 'cpu' always can")


def _kinds(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]  # torch's are known by name, because it may not be loaded


def _says(error: BaseException, what: tuple[str, ...]) -> bool:
    # torch has no kinds for most of them; an error of this package only tells what was said elsewhere
    if not isinstance(error, RuntimeError) or type(error).__module__.startswith("lmcbook."):
        return False
    return any(part in str(error).lower() for part in what)
