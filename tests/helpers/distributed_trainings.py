"""What test_distributed.py starts with torchrun: a few short trainings in two processes, their results as files."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from lmcbook.data import load
from lmcbook.training import TimeIsUp, train
from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution
from lmcbook.training.processes import conduct

MLP = TrainingConfig(
    dataset="digits", architecture="mlp", hidden_width=16, num_layers=3, epochs=2, batch_size=33, learning_rate=0.1
)
# so low a learning rate that rounding is not blown up: at 0.1 even two trainings that start 1e-7 apart part
RESNET = replace(
    MLP, architecture="resnet20", hidden_width=None, num_layers=None, width_multiplier=0.25, augment=True, epochs=1,
    batch_size=99, learning_rate=0.005, train_fraction=0.4,
)  # fmt: skip

TRAININGS: dict[str, tuple[TrainingConfig, Execution]] = {
    "mlp": (MLP, Execution()),
    "mlp-penalty-parts": (replace(MLP, spread_penalty=0.01), Execution(micro_batch=5)),
    "mlp-parameters": (MLP, Execution(shard="parameters")),
    "resnet": (RESNET, Execution()),
    "resnet-recompute": (RESNET, Execution(recompute=True)),
    "resnet-parameters": (RESNET, Execution(shard="parameters")),
    "resnet-parameters-recompute": (RESNET, Execution(shard="parameters", recompute=True)),
}


def interrupted(config: TrainingConfig, execution: Execution, checkpoint: Path):
    """The training, stopped in its first epoch and gone on with from its checkpoint."""
    try:
        train(config, load("digits"), checkpoint=checkpoint, deadline=time.monotonic(), execution=execution)
    except TimeIsUp:
        assert checkpoint.is_file()
        return train(config, load("digits"), checkpoint=checkpoint, progress=False, execution=execution)
    raise AssertionError("the training did not stop at its deadline")


def work() -> None:
    folder = Path(sys.argv[1])
    found = {}
    for name, (config, execution) in TRAININGS.items():
        found[name] = train(config, load("digits"), progress=False, execution=execution)
    for shard in ("data", "parameters"):
        checkpoint = folder / f"{shard}.checkpoint.safetensors"
        found[f"interrupted-{shard}"] = interrupted(MLP, Execution(shard=shard), checkpoint)
    for name, trained in found.items():
        save_file(trained.state, folder / f"{name}.safetensors")
        content = {"history": trained.history, "execution": trained.execution}
        (folder / f"{name}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    torch.set_num_threads(1)
    conduct(work, device="cpu")
