"""Random streams: labelled, independent, the same in every process."""

import subprocess
import sys

import pytest
import torch

from lmcbook.randomness import random_stream


@pytest.mark.slow
def test_the_same_label_gives_the_same_numbers_in_another_process():
    code = (
        "import torch; from lmcbook.randomness import random_stream as stream; "
        "print(torch.rand(3, generator=stream(3, 'init')).tolist())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == str(torch.rand(3, generator=random_stream(3, "init")).tolist())


def test_another_seed_or_purpose_gives_other_numbers():
    purposes = [("init",), ("shuffle",), ("shuffle", 1), ("shuffle", 11), (), ("shuffle", 2)]
    labels = [(seed, purpose) for seed in (0, 1) for purpose in purposes]
    draws = {tuple(torch.rand(4, generator=random_stream(seed, *purpose)).tolist()) for seed, purpose in labels}
    assert len(draws) == len(labels)
