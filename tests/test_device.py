"""Devices: one function says which one is meant, and what is not there is refused in one line."""

import pytest
import torch

from lmcbook.errors import InputError
from lmcbook.training.device import check_device, resolve_device


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["tpu", "cpu:0", "cuda:", "cuda:x", ""])
def test_what_is_no_device_is_refused(device):
    for refuse in (check_device, resolve_device):
        with pytest.raises(InputError, match=f"device is {device!r}; it may be one of: auto, cpu, cuda, cuda:0"):
            refuse(device)


def test_a_gpu_that_is_not_there_may_be_named_but_not_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_device("cuda:1")
    with pytest.raises(InputError, match="device is 'cuda:1', but torch sees no GPU here"):
        resolve_device("cuda:1")
