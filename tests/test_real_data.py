"""The paper's own data, where they are on this machine: networks train, merge, recompute batch norm and calibrate."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from lmcbook.data import is_available, paths
from lmcbook.lab import plan
from lmcbook.lab.config import PairConfig
from lmcbook.lab.missing import Bench
from lmcbook.lab.records import barriers_table, read_records
from lmcbook.pages import notebooks


def needs(name: str) -> pytest.MarkDecorator:
    reason = f"{name} is not on this machine: python -m lmcbook data get {name}"
    return pytest.mark.skipif(not is_available(name), reason=reason)


@needs("cifar10")
@pytest.mark.slow
@pytest.mark.parametrize(("network", "width_multiplier"), [("resnet20", 0.25), ("vgg11", 0.0625)])
def test_a_convolutional_network_on_cifar10_goes_all_the_way(network, width_multiplier, tmp_path, monkeypatch):
    """On the first 600 of its images, so that a few steps take seconds."""
    with safe_open(paths.data() / "cifar10.safetensors", framework="pt") as file:
        sample = {name: file.get_slice(name)[:600].clone() for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        save_file(sample, tmp_path / "cifar10_sample.safetensors", metadata={"classes": file.metadata()["classes"]})
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    training = replace(
        plan.recipe(f"{network}-cifar10_sample").training,
        width_multiplier=width_multiplier,
        batch_size=100,
        epochs=1,
        warmup_epochs=0,
    )
    assert training.augment
    pair = PairConfig(training=training, seeds=(0, 1), num_coefficients=3, batch_norm_examples=500)
    record = Bench(progress=False).measure(plan.PlannedPair(scale="paper", recipe=f"{network}-cifar10", pair=pair))
    curve = record.data["curve"]
    assert all(0 < beta < float("inf") for beta in curve["inverse_temperature"])
    assert all(0.05 < accuracy <= 1 for accuracy in curve["accuracy"])
    # five steps leave running statistics that lag behind; recomputed ones are those of the network itself
    assert curve["loss"][0] != pytest.approx(curve["trained_statistics"]["loss"][1], abs=1e-6)
    assert curve["calibrated_loss"][1] < curve["loss"][1] + 0.05


@needs("mnist")
@pytest.mark.slow
def test_the_notebook_shows_the_barrier_fall_on_mnist(tmp_path, monkeypatch):
    """Two widths for an epoch, through the notebook itself, as its page says."""
    monkeypatch.chdir(Path(__file__).parents[1])
    parameters = {
        "scale": "paper", "recipe": "mlp-mnist", "width_multipliers": [0.0625, 0.25], "weight_decay": [0.003],
        "seeds": [0, 1], "epochs": 1, "device": "cpu", "records": str(tmp_path / "records"),
    }  # fmt: skip
    notebooks.execute(Path("notebooks/01_width.ipynb"), tmp_path / "out.ipynb", parameters)
    table = barriers_table(read_records(tmp_path / "records"))
    unpermuted = table[table["alignment"] == "identity"].set_index("width_multiplier")["midpoint_accuracy_barrier"]
    assert unpermuted[0.25] < 0.6 * unpermuted[0.0625]
    assert unpermuted[0.0625] > 0.2
