"""One step of a training, however it is carried out: in parts, recomputed, compiled, recorded."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lmcbook.data import Splits
from lmcbook.errors import InputError
from lmcbook.models import ARCHITECTURES, LayeredModel, build_model
from lmcbook.randomness import random_stream
from lmcbook.training import DoesNotFit, arithmetic, loop, optimiser_of, train, uses_tf32
from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution
from lmcbook.training.graph import GraphedStep, unchanged
from lmcbook.training.half_weights import HalfWeightStep, uses_half_weights
from lmcbook.training.step import Step
from lmcbook.training.team import SingleProcess
from tests.helpers.small_networks import ALL, INPUT_SHAPE, NUM_CLASSES, add_a_network, small_config

ROOT = Path(__file__).resolve().parents[1]


def batch(examples: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = random_stream(0, "batch")
    images = torch.randn(examples, *INPUT_SHAPE, generator=generator, dtype=torch.float64)
    return images, torch.randint(NUM_CLASSES, (examples,), generator=generator)


def stepped(config: TrainingConfig, steps: int = 2, **options) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """The state after some steps in float64, where only rounding of 1e-16 is left to differ by, and the losses."""
    model = build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).double().train()
    model.recompute = options.pop("recompute", False)
    if options.pop("channels_last", False):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    compiled = options.pop("compiled", None)
    forward = None if compiled is None else torch.compile(model, backend=compiled, fullgraph=True)
    step = Step(model, optimiser_of(model, config), config, forward=forward, **options)
    images, labels = batch(config.batch_size)
    losses = [step(images, labels, 0.1)[0] for _ in range(steps)]
    return model.state_dict(), losses


def config_of(architecture: str, **changes) -> TrainingConfig:
    return small_config(architecture, **{"batch_size": 12, **changes})


def check_equal(found, expected, tolerance: float = 1e-12) -> None:
    assert found[0].keys() == expected[0].keys()
    for name, tensor in expected[0].items():
        torch.testing.assert_close(found[0][name], tensor, rtol=100 * tolerance, atol=tolerance, msg=name)
    torch.testing.assert_close(found[1], expected[1], rtol=tolerance, atol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_recomputed_activations_give_the_same_step_and_the_same_statistics(architecture):
    config = config_of(architecture)
    expected = stepped(config)
    check_equal(stepped(config, recompute=True), expected)
    if config.has_batch_norm:
        assert all(value == 2 for name, value in expected[0].items() if name.endswith("num_batches_tracked"))


def test_activations_are_really_not_kept():
    config = config_of("resnet20", batch_size=64)
    model = build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).train()
    kept = {}
    for recompute in (False, True):
        model.recompute = recompute
        bytes_kept = 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal bytes_kept
            bytes_kept += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(batch(64)[0].float())
        kept[recompute] = bytes_kept
    assert kept[True] < kept[False] / 4


@pytest.mark.parametrize("micro_batch", [1, 5, 12, 100])
def test_gradients_of_parts_add_up_to_that_of_the_whole(micro_batch):
    config = config_of("mlp", spread_penalty=0.1)
    # the loss is taken in float32, in parts or as a whole
    check_equal(stepped(config, micro_batch=micro_batch), stepped(config), tolerance=1e-6)


@pytest.mark.parametrize("architecture", ALL)
def test_channels_last_trains_the_same(architecture, monkeypatch):
    add_a_network(monkeypatch)
    expected = stepped(config_of(architecture))
    check_equal(stepped(config_of(architecture), channels_last=True), expected, tolerance=1e-9)


@pytest.mark.slow
def test_the_compiler_understands_every_network_as_one_graph():
    # in a process of its own, without the type checks of this suite, which the compiler does not understand
    program = (
        "from tests import test_steps as tests; from lmcbook.models import ARCHITECTURES\n"
        "for name in ARCHITECTURES:\n"
        "    config = tests.config_of(name)\n"
        "    tests.check_equal(tests.stepped(config, compiled='aot_eager'), tests.stepped(config))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr


def test_batch_norm_refuses_parts_of_a_batch(digits):
    config = replace(config_of("resnet20"), dataset="digits")
    message = "LMCBOOK_MICRO_BATCH is 5, but resnet20 has batch norm.*all 12 images.*LMCBOOK_RECOMPUTE=1"
    with pytest.raises(InputError, match=message):
        train(config, digits, progress=False, execution=Execution(micro_batch=5))


@pytest.mark.slow
def test_a_training_may_be_recomputed_and_says_so(pico, digits):
    config = replace(
        pico, architecture="resnet20", hidden_width=None, num_layers=None, width_multiplier=0.0625, epochs=1,
        batch_size=300,
    )  # fmt: skip
    plain = train(config, digits, progress=False)
    again = train(config, digits, progress=False, execution=Execution(recompute=True))
    assert plain.execution == {} and again.execution == {"recompute": True}
    assert all(torch.equal(again.state[name], tensor) for name, tensor in plain.state.items())


# --- CUDA graphs, as far as a CPU can tell ----------------------------------------------------------------------------


class FakeGraph:
    """Replays by doing the step again: what a CUDA graph does with the tensors that it was recorded with."""

    recorded: Step

    def __init__(self, step: GraphedStep) -> None:
        self.step = step

    def replay(self) -> None:
        loss, correct = self.step.step.update(self.step.images, self.step.labels)
        self.step.found[0].copy_(loss)
        self.step.found[1].copy_(correct)


def test_a_recorded_step_reads_its_batch_and_its_learning_rate_from_the_same_memory(monkeypatch):
    config = config_of("mlp")

    def record(graphed: GraphedStep, images: torch.Tensor, labels: torch.Tensor) -> None:
        graphed.images, graphed.labels = images.clone(), labels.clone()
        graphed.rate = torch.zeros(())
        for group in graphed.step.optimiser.param_groups:
            group["lr"] = graphed.rate
        graphed.found = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
        graphed.graph = FakeGraph(graphed)  # type: ignore[assignment]

    monkeypatch.setattr(GraphedStep, "_record", record)
    states = []
    for graphs in (False, True):
        model = build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).double().train()
        plain = Step(model, optimiser_of(model, config), config)
        step = GraphedStep(plain) if graphs else plain
        images, labels = batch()
        for rate in (0.1, 0.2, 0.05):
            step(images, labels, rate)
            images = images.flip(0)
        states.append(model.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("architecture", ["mlp", "resnet20"])
def test_warming_up_leaves_nothing_behind(architecture):
    config = config_of(architecture)
    expected = stepped(config)
    model = build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).double().train()
    step = Step(model, optimiser_of(model, config), config)
    images, labels = batch()
    with unchanged(model, step.optimiser):
        for _ in range(3):
            step(images, labels, 0.5)
    losses = [step(images, labels, 0.1)[0] for _ in range(2)]
    check_equal((model.state_dict(), losses), expected)


def test_a_cpu_records_nothing(pico, digits):
    plain, graphed = (
        train(replace(pico, epochs=1), digits, progress=False, execution=Execution(graphs=graphs))
        for graphs in (False, True)
    )
    assert all(torch.equal(graphed.state[name], tensor) for name, tensor in plain.state.items())


# --- bfloat16 weights that last --------------------------------------------------------------------------------------


def in_half(architecture: str, *, lasting: bool, resumed: bool = False) -> tuple[dict, list, dict]:
    """Three steps in bfloat16: the state, the losses and the momentum."""
    config = config_of(architecture, precision="bfloat16", weight_decay=0.01)
    model = build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).train()
    plain = Step(model, optimiser_of(model, config), config)
    step = HalfWeightStep(plain) if lasting else plain
    images, labels = batch()
    if resumed:  # as a checkpoint does it: after the step was made, before it is done
        other = {name: tensor * 1.5 for name, tensor in model.state_dict().items()}
        model.load_state_dict(other)
    losses = [step(images.float(), labels, rate)[0] for rate in (0.1, 0.2, 0.05)]
    momentum = {name: step.optimiser.state[each]["momentum_buffer"] for name, each in model.named_parameters()}
    return model.state_dict(), losses, momentum


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("architecture", ["mlp", "resnet20"])
def test_bfloat16_copies_that_last_give_the_same_steps(architecture, resumed):
    expected, found = (in_half(architecture, lasting=lasting, resumed=resumed) for lasting in (False, True))
    assert all(parameter.dtype == torch.float32 for name, parameter in found[0].items() if name.endswith("weight"))
    for ours, theirs in ((found[0], expected[0]), (found[2], expected[2])):
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            torch.testing.assert_close(ours[name], tensor, rtol=1e-5, atol=1e-6, msg=name)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-5, atol=1e-6)


def test_copies_are_made_anew_after_a_warm_up():
    config = config_of("mlp", precision="bfloat16")
    model = build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).train()
    step = HalfWeightStep(Step(model, optimiser_of(model, config), config))
    images, labels = batch()
    with unchanged(model, step.optimiser):
        step(images.float(), labels, 0.5)
    assert not torch.equal(step.copies[0], step.weights[0].bfloat16())
    step.refresh()
    assert all(torch.equal(copy, weight.bfloat16()) for copy, weight in zip(step.copies, step.weights, strict=True))


def test_lasting_copies_are_for_plain_trainings_in_bfloat16(pico, digits):
    wanted = Execution(half_weights=True)
    rounded = replace(pico, epochs=1, precision="bfloat16")
    assert uses_half_weights(rounded, wanted, 1)
    assert not uses_half_weights(rounded, Execution(), 1) and not uses_half_weights(rounded, wanted, 2)
    assert not uses_half_weights(replace(rounded, spread_penalty=0.1), wanted, 1)
    assert not uses_half_weights(rounded, replace(wanted, micro_batch=7), 1)
    # the manifest says what was done, not what was asked for
    assert train(rounded, digits, progress=False, execution=wanted).execution == {"half_weights": True}
    exact = replace(rounded, precision="float32")
    assert train(exact, digits, progress=False, execution=replace(wanted, graphs=True)).execution == {}


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "execution", "cures"),
    [
        ("mlp", Execution(), ["LMCBOOK_RECOMPUTE=1", "LMCBOOK_MICRO_BATCH=50", "torchrun"]),
        ("mlp", Execution(recompute=True, micro_batch=10), ["LMCBOOK_MICRO_BATCH=5", "torchrun"]),
        ("resnet20", Execution(), ["LMCBOOK_RECOMPUTE=1", "torchrun"]),
        ("resnet20", Execution(recompute=True), ["LMCBOOK_SHARD=parameters torchrun"]),
    ],
)
def test_too_little_memory_is_one_line_with_what_may_help(architecture, execution, cures, pico, digits, monkeypatch):
    config = replace(pico, epochs=1)
    if architecture == "resnet20":
        config = replace(config, architecture="resnet20", hidden_width=None, num_layers=None, width_multiplier=0.0625)

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")

    monkeypatch.setattr(LayeredModel, "forward", full)
    with pytest.raises(DoesNotFit) as caught:
        train(config, digits, progress=False, execution=execution)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(f"{architecture} ×")
    assert "does not fit on cpu (weights, gradients and momentum alone take 0.0 GiB): try " in text
    positions = [text.find(cure) for cure in cures]
    assert min(positions) > 0 and positions == sorted(positions)
    if architecture == "resnet20":
        assert "MICRO_BATCH" not in text


# --- arithmetic and settings ------------------------------------------------------------------------------------------


def test_tf32_is_for_bfloat16_trainings_on_a_gpu_alone():
    assert uses_tf32("bfloat16", "cuda:1")
    assert not any(uses_tf32(*each) for each in (("float32", "cuda"), ("bfloat16", "cpu"), ("float32", "cpu")))
    cudnn = torch.backends.cudnn

    def found() -> tuple[str, bool, bool]:
        return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark

    before = found()
    for precision, device, expected in (
        ("bfloat16", "cuda", ("high", True, True)),
        ("float32", "cuda", ("highest", False, True)),
        ("bfloat16", "cpu", ("highest", False, True)),
    ):
        with pytest.raises(RuntimeError, match="stop"), arithmetic(precision, device):
            assert found() == expected
            raise RuntimeError("stop")
        assert found() == before


def test_the_environment_says_how_a_training_is_done():
    given = {"LMCBOOK_COMPILE": "1", "LMCBOOK_GRAPHS": "0", "LMCBOOK_MICRO_BATCH": "64", "LMCBOOK_SHARD": "parameters"}
    found = Execution.from_environment(given)
    assert found == Execution(compiled=True, micro_batch=64, shard="parameters")
    assert found.told() == {"compiled": True, "micro_batch": 64, "shard": "parameters"}
    assert Execution.from_environment({"LMCBOOK_COMPILE": ""}) == Execution()
    with pytest.raises(InputError, match="LMCBOOK_COMPILE and LMCBOOK_RECOMPUTE are both 1.*choose one"):
        Execution(compiled=True, recompute=True)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LMCBOOK_COMPILE", "yes", "LMCBOOK_COMPILE is 'yes'; it may be 0 or 1"),
        ("LMCBOOK_MICRO_BATCH", "0", "LMCBOOK_MICRO_BATCH is 0; it must be a whole number at least 1"),
        ("LMCBOOK_MICRO_BATCH", "many", "LMCBOOK_MICRO_BATCH is 'many'; it must be a whole number"),
        ("LMCBOOK_COMPILE", "2", "LMCBOOK_COMPILE is '2'; it may be 0 or 1"),
        ("LMCBOOK_SHARD", "weights", "LMCBOOK_SHARD is 'weights'; it may be one of: data, parameters"),
    ],
)
def test_what_the_environment_may_not_say_is_refused_before_training(
    variable, value, message, pico, digits, monkeypatch
):
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(loop, "build_model", lambda *_, **__: pytest.fail("training began"))
    with pytest.raises(InputError, match=message):
        train(pico, digits, progress=False)


def test_one_process_is_a_team_of_its_own(pico):
    team = SingleProcess(pico)
    tensor = torch.ones(2)
    assert (team.rank, team.size, team.decide(2, 5)) == (0, 1, 2) and team.total(tensor) is tensor


def test_a_training_diverges_in_one_line(pico, digits):
    from lmcbook.training import TrainingDiverged

    with pytest.raises(TrainingDiverged, match=r"is (nan|inf) at step \d"):
        train(replace(pico, epochs=1, learning_rate=1e30, warmup_epochs=0.0), digits, progress=False)


def test_data_that_are_not_those_of_the_configuration_are_refused(pico, digits):
    def changed(**part) -> Splits:
        return replace(digits, train=replace(digits.train, **part))

    with pytest.raises(InputError, match=r"splits hold 'digits', but config\.dataset is 'mnist'; give load\('mnist'\)"):
        train(replace(pico, dataset="mnist"), digits, progress=False)
    with pytest.raises(InputError, match=r"splits\.train\.images are infinite or not a number for 997 of 997"):
        train(pico, changed(images=digits.train.images / 0), progress=False)
    with pytest.raises(InputError, match=r"and 997 labels up to 19; give one of 0…9 for each image"):
        train(pico, changed(labels=digits.train.labels + 10), progress=False)
    with pytest.raises(InputError, match=r"device is 'banana'; it may be one of"):
        train(pico, digits, device="banana", progress=False)


def test_bfloat16_casts_give_gradients_to_float32_weights(digits):
    config = TrainingConfig(
        dataset="digits", architecture="mlp", hidden_width=8, num_layers=3, epochs=1, batch_size=100,
        learning_rate=0.1, precision="bfloat16",
    )  # fmt: skip
    model = build_model(config, input_shape=digits.input_shape, num_classes=10).train()
    step = Step(model, optimiser_of(model, config), config)
    step(digits.train.images[:100], digits.train.labels[:100], 0.1)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(gradients) == 3 and all(tensor.dtype == torch.float32 for tensor in [*gradients, *model.parameters()])
    found = []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.register_forward_hook(lambda *_: found.append(_[2].dtype))
        model(digits.train.images[:2])
    assert found == [torch.bfloat16] and isinstance(model, nn.Module)
