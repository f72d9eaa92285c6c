"""The numbers of a GPU against those of a CPU, bfloat16 against float32, and the benchmark that measures a card.

Without a GPU its tests are skipped, and the summary of the run says so.
"""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lmcbook.data import Splits, is_available, load
from lmcbook.evaluation import accuracy, interpolation_curve, predict_logits
from lmcbook.lab.budget import costs_of
from lmcbook.lab.plan import recipe, with_epochs
from lmcbook.models import build_model
from lmcbook.training import TimeIsUp, train
from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution
from tests.helpers.loaded import module_of

ROOT = Path(__file__).resolve().parents[1]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: its numbers were not compared here")

MLP = TrainingConfig(
    dataset="digits", architecture="mlp", hidden_width=64, num_layers=3, epochs=2, batch_size=100, learning_rate=0.05,
    warmup_epochs=1,
)  # fmt: skip
# so low a learning rate that rounding is not blown up (see distributed_trainings.py)
RESNET = replace(
    MLP,
    architecture="resnet20",
    hidden_width=None,
    num_layers=None,
    width_multiplier=0.5,
    epochs=1,
    learning_rate=0.005,
)
VGG = replace(RESNET, architecture="vgg11", width_multiplier=0.125)


def check_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], rtol: float, atol: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=rtol, atol=atol, msg=name)


def endpoints(config: TrainingConfig, splits: Splits, device: str) -> float:
    trained = train(config, splits, device=device, progress=False)
    model = build_model(config, input_shape=splits.input_shape, num_classes=splits.num_classes)
    return accuracy(predict_logits(model, trained.state, splits.test.images), splits.test.labels)


# --- a GPU against a CPU ----------------------------------------------------------------------------------------------


@needs_gpu
@pytest.mark.parametrize("config", [MLP, RESNET, VGG], ids=lambda config: config.architecture)
def test_a_gpu_trains_the_same_network_in_float32(config, digits):
    on_cpu, on_gpu = (train(config, digits, device=device, progress=False) for device in ("cpu", "cuda"))
    check_close(on_gpu.state, on_cpu.state, rtol=5e-3, atol=5e-4)
    assert on_gpu.history["loss"] == pytest.approx(on_cpu.history["loss"], rel=1e-3)
    assert on_gpu.execution == {"channels_last": True, "tf32": False}


@needs_gpu
@pytest.mark.parametrize("config", [MLP, RESNET], ids=lambda config: config.architecture)
@pytest.mark.parametrize(
    "execution",
    [
        Execution(graphs=True),
        Execution(recompute=True),
        pytest.param(Execution(half_weights=True), marks=pytest.mark.slow),
        pytest.param(Execution(half_weights=True, graphs=True), marks=pytest.mark.slow),
        pytest.param(Execution(compiled=True), marks=pytest.mark.slow),
        pytest.param(Execution(compiled=True, graphs=True), marks=pytest.mark.slow),
    ],
    ids=lambda execution: "+".join(execution.told()),
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recorded_compiled_and_recomputed_steps_train_the_same(config, execution, precision, digits):
    config = replace(config, precision=precision)
    plain, other = (train(config, digits, device="cuda", progress=False, execution=each) for each in (None, execution))
    rtol, atol = (5e-3, 5e-4) if precision == "float32" else (0.1, 0.02)
    check_close(other.state, plain.state, rtol=rtol, atol=atol)
    told = replace(execution, half_weights=execution.half_weights and precision == "bfloat16").told()
    assert told.items() <= other.execution.items()


@needs_gpu
def test_a_training_on_a_gpu_goes_on_from_its_checkpoint(digits, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    whole = train(RESNET, digits, device="cuda", progress=False)
    with pytest.raises(TimeIsUp):
        train(RESNET, digits, device="cuda", progress=False, checkpoint=checkpoint, deadline=0.0)
    resumed = train(RESNET, digits, device="cuda", progress=False, checkpoint=checkpoint)
    check_close(resumed.state, whole.state, rtol=5e-3, atol=5e-4)


@needs_gpu
@pytest.mark.parametrize("config", [MLP, RESNET], ids=lambda config: config.architecture)
def test_a_gpu_measures_the_same_curve(config, digits):
    states = [train(replace(config, seed=seed), digits, progress=False).state for seed in (0, 1)]
    curves = []
    for device in ("cpu", "cuda"):
        splits = digits.to(device)
        moved = [{name: tensor.to(device) for name, tensor in state.items()} for state in states]
        model = build_model(config, input_shape=digits.input_shape, num_classes=10, device="meta")
        curve = interpolation_curve(
            model,
            *moved,
            coefficients=(0.0, 0.25, 0.5, 1.0),
            calibration=splits.calibration,
            test=splits.test,
            batch_norm_images=splits.train.images[:500],
        )
        curves.append(curve)
    assert curves[1].loss == pytest.approx(curves[0].loss, rel=1e-3)
    assert curves[1].calibrated_loss == pytest.approx(curves[0].calibrated_loss, rel=1e-3)
    assert curves[1].inverse_temperature == pytest.approx(curves[0].inverse_temperature, rel=1e-2)
    assert curves[1].accuracy == pytest.approx(curves[0].accuracy, abs=0.004)


@needs_gpu
def test_a_step_waits_for_nothing():
    from lmcbook.training.batches import training_batches
    from lmcbook.training.loop import prepare_step
    from lmcbook.training.team import SingleProcess

    splits, device = load("digits"), torch.device("cuda")
    config = replace(RESNET, augment=True, epochs=100)
    model = build_model(config, input_shape=splits.input_shape, num_classes=10)
    step = prepare_step(config, model, SingleProcess(config), Execution(), device)
    batches = training_batches(config, splits, device=device)
    for _ in range(2):
        images, labels, _ = next(batches)
        step(images, labels, 0.01)
    torch.cuda.set_sync_debug_mode("error")
    try:
        images, labels, _ = next(batches)
        step(images, labels, 0.01)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# --- bfloat16 against float32 -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not is_available("mnist"), reason="needs MNIST: bfloat16 was not compared with float32")
@pytest.mark.parametrize(
    ("device", "seed"),  # a processor without units for bfloat16 takes twenty seconds for a seed
    [("cpu", 0), pytest.param("cuda", 0, marks=needs_gpu), pytest.param("cuda", 1, marks=needs_gpu)],
)
def test_bfloat16_ends_where_float32_does(device, seed):
    splits = load("mnist")
    assert len(splits.test) >= 5_000
    config = with_epochs(replace(recipe("mlp-mnist").training, width_multiplier=0.125, seed=seed), 4)
    exact, rounded = (
        endpoints(replace(config, precision=precision), splits, device) for precision in ("float32", "bfloat16")
    )
    assert exact > 0.95
    assert abs(exact - rounded) <= 0.003


# --- the benchmark ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return module_of(ROOT / "benchmarks" / "gpu.py")


def test_the_benchmark_says_when_there_is_nothing_to_measure(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert benchmark.main([]) == 0
    assert capsys.readouterr().out.startswith("no GPU here, so nothing is measured")


@pytest.mark.slow
def test_the_benchmark_runs_on_a_cpu_and_its_rates_are_those_of_the_plan(benchmark, tmp_path, capsys):
    out = tmp_path / "gpu.json"
    assert benchmark.main(["--device", "cpu", "--quick", "--write", str(out), "--variant", "eager", "recompute"]) == 0
    text = capsys.readouterr().out
    for wanted in (
        "TFLOP/s in a bfloat16 product",
        "TB/s in a copy",
        "images/s",
        "measured/s",
        "roofline",
        "mlp-mnist",
    ):
        assert wanted in text
    [card] = json.loads(out.read_text())["cards"]
    assert {(row["architecture"], row["variant"]) for row in card["rows"]} == {
        (name, variant) for name in ("mlp", "resnet20", "vgg11") for variant in ("eager", "recompute")
    }
    row = card["rows"][0]
    training = replace(recipe("mlp-mnist").training, width_multiplier=0.25, batch_size=8)
    model = build_model(training, input_shape=(1, 28, 28), num_classes=10, device="meta")
    units = 128
    forward = 2 * (784 * units + 2 * units**2 + 10 * units)
    # no gradient of the images: two products of the first layer, three of every other
    assert row["counted_operations"] == 8 * (3 * forward - 2 * 784 * units)
    assert row["step_operations"] == 8 * 3 * forward
    assert row["weights"] == sum(parameter.numel() for parameter in model.parameters())
    costs = costs_of("cuda", folder=tmp_path)
    assert costs.step_seconds(training) == pytest.approx(row["step_seconds"])
    assert costs.forward_seconds(training, 10) == pytest.approx(10 * row["forward_seconds"])


@pytest.mark.slow
def test_what_does_not_fit_is_one_line_of_the_benchmark(benchmark, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(benchmark, "prepare_step", full)
    assert benchmark.main(["--device", "cpu", "--quick", "--recipe", "mlp-mnist"]) == 0
    [_, line] = capsys.readouterr().out.splitlines()
    assert line.startswith("mlp-mnist ×0.25 eager: mlp ×0.25 on mnist does not fit on cpu")


@pytest.mark.slow
def test_a_row_that_fails_costs_no_other_row(benchmark, monkeypatch, tmp_path, capsys):
    real = benchmark.prepare_step
    first = iter([True])

    def failing(*arguments: object) -> object:
        if next(first, False):
            return real(*arguments)
        raise NotImplementedError("no such kernel\nand a long story")

    monkeypatch.setattr(benchmark, "prepare_step", failing)
    out = tmp_path / "gpu.json"
    variants = ["--variant", "eager", "recompute"]
    options = ["--device", "cpu", "--quick", "--recipe", "mlp-mnist", *variants, "--write", str(out)]
    assert benchmark.main(options) == 0
    assert "mlp-mnist ×0.25 recompute: FAILED, NotImplementedError: no such kernel\n" in capsys.readouterr().out
    [card] = json.loads(out.read_text())["cards"]
    assert [row["variant"] for row in card["rows"]] == ["eager"]


def test_a_card_measured_again_takes_the_place_of_its_older_rates(benchmark, tmp_path, capsys):
    path = tmp_path / "gpu.json"
    for gpu, rows in (("A", [1]), ("B", [2]), ("A", [3])):
        benchmark.write(path, {"gpu": gpu, "rows": rows})
    assert json.loads(path.read_text())["cards"] == [{"gpu": "A", "rows": [3]}, {"gpu": "B", "rows": [2]}]


@pytest.mark.parametrize(("share", "code", "words"), [(0.8, 0, "kept"), (0.3, 1, "MISSED")], ids=["kept", "missed"])
def test_marks_are_of_the_widest(benchmark, capsys, share, code, words):
    rows = [
        {"recipe": "vgg11-cifar10", "width_multiplier": width, "share_of_ceiling": 0.1, "share_of_roofline": 0.1}
        for width in (1.0, 2.0, 4.0)
    ]
    rows += [
        {"recipe": "vgg11-cifar10", "width_multiplier": width, "share_of_ceiling": share, "share_of_roofline": 0.9}
        for width in (8.0, 16.0)
    ]
    rows.append({"recipe": "mlp-mnist", "width_multiplier": 16.0, "share_of_ceiling": 0.1, "share_of_roofline": share})
    assert benchmark.marks(rows) == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.endswith(words) for line in lines)
