"""`connect`: its numbers are the book's and a naive loop's, for networks of all kinds; its answer follows from them."""

import copy
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lmcbook
from lmcbook.connecting.answers import answering, logits_of
from lmcbook.connecting.inputs import Inputs
from lmcbook.connecting.rows import Row, bootstrap_error, score
from lmcbook.connecting.verdict import judge
from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, interpolation_curve, loss, predict_logits
from lmcbook.evaluation.line import Logits
from lmcbook.matching import activation_matching, observe_modules
from lmcbook.merging import Repairer, add_biases, interpolate, recompute_batch_norm
from lmcbook.models import build_model
from lmcbook.models.examples import Labelled
from lmcbook.permutation import apply, derive_spec, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import state_sha256
from tests.helpers.browser import PHONE, opened_browser
from tests.helpers.small_networks import NUM_CLASSES, random_images, small_model
from tests.helpers.strangers import CLASSES, STRANGERS, inputs_of, two_of

IN_SHORT = ("tied encoder", "gpt-2 style", "odd", "group norm", "weight norm")
"""Of the networks that others wrote, those of the fast part: two encoders, odd modules, and two parametrisations."""


@pytest.fixture(scope="module")
def digits_pair(trained_pair, pico, digits):
    model = build_model(pico, input_shape=digits.input_shape, num_classes=digits.num_classes)
    return model, *(trained.state for trained in trained_pair)


@pytest.fixture(scope="module")
def connection(digits_pair, digits):
    parts = {"test": digits.test, "calibration": digits.calibration, "images": digits.train}
    return lmcbook.connect(*digits_pair, **parts, match="all", random_permutations=2)


def labels_of(model, state, images, *, noise=0):
    """What a network says, so that it is right, except on the first ``noise`` images."""
    labels = logits_of(predicted(model, state, images)).argmax(1)
    labels[:noise] = (labels[:noise] + 1) % 2
    return labels


def drawn(images):
    """Images in the order in which `connect` takes them."""
    return images[torch.randperm(len(images), generator=random_stream(0, "connect", "images"))]


def row(found, name) -> Any:
    """A row, without types: what is None of another kind of row is a number here."""
    return found.row(name)


def predicted(model, state, images):
    own = copy.deepcopy(model).eval()
    own.load_state_dict(state)
    with torch.no_grad():
        return own(images)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_curve_is_the_books(connection, digits_pair, digits):
    model, a, b = digits_pair
    curve = interpolation_curve(
        model, a, b, coefficients=(0, 0.25, 0.5, 0.75, 1), calibration=digits.calibration, test=digits.test
    )
    assert connection.curve == curve.to_dict()
    assert connection.barriers == lmcbook.barriers(curve)


def test_rows_are_those_of_a_naive_loop(connection, digits_pair, digits):
    model, a, b = digits_pair
    merged = {name: (a[name] + b[name]) / 2 for name in a}
    for name, state in (("a", a), ("b", b), ("plain", merged)):
        logits = predicted(model, state, digits.test.images)
        measured = row(connection, name)
        assert measured.accuracy == pytest.approx(
            (logits.argmax(1) == digits.test.labels).double().mean().item(), abs=1e-6
        )
        expected = nn.functional.cross_entropy(logits, digits.test.labels).item()
        assert measured.loss == pytest.approx(expected, abs=1e-6)
    lost = (row(connection, "a").accuracy + row(connection, "b").accuracy) / 2 - row(connection, "plain").accuracy
    assert row(connection, "plain").lost == pytest.approx(lost, abs=1e-9)
    kinds = [name.partition(":")[2] for name in connection.by_name if name.startswith("repaired:")]
    assert kinds == ["lewc_mean", "mean_and_variance"]
    repaired = lmcbook.merge(model, a, b, 0.5, drawn(digits.train.images)[:512], repair="mean_and_variance")
    logits = predict_logits(add_biases(model), repaired, digits.test.images)
    expected = loss(logits, digits.test.labels)
    assert row(connection, "repaired:mean_and_variance").loss == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_a_network_with_batch_norm_is_measured_plain_and_recomputed():
    model, a = small_model("resnet20")
    _, b = small_model("resnet20", seed=1)
    images = random_images(60, "connect")
    labels = labels_of(model, a, images)
    found = lmcbook.connect(
        model,
        a,
        b,
        test=(images[30:], labels[30:]),
        calibration=(images[:30], labels[:30]),
        images=images,
        match="none",
    )
    curve = interpolation_curve(
        model, a, b, coefficients=(0, 0.25, 0.5, 0.75, 1), test=(images[30:], labels[30:]),
        calibration=(images[:30], labels[:30]), batch_norm_images=drawn(images),
    )  # fmt: skip
    assert found.curve == curve.to_dict()
    averaged = interpolate(a, b, 0.5)
    recomputed = recompute_batch_norm(model, averaged, drawn(images))
    for name, state in (("plain", averaged), ("recomputed", recomputed), ("a", a)):
        logits = predict_logits(model, state, images[30:])
        assert row(found, name).accuracy == accuracy(logits, labels[30:])
        assert row(found, name).loss == pytest.approx(loss(logits, labels[30:]), abs=1e-6)
    assert any("batch norm follows every hidden layer" in note for note in found.notes)
    assert not any(name.startswith("repaired") for name in found.by_name) and logits.shape[1] == NUM_CLASSES


def test_images_sorted_by_class_are_repaired_as_shuffled_ones(digits_pair, digits):
    model, a, b = digits_pair
    images = digits.train.images[digits.train.labels.argsort()]
    assert len(images) > 512
    found = lmcbook.connect(
        *digits_pair, test=digits.test, calibration=digits.calibration, images=images, match="none", layers=False
    )
    for kind in ("lewc_mean", "mean_and_variance"):
        repaired = lmcbook.merge(model, a, b, 0.5, drawn(images)[:512], repair=kind)
        logits = predict_logits(add_biases(model), repaired, digits.test.images)
        assert row(found, f"repaired:{kind}").loss == pytest.approx(loss(logits, digits.test.labels), abs=1e-6)


def test_behind_a_repair_batch_norm_is_recomputed_from_all_images_and_few_pass_at_once():
    """1100 images: the repair looks at 512 of them, batch norm at all; the same network is measured and made."""
    passed = []

    class PartlyNormalised(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

        def forward(self, x):
            passed.append(len(x))
            return super().forward(x)

    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        states.append({name: tensor.clone() for name, tensor in PartlyNormalised().state_dict().items()})
    model, images = PartlyNormalised(), torch.randn(1100, 6, generator=random_stream(0, "pool"))
    examples = images[:100], labels_of(model, states[0], images[:100])
    given: dict[str, Any] = {"test": examples, "calibration": examples, "images": images}
    found = lmcbook.connect(model, *states, **given, repair="mean", match="none", layers=False)
    made = lmcbook.merge_networks(model, *states, **given, repair="mean", fold=False)
    with torch.no_grad():
        expected = loss(made.model(examples[0]), examples[1])
    assert row(found, "repaired:mean").loss == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(
        made.state["3.running_mean"], recompute_batch_norm(made.model, made.state, drawn(images))["3.running_mean"]
    )
    assert max(passed) <= 550


def test_the_standard_error_is_that_of_a_mean_and_the_same_every_time():
    values = torch.randn(400, generator=random_stream(0, "test"), dtype=torch.float64)
    assert bootstrap_error(values) == pytest.approx(float(values.std()) / 20, rel=0.1)
    assert bootstrap_error(values) == bootstrap_error(values) != bootstrap_error(values, seed=1)
    assert bootstrap_error(torch.ones(10)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in IN_SHORT else pytest.mark.slow) for name in STRANGERS]
)
def test_networks_of_all_kinds_are_measured_and_left_as_they_were(name):
    model, a, b = two_of(STRANGERS[name])
    images = inputs_of(model, 40)
    labels = labels_of(model, a, images)
    before = state_sha256(model.state_dict())
    found = lmcbook.connect(model, a, b, test=(images[20:], labels[20:]), calibration=(images[:20], labels[:20]))
    logits = logits_of(predicted(model, interpolate(a, b, 0.5), images[20:]))
    assert row(found, "plain").loss == pytest.approx(loss(logits, labels[20:]), abs=1e-5)
    assert row(found, "a").accuracy == 1 and row(found, "ensemble").passes == 80
    assert state_sha256(model.state_dict()) == before
    # what was permuted computes the same, to rounding
    assert float(re.findall(r"an output by (\S+)", row(found, "matched:weights").note)[0]) < 1e-4
    assert "\n" not in found.verdict.sentence and str(found).isascii()
    assert found.layers or any(note.startswith("no layers: model has no linear layer") for note in found.notes)


def test_linear_layers_of_gpt_2_are_repaired_and_observed():
    """Their weights are (inputs, outputs), and they are no `nn.Linear`."""
    model, a, b = two_of(STRANGERS["gpt-2 style"])
    images = inputs_of(model, 400)
    model = answering(model, a, images[:8])
    own = Repairer(model, (a, b), images)
    assert own.layers == {"c_fc": 1, "c_proj": 2}
    merged = own.repair(interpolate(a, b, 0.5), (0.5, 0.5), "mean_and_variance")

    def moments(state):
        hidden = nn.functional.embedding(images, state["wte.weight"]).flatten(0, 1) @ state["c_fc.weight"]
        return torch.stack([*torch.std_mean(hidden + state["c_fc.bias"], 0, correction=0)])

    assert torch.allclose(moments(merged), (moments(a) + moments(b)) / 2, atol=1e-5)
    spec = derive_spec(model, images[:8])
    planted = random_permutation(spec, a, random_stream(0, "planted"))
    found = activation_matching(
        spec, apply(spec, planted, a), a, observe=observe_modules(model, spec), images=images, model=model,
        progress=False,
    )  # fmt: skip
    assert "c_fc" in planted and all(torch.equal(found.permutation[group], planted[group]) for group in planted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GPT2", "Bert", "ViT"])
def test_networks_of_transformers(name):
    import_torchvision()  # transformers would import it, unguarded
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    kind, configuration = {
        "GPT2": ("GPT2ForSequenceClassification", {"n_embd": 16, "n_layer": 1, "n_head": 2, "pad_token_id": 0,
                 "bos_token_id": 1, "eos_token_id": 1, "vocab_size": 10, "n_positions": 8}),
        "Bert": ("BertForSequenceClassification", small | {"vocab_size": 10, "max_position_embeddings": 8}),
        "ViT": ("ViTForImageClassification", small | {"image_size": 8, "patch_size": 4}),
    }[name]  # fmt: skip
    config = getattr(transformers, f"{name}Config")(num_labels=CLASSES, **configuration)
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = getattr(transformers, kind)(config).eval()
        states.append({key: tensor.clone() for key, tensor in model.state_dict().items()})
    images = inputs_of(model, 24).clamp_min(1) if name != "ViT" else inputs_of(model, 24)
    found = lmcbook.connect(
        model, *states, test=(images, labels_of(model, states[0], images)), images=images, match="all"
    )
    left_out = ("no layers", "no split", "no forecast", "no repair", "no matching")
    assert row(found, "a").accuracy == 1 and found.layers and not any(note.startswith(left_out) for note in found.notes)
    for kind in ("weights", "activations"):
        assert float(re.findall(r"an output by (\S+)", row(found, f"matched:{kind}").note)[0]) < 1e-4
        assert f"matched and repaired:{kind}:mean_and_variance" in found.by_name


def test_a_repair_that_a_network_does_not_allow_leaves_the_others():
    model, a, b = two_of(STRANGERS["weight norm"])
    images = inputs_of(model, 40)
    examples = images, labels_of(model, a, images)
    kinds = ("mean_and_variance", "lewc_mean")
    found = lmcbook.connect(model, a, b, test=examples, calibration=examples, match="none", repair=kinds, layers=False)
    assert "repaired:lewc_mean" in found.by_name and "repaired:mean_and_variance" not in found.by_name
    assert any("no repaired:mean_and_variance row" in note for note in found.notes)


def _torchvision(name):
    models = import_torchvision().models
    builders = {  # the blocks of the networks that people use, few and narrow of them
        "resnet50": lambda: models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=4, width_per_group=8),
        "vgg11_bn": lambda: nn.Sequential(
            models.vgg.make_layers([8, "M", 12, "M"], batch_norm=True), nn.Flatten(), nn.Linear(768, 4)
        ),
        "convnext": lambda: models.ConvNeXt(
            [models.convnext.CNBlockConfig(8, 16, 1), models.convnext.CNBlockConfig(16, None, 1)], num_classes=4
        ),
        "vit": lambda: models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4),
    }
    return builders[name] if name in builders else lambda: getattr(models, name)(num_classes=4)


def _timm(name):
    import_torchvision()
    timm = pytest.importorskip("timm")
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2} if "vit" in name else {}
    return lambda: timm.create_model(name, num_classes=4, **small)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "name"),
    [
        *(
            (_torchvision, name)
            for name in ("resnet18", "mobilenet_v3_small", "resnet50", "vgg11_bn", "convnext", "vit")
        ),
        *((_timm, name) for name in ("resnet10t", "vit_tiny_patch16_224")),
    ],
)
def test_networks_of_torchvision_and_timm(source, name):
    model, a, b = _two_of_torchvision(source(name))
    images = torch.randn(24, 3, 32, 32, generator=random_stream(0, "torchvision"))
    labels = labels_of(model, a, images)
    found = lmcbook.connect(model, a, b, test=(images, labels), calibration=(images, labels), match="none")
    own = recompute_batch_norm(model, interpolate(a, b, 0.5), images)
    merged = row(found, "recomputed" if "recomputed" in found.by_name else "plain")
    assert merged.loss == pytest.approx(loss(logits_of(predicted(model, own, images)), labels), abs=1e-4)
    assert found.layers and len(found.forecast) == 2


def _two_of_torchvision(build):
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = build().eval()
        states.append({key: tensor.clone() for key, tensor in model.state_dict().items()})
    return model, *states


# --- the answer -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_planted_permutation_is_undone_by_matching(digits_pair, digits):
    model, a, _ = digits_pair
    spec = derive_spec(model, digits.test.images[:8])
    b = apply(spec, random_permutation(spec, a, random_stream(3, "planted")), a)
    found = lmcbook.connect(model, a, b, test=digits.test, calibration=digits.calibration, match="all", repair="none")
    assert found.verdict.how == "matching" and found.verdict.connected
    for kind in ("weights", "activations"):
        assert row(found, f"matched:{kind}").lost == 0
        assert row(found, f"matched:{kind}").loss == pytest.approx(row(found, "a").loss, abs=1e-6)
    assert found.verdict.sentence.startswith("Yes, after matching: matched by weights loses 0.0 points")
    assert 'match="weights"' in found.next_steps[0]


@pytest.mark.slow
def test_a_network_and_itself_are_connected_plainly(digits_pair, digits):
    model, a, _ = digits_pair
    found = lmcbook.connect(model, a, dict(a), test=digits.test, calibration=digits.calibration)
    assert found.verdict.how == "plain" and row(found, "plain").lost == 0
    assert any(finding.name == "start" and finding.level == "warning" for finding in found.findings)


def judged(**lost):
    """The verdict on rows that lost so many points, each with a standard error, behind parents that are right."""
    rows = {name: Row(name=name, label=f"network {name}", coefficient=None, loss=0.1, accuracy=0.99) for name in "ab"}
    for name, (points, error) in lost.items():
        label = {"plain": "plain average (averaged statistics)" if "recomputed" in lost else "plain average",
                 "recomputed": "batch norm recomputed"}.get(name, name)  # fmt: skip
        rows[name] = Row(
            name=name, label=label, coefficient=0.5, loss=0.1, accuracy=0.99 - points / 100, lost=points / 100,
            standard_error=error / 100, loss_gained=0.0,
        )  # fmt: skip
    return judge(rows, "classification", examples=500, classes=10)


def test_averaged_statistics_are_no_answer_where_batch_norm_is_recomputed():
    found = judged(plain=(-0.1, 0.1), recomputed=(19.6, 0.5))
    assert not found.connected and found.row == "recomputed"
    assert found.sentence.startswith("No: batch norm recomputed loses 19.6 points (99.0 -> 79.4 % of 500 test images")
    found = judged(plain=(50.0, 0.5), recomputed=(0.3, 0.1))
    assert found.connected and found.how == "batch norm"
    assert found.sentence.startswith("Yes: batch norm recomputed loses 0.3 points (99.0 -> 98.7 %")
    assert "; the plain average (averaged statistics) loses 50.0 points (s.e. 0.5)." in found.sentence


def test_a_loss_within_two_standard_errors_is_not_told_apart_from_none():
    found = judged(plain=(8.3, 7.8))
    assert found.connected and found.sentence.startswith("Not told apart from no loss: the plain average loses 8.3 ")
    assert any("more of them would decide finer" in remark for remark in found.remarks)
    assert judged(plain=(0.9, 7.8)).sentence.startswith("Yes: ") and judged(plain=(16, 7.8)).sentence.startswith("No: ")
    found = judged(plain=(16, 1), **{"repaired:mean": (1.5, 1)})
    assert found.sentence.startswith("Not told apart from no loss, after a ") and found.how == "repair"


@pytest.mark.parametrize(("right", "told"), [(99, False), (110, True)])
def test_better_than_both_parents_is_said_only_beyond_two_standard_errors(right, told):
    """Of 120 images a is right on 98 and b on 60; the plain average on one more than a, or on twelve."""
    labels = torch.zeros(120, dtype=torch.int64)

    def scored(name, count, parents=()):
        given = torch.tensor([[1.0, 0.0]] * count + [[0.0, 1.0]] * (120 - count))
        examples = Labelled(given, labels)
        inputs = Inputs(
            model=nn.Identity(), a={}, b={}, test=examples, calibration=examples, images=given, task="classification",
            notes=(),
        )  # fmt: skip
        return score(inputs, Logits(given, given), name=name, label=name, coefficient=0.5, parents=parents)

    a, b = scored("a", 98), scored("b", 60)
    plain = scored("plain", right, (a, b)).row
    assert plain.over_better == pytest.approx((right - 98) / 120) and (plain.over_better_error or 0) > 0
    found = judge({"a": a.row, "b": b.row, "plain": plain}, "classification", examples=120, classes=10)
    assert told == any("better than both parents" in remark for remark in found.remarks)


def test_the_layers_tell_the_parts_of_the_cross_talk(connection, digits_pair, digits):
    model, a, b = digits_pair
    parts = lmcbook.measure_common_mode(model, drawn(digits.train.images)[:256], a, b)
    wanted = {part["layer"]: part["metrics"] for part in parts}
    ends = {entry["layer"]: entry["metrics"] for entry in connection.layers if entry["coefficient"] is None}
    for name in ("common", "isotropic", "constant_share"):
        assert ends["hidden2"][name] == pytest.approx(wanted["hidden2"][name]) and 0 < ends["hidden2"][name] < 2
    assert "is the same for every image" in str(connection)


def test_the_answer_prints_first_and_names_every_row(connection):
    lines = str(connection).splitlines()
    assert lines[0] == connection.verdict.sentence
    assert {row.label for row in connection.rows} <= {line.strip().split("  ")[0] for line in lines}
    assert "Why:" in lines and "Next:" in lines and str(connection).isascii()


@pytest.mark.slow
def test_a_parent_that_guesses_and_a_merge_that_gains_are_told(digits_pair, digits):
    model, a, b = digits_pair
    wrong = (digits.test.images, digits.test.labels.roll(1))
    found = lmcbook.connect(model, a, b, test=wrong, calibration=digits.calibration, match="none", repair="none")
    assert found.verdict.how == "undecided" and not found.verdict.connected
    assert found.verdict.sentence.startswith("No answer: network a is right on")
    assert found.next_steps[0].startswith("check the images")
    labels = labels_of(model, interpolate(a, b, 0.5), digits.test.images)
    found = lmcbook.connect(
        model, a, b, test=(digits.test.images, labels), calibration=digits.calibration, match="none", repair="none"
    )
    assert row(found, "plain").accuracy == 1 and any("better than both parents" in r for r in found.verdict.remarks)


@pytest.mark.parametrize(("tolerance", "connected"), [(0, False), (100, True)])
def test_the_tolerance_decides(digits_pair, digits, tolerance, connected):
    found = lmcbook.connect(
        *digits_pair, test=digits.test, calibration=digits.calibration, match="none", repair="none", layers=False,
        tolerance=tolerance,
    )  # fmt: skip
    assert row(found, "plain").lost > 0 and found.verdict.connected is connected
    assert connected == found.verdict.sentence.startswith("Yes")


def test_a_regression_has_a_loss_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
    a = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    b = {name: tensor + 0.05 * torch.randn_like(tensor) for name, tensor in a.items()}
    x = torch.randn(50, 6)
    found = lmcbook.connect(model, a, b, test=(x, predicted(model, a, x)[:, 0]), calibration=(x, x[:, 0]))
    assert found.task == "regression" and row(found, "plain").accuracy is None
    outputs = predicted(model, interpolate(a, b, 0.5), x)
    expected = (outputs - predicted(model, a, x)).square().mean().item()
    assert row(found, "plain").loss == pytest.approx(expected, rel=1e-5)
    assert row(found, "a").loss == 0 and len(found.curve["loss"]) == 5 and "loss" in str(found)


# --- forms ------------------------------------------------------------------------------------------------------------


class Wrapped(nn.Module):
    def __init__(self, inner, answer):
        super().__init__()
        self.inner, self.answer = inner, answer

    def forward(self, x):
        return self.answer(self.inner(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (lambda z: (z, None), None),
        (lambda z: {"logits": z, "loss": None}, None),
        (lambda z: [z, z + 1], None),
        (lambda z: {"scores": z}, lambda returned: returned["scores"]),
    ],
)
def test_whatever_a_model_returns(digits_pair, digits, answer, output):
    model, a, b = digits_pair
    states = [{f"inner.{name}": tensor for name, tensor in state.items()} for state in (a, b)]
    arguments = {"test": digits.test, "calibration": digits.calibration, "repair": "lewc_mean"}
    plain = lmcbook.connect(model, a, b, **arguments)
    found = lmcbook.connect(Wrapped(model, answer), *states, output=output, **arguments)
    for name in ("a", "plain", "repaired:lewc_mean"):
        assert row(found, name).loss == pytest.approx(row(plain, name).loss, abs=1e-6)
    assert row(found, "matched:weights").accuracy > row(found, "plain").accuracy
    depths = [[entry["depth"] for entry in each.layers] for each in (found, plain)]
    assert depths[0] == depths[1] and len(found.forecast) == 2


def test_outputs_that_are_random_are_told(digits_pair, digits):
    model, a, b = digits_pair
    states = [{f"inner.{name}": tensor for name, tensor in state.items()} for state in (a, b)]
    random = Wrapped(model, lambda z: nn.functional.dropout(z, 0.5, training=True))
    arguments = {"test": digits.test, "calibration": digits.calibration, "match": "none", "repair": "none"}
    found = lmcbook.connect(random, *states, **arguments, layers=False)
    assert any("outputs differ from call to call" in note for note in found.notes)
    found = lmcbook.connect(model, a, b, **arguments, layers=False)
    assert not any("outputs differ" in note for note in found.notes)


@pytest.mark.slow
def test_whatever_form_examples_have(digits_pair, digits):
    images, labels = digits.test.images, digits.test.labels
    forms = [
        (images, labels),
        (images.numpy(), labels.numpy()),
        (images, labels.to(torch.uint8)),
        TensorDataset(images, labels),
        DataLoader(TensorDataset(images, labels), batch_size=77),
        [(images[:100], labels[:100]), (images[100:], labels[100:])],
    ]
    arguments = {"calibration": digits.calibration, "match": "none", "repair": "none", "layers": False}
    rows = [row(lmcbook.connect(*digits_pair, test=form, **arguments), "plain") for form in forms]
    assert {(row.accuracy, row.loss) for row in rows} == {(rows[0].accuracy, rows[0].loss)}


@pytest.mark.slow
def test_networks_as_files_modules_and_half_precision(digits_pair, digits, tmp_path):
    model, a, b = digits_pair
    module = copy.deepcopy(model)
    module.load_state_dict(a)
    torch.save({"model": {name: tensor.bfloat16() for name, tensor in b.items()}}, tmp_path / "b.pt")
    arguments = {"calibration": digits.calibration, "match": "none", "repair": "none", "layers": False}
    found = lmcbook.connect(model, module, tmp_path / "b.pt", test=digits.test, **arguments)
    rounded = {name: tensor.bfloat16().float() for name, tensor in b.items()}
    wanted = lmcbook.connect(model, a, rounded, test=digits.test, **arguments)
    assert row(found, "plain").loss == wanted.row("plain").loss
    assert found.parents[1].source == "b.pt" and len(found.parents[1].sha256 or "") == 64


def test_without_calibration_half_of_the_test_examples_are_taken(digits_pair, digits):
    found = lmcbook.connect(*digits_pair, test=digits.test, match="none", repair="none", layers=False)
    assert found.num_examples == 250 and any("250 of the test examples" in note for note in found.notes)


@pytest.mark.slow
def test_time_that_is_up_and_an_interrupt_leave_what_is_done(digits_pair, digits, monkeypatch):
    arguments = {"test": digits.test, "calibration": digits.calibration}
    found = lmcbook.connect(*digits_pair, **arguments, max_minutes=1e-9)
    assert {row.name for row in found.rows} == {"a", "b", "plain", "ensemble"} and "time was up" in found.stopped
    assert "Not complete" in str(found)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lmcbook.connecting.remedies.align", interrupt)
    found = lmcbook.connect(*digits_pair, **arguments)
    assert "interrupted" in found.stopped and "repaired:mean_and_variance" in found.by_name
    assert {entry["coefficient"] for entry in found.layers} == {None}  # the merge's own come last
    monkeypatch.setattr("lmcbook.connecting.stages.Stages._parents", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lmcbook.connect(*digits_pair, **arguments)


def test_what_cannot_be_compared_is_told_in_one_line(digits_pair, digits):
    model, a, b = digits_pair
    broken = {**b, "hidden1.linear.weight": torch.full_like(b["hidden1.linear.weight"], torch.nan)}
    parts = {"test": digits.test, "calibration": digits.calibration}
    small = (digits.test.images[:, :, :4], digits.test.labels)
    for arguments, message in (
        ({"b": broken}, "a and b cannot be compared: b holds values"),
        ({"test": small}, "model does not take images of shape"),
        ({"test": (digits.test.images, digits.test.labels + 5)}, "labels go from 5 to 14"),
        ({"test": (digits.test.images, digits.test.labels == 1)}, "labels are torch.bool"),
        ({"test": (digits.test.images * torch.inf, digits.test.labels)}, "infinite or no number"),
        ({"calibration": (digits.test.images * torch.nan, digits.test.labels)}, "calibration holds values"),
        ({"calibration": small}, "model does not take calibration of shape"),
        ({"images": small}, "model does not take images of shape"),
        ({"test": Labelled(torch.tensor(1.0), torch.tensor(1))}, "test holds single numbers"),
        ({"test": (digits.test.images[:0], digits.test.labels[:0])}, "test holds 0 images"),
        ({"output": lambda z: z[:, :1]}, "returns one number for each example"),
        ({"match": "wieghts"}, "match is 'wieghts'"),
        ({"repair": ["mean", "x"]}, "repair is 'x'"),
        ({"at": 0}, "at is 0"),
        ({"output": lambda z: z[0]}, "output made shape"),
        ({"device": "cuda:9"}, "device is"),
        ({"tolerance": -1}, "tolerance is -1"),
        ({"key": "model", "ema": True}, "key is 'model' and ema is True"),
    ):
        with pytest.raises(InputError, match=message) as error:
            lmcbook.connect(model, a, **{"b": b, **parts, **arguments})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("coefficients", value) for value in ([0, 1.5], 1, True, 0.5, 10**9, np.int64(1), torch.tensor([0.5, 2]))],
        *[("coefficients", "0.5"), ("num_layers", 0), ("seed", 0.5), ("batch_size", "8"), ("layers", 1)],
    ],
)
def test_what_the_last_stage_would_refuse_is_refused_before_the_first(digits_pair, digits, monkeypatch, name, value):
    monkeypatch.setattr("lmcbook.connecting.measure.prepare", lambda *_, **__: pytest.fail("it began to measure"))
    with pytest.raises(InputError, match=f"{name} is"):
        lmcbook.connect(*digits_pair, test=digits.test, **{name: value})


def test_a_buffer_of_float64_leaves_images_in_the_type_of_the_parameters():
    class Counted(nn.Linear):
        def __init__(self):
            super().__init__(6, 3)
            self.register_buffer("seen", torch.ones((), dtype=torch.float64))

    torch.manual_seed(0)
    model = Counted()
    states = [{name: tensor.clone() for name, tensor in Counted().state_dict().items()} for _ in range(2)]
    x = torch.randn(40, 6)
    labels = labels_of(model, states[0], x)
    found = lmcbook.connect(model, *states, test=(x, labels), calibration=(x, labels))
    assert row(found, "a").accuracy == 1


# --- the merged network and reports -----------------------------------------------------------------------------------


@pytest.mark.parametrize("repair", ["none", "lewc_mean"])
def test_a_merged_network_has_beta_inside_and_its_origin_in_the_file(digits_pair, digits, tmp_path, repair):
    model, a, b = digits_pair
    arguments = {"calibration": digits.calibration, "images": digits.train, "match": "weights", "repair": repair}
    folded = lmcbook.merge_networks(model, a, b, at=0.4, **arguments)
    plain = lmcbook.merge_networks(model, a, b, at=0.4, fold=False, **arguments)
    beta = plain.inverse_temperature
    assert beta is not None and abs(beta - 1) > 0.01 and folded.origin["beta_folded_into"] == "classifier.linear"
    with torch.no_grad():
        logits, scaled = plain.model(digits.test.images), folded.model(digits.test.images)
    torch.testing.assert_close(scaled, logits * beta, rtol=1e-4, atol=1e-4)
    path = folded.save(tmp_path / "merged.safetensors")
    with safe_open(path, framework="pt") as file:
        origin = json.loads(file.metadata()["lmcbook"])
    assert origin == folded.origin and origin["coefficient"] == 0.4 and origin["repair"] == repair
    assert origin["a"]["tensors_sha256"] == state_sha256(a) and origin["match"] == "weights"
    again = add_biases(model) if repair != "none" else copy.deepcopy(model)
    again.load_state_dict(load_file(path))
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(digits.test.images), scaled)
    with pytest.raises(InputError, match="is there already"):
        folded.save(path)
    folded.save(path, force=True)


def test_a_merge_needs_images_only_where_they_are_used(digits_pair):
    model, a, b = digits_pair
    made = lmcbook.merge_networks(model, a, b)
    expected = interpolate(a, b, 0.5)
    assert all(torch.equal(made.state[name], expected[name]) for name in expected)
    with pytest.raises(InputError, match="images is None"):
        lmcbook.merge_networks(model, a, b, repair="mean")
    with pytest.raises(InputError, match="match is 'all'"):
        lmcbook.merge_networks(model, a, b, match="all")


def test_a_merge_without_images_completes_tied_weights_and_takes_the_more_precise_type(digits_pair):
    model, a, b = two_of(STRANGERS["tied encoder"])
    once = [{name: tensor for name, tensor in state.items() if name != "read.weight"} for state in (a, b)]
    expected = lmcbook.merge_networks(model, a, b).state
    found = lmcbook.merge_networks(model, *once).state
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    model, a, b = digits_pair
    half = {name: tensor.half() for name, tensor in b.items()}
    made = lmcbook.merge_networks(model, a, half)
    expected = interpolate(a, {name: tensor.float() for name, tensor in half.items()}, 0.5)
    assert all(torch.equal(made.state[name], expected[name]) for name in expected)
    with pytest.raises(InputError, match="device is"):
        lmcbook.merge_networks(model, a, b, device="cuda:9")


def test_tied_weights_are_merged_once_and_beta_stays_outside_of_them():
    model, a, b = two_of(STRANGERS["tied encoder"])
    words = inputs_of(model, 30)
    labels = labels_of(model, a, words)
    made = lmcbook.merge_networks(model, a, b, calibration=(words, labels))
    assert made.origin["beta_folded_into"] is None and made.inverse_temperature is not None
    tied: Any = made.model
    assert tied.read.weight is tied.embed.weight
    expected = predicted(model, interpolate(a, b, 0.5), words)
    with torch.no_grad():
        torch.testing.assert_close(made.model(words), expected)


@pytest.mark.slow
def test_reports(connection, tmp_path):
    for ending in (".html", ".md", ".json"):
        path = connection.report(tmp_path / f"report{ending}")
        assert connection.verdict.sentence.split(":")[0] in path.read_text(encoding="utf-8")
        with pytest.raises(InputError, match="is there already"):
            connection.report(path)
        connection.report(path, force=True)
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content["rows"][0]["accuracy"] == connection.rows[0].accuracy and content["verdict"]["how"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    loaded = re.findall(r"""(?:src|href)=["'](?!#)|url\((?!#)|@import|<script""", page)
    assert not loaded and "prefers-color-scheme: dark" in page and "<svg role=" in page and len(page) < 100_000
    with pytest.raises(InputError, match="may end in"):
        connection.report(tmp_path / "report.pdf")
    with pytest.raises(InputError, match="no folder"):
        connection.report(tmp_path / "gone" / "report.md")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("medium", "width"), [("screen", 390), ("print", 718)])
def test_a_report_is_readable_on_a_phone_and_on_paper(connection, tmp_path, scheme, medium, width):
    """Nothing sticks out of the page, and ink stands out from what is behind it; 718 points are A4 without margins."""
    path = connection.report(tmp_path / "report.html")
    with opened_browser(tmp_path / "chromium") as browser:
        media = {"media": medium, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        browser.resize(PHONE | {"width": width})
        browser.driver.get(path.as_uri())
        widest, ink, page = browser.run(
            "const root = document.documentElement, body = getComputedStyle(document.body);"
            "const tables = [...document.querySelectorAll('table, svg, pre')].map((each) => "
            "  (each.parentElement.className == 'table' && matchMedia('screen').matches ? each.parentElement : each)"
            "  .getBoundingClientRect().right);"
            "return [Math.max(root.scrollWidth, ...tables), body.color, body.backgroundColor];"
        )
        assert widest <= width
    ink, page = ([int(part) for part in re.findall(r"\d+", colour)[:3]] for colour in (ink, page))
    dark_on_light = scheme == "light" or medium == "print"
    assert (sum(page) - sum(ink)) * (1 if dark_on_light else -1) > 500
