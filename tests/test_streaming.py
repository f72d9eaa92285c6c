"""Datasets in class folders: splits and digest by name, crops as torchvision's, threads that change nothing."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lmcbook import data
from lmcbook.connecting import inputs
from lmcbook.data import StreamedImages, folders, streaming
from lmcbook.data.folders import MEAN, STD
from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.errors import InputError
from lmcbook.errors.arrays import is_in_memory
from lmcbook.lab import store
from lmcbook.lab.config import PairConfig
from lmcbook.lab.plan import PlannedPair, recipe
from lmcbook.randomness import random_stream
from lmcbook.training import TimeIsUp, train
from tests.helpers.jpeg_folders import write_folders


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of datasets, with one called ``insects``."""
    folder = tmp_path_factory.mktemp("data")
    write_folders(folder / "insects")
    return folder


@pytest.fixture(autouse=True)
def folder(written, monkeypatch):
    monkeypatch.setenv("LMCBOOK_DATA", str(written))
    return written


@pytest.fixture
def insects():
    return data.load("insects")


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_the_three_splits_are_disjoint_stratified_and_complete(insects, folder):
    assert (len(insects.train), len(insects.calibration), len(insects.test)) == (54, 6, 18)
    assert insects.class_names == ("ant", "bee", "cat") and insects.num_classes == 3
    assert insects.input_shape == (3, 224, 224)
    assert insects.calibration.labels.bincount().tolist() == [2, 2, 2]
    parts = {part: set(getattr(insects, part).images.files) for part in ("train", "calibration", "test")}
    assert not parts["train"] & parts["calibration"]
    assert {file.decode() for file in parts["train"] | parts["calibration"]} == {
        str(path.relative_to(folder / "insects")) for path in folder.glob("insects/train/*/*")
    }
    for split in (insects.train, insects.calibration, insects.test):
        names = [insects.class_names[label] for label in split.labels.tolist()]
        assert [file.decode().split("/")[1] for file in split.images.files] == names


def test_the_order_is_that_of_the_hashes_of_the_paths(insects):
    keys = [hashlib.sha256(file).digest() for file in insects.test.images.files]
    assert keys == sorted(keys)
    # so the first ones are a fair sample
    assert len(insects.train.labels[:20].unique()) == 3


def test_the_digest_knows_names_and_sizes(insects, tmp_path, monkeypatch):
    copy = tmp_path / "insects"
    shutil.copytree(folders.folder_of("insects"), copy)
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    assert data.dataset_sha256("insects") == insects.sha256
    first = copy / "train" / "ant" / "ant_0.JPEG"
    first.rename(first.with_name("renamed.JPEG"))
    renamed = data.dataset_sha256("insects")
    longer = copy / "val" / "ant" / "ant_0.JPEG"
    new = tmp_path / "new"
    new.write_bytes(longer.read_bytes() + b"\0")
    new.replace(longer)
    assert len({insects.sha256, renamed, data.dataset_sha256("insects")}) == 3


def test_a_change_in_any_folder_is_seen_in_the_same_process(tmp_path, monkeypatch):
    copy = tmp_path / "insects"
    shutil.copytree(folders.folder_of("insects"), copy)
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    inner = copy / "train" / "bee" / "inner"
    inner.mkdir()
    seen = [folders.read_folder("insects")]
    assert folders.read_folder("insects") is seen[0], "nothing is read twice"

    def changes() -> Iterator[object]:
        yield shutil.copy(copy / "train" / "bee" / "bee_0.JPEG", inner / "more.JPEG")
        yield (inner / "more.JPEG").rename(inner / "other.JPEG")
        shutil.rmtree(inner)
        yield None

    for _ in changes():
        seen.append(folders.read_folder("insects"))
    assert [len(each.train.files) for each in seen] == [60, 61, 61, 60]
    assert len({each.sha256 for each in seen}) == 3 and seen[0].sha256 == seen[-1].sha256
    (copy / "odd").mkdir()
    with pytest.raises(InputError, match="odd lies beside train/ and val/"):
        folders.read_folder("insects")


def test_it_is_listed_described_and_in_recipes():
    [row] = [row for row in data.list_datasets() if row["name"] == "insects"]
    assert row["available"] == "yes" and row["examples"] == "54 + 6 + 18"
    assert data.describe("insects").streamed and data.is_available("insects")
    chosen = recipe("resnet50-insects").training
    assert chosen.batch_size == 54 // 2 and chosen.augment


def test_imagenet_is_described_without_data_and_says_where_it_has_to_be(folder):
    facts = data.describe("imagenet")
    assert facts.num_train + facts.num_calibration == 1_281_167 and facts.num_test == 50_000
    assert facts.num_calibration == 1_281_167 // 10
    assert not data.is_available("imagenet")
    for ask in (data.load, data.dataset_sha256, data.get):
        with pytest.raises(
            InputError, match=rf"dataset 'imagenet' is missing: .*{folder}/imagenet .*train/CLASS/\*\.JPEG"
        ):
            ask("imagenet")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: shutil.rmtree(root / "val"), r"imagenet has no folder val; it must hold train/CLASS"),
        (
            lambda root: (root / "val" / "ILSVRC2012_val_1.JPEG").touch(),
            r"imagenet/val/ILSVRC2012_val_1\.JPEG is not in a class folder; images belong into",
        ),
        # its own test/ has no labels, whatever it is sorted into
        (lambda root: shutil.copytree(root / "val", root / "test"), r"holds 3 classes, 6 training and 3 test images"),
        (lambda root: (root / "test" / "0").mkdir(parents=True), r"holds 3 classes, 6 training and 3 test images"),
        (lambda root: (root / "val").rename(root / "test"), r"imagenet has no folder val; it must hold train/CLASS"),
        (lambda root: shutil.rmtree(root / "val" / "bee"), r"class folders in one of train and val only \('bee'\)"),
        (lambda root: (root / "train" / "dog").mkdir(), r"class folder .*train/dog holds 0 image"),
        (
            lambda root: None,
            r"holds 3 classes, 6 training and 3 test images; imagenet has 1,000 classes, 1,281,167 training and 50,000",
        ),
    ],
)
def test_a_wrong_layout_is_one_line(tmp_path, monkeypatch, spoil, message):
    root = write_folders(tmp_path / "imagenet", train=2, val=1)
    spoil(root)
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        data.load("imagenet")
    assert "\n" not in str(caught.value)


def test_a_name_that_folders_have_cannot_be_imported(tmp_path):
    with pytest.raises(InputError, match="name is 'insects', and .*insects is a dataset already"):
        data.import_images(tmp_path, "insects")


# --- images -----------------------------------------------------------------------------------------------------------


def test_streamed_images_are_those_of_the_files(insects):
    images = insects.test.images
    batches = list(images.split(7))
    assert [len(batch) for batch in batches] == [7, 7, 4]
    whole = torch.cat(batches)
    assert torch.equal(images[torch.tensor([5, 0])], whole[[5, 0]])
    assert torch.equal(streaming.in_memory(images[3:9]), whole[3:9])
    assert streaming.in_memory(whole) is whole
    # a kind of tensor of somebody's own lies in memory too, unless it says otherwise
    assert [is_in_memory(each) for each in (images, whole, torch.nn.Parameter(whole))] == [False, True, True]


def test_a_comparison_takes_streamed_images_to_its_device_and_compares_none_of_their_pixels(insects):
    images = insects.test.images
    moved = inputs._as(images, torch.float64, "meta")
    assert isinstance(moved, StreamedImages) and moved.device.type == "meta" and list(moved.files) == list(images.files)
    assert inputs._same_examples(images, images) and not inputs._same_examples(torch.zeros(images.shape), images)


def test_streamed_images_look_like_a_tensor_and_refuse_to_be_computed_with(insects):
    images = insects.train.images
    assert isinstance(images, torch.Tensor) and images.shape == (54, 3, 224, 224) and images.dtype == torch.float32
    assert len(images[:10]) == 10 and isinstance(images[:10], StreamedImages)
    assert images.to("meta").device.type == "meta" and images.device.type == "cpu"
    assert repr(images).startswith("StreamedImages(54 files in ")
    for compute in (lambda: images + 1, lambda: images.mean(), lambda: torch.nn.Flatten()(images)):
        with pytest.raises(InputError, match="cannot be computed with as a whole .* take them in batches with split"):
            compute()
    with pytest.raises(InputError, match="batch_size is 0"):
        next(iter(images.split(0)))


def test_the_centre_is_what_torchvision_cuts(tmp_path):
    import_torchvision()
    from torchvision.transforms import v2

    transforms = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])
    random = np.random.default_rng(1)
    sizes = ((500, 375), (375, 500), (224, 224), (60, 31), (257, 300))
    for number, size in enumerate(sizes):
        pixels = random.integers(0, 256, size=(*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    images = StreamedImages(folder=tmp_path, files=np.array([f"{number}.png".encode() for number in range(5)]))
    for number, found in enumerate(images.split(1)):
        with Image.open(tmp_path / f"{number}.png") as image:
            expected = np.asarray(transforms(image.convert("RGB"))).transpose(2, 0, 1) / 255
        mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
        np.testing.assert_allclose(found[0].numpy(), (expected - mean) / std, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_seed_alone_decides_which_part_is_taken_and_whether_it_is_mirrored(insects):
    """Neither workers, nor the rest of the batch, nor torch's global stream; and each seed takes another part."""
    images = insects.train.images
    chosen, seeds = torch.arange(20), torch.randint(2**63 - 1, (20,), generator=random_stream(0, "augment", 0, 0))
    before = torch.random.get_rng_state()
    [expected] = images.batches([(chosen, seeds)])
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    workers = StreamedImages(folder=images.folder, files=images.files, workers=2)
    half = torch.arange(10, 20)
    found = list(workers.batches([(chosen, seeds), (half, seeds[half])]))
    assert torch.equal(found[0], expected) and torch.equal(found[1], expected[10:])
    one = torch.zeros(20, dtype=torch.int64)
    [parts] = images.batches([(one, seeds)])
    assert len(torch.unique(parts.flatten(1), dim=0)) == 20
    assert not torch.equal(images[chosen], expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_one_line_with_and_without_workers(insects, tmp_path, workers):
    broken = tmp_path / "broken.JPEG"
    broken.write_bytes(b"no image")
    files = np.array([*insects.train.images.files[:2], str(broken).encode()])
    spoiled = StreamedImages(folder=insects.train.images.folder, files=files, workers=workers)
    with pytest.raises(InputError, match=r"broken\.JPEG cannot be read as an image .*; replace or remove it") as caught:
        list(spoiled.split(2))
    assert "\n" not in str(caught.value)


def test_hidden_folders_and_files_are_no_class_and_no_image(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "insects", tmp_path / "insects")
    (tmp_path / "insects" / "train" / ".ipynb_checkpoints").mkdir()
    shutil.copy(tmp_path / "insects/train/ant/ant_0.JPEG", tmp_path / "insects/train/ant/._ant_0.JPEG")
    expected = data.load("insects").sha256
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    assert data.load("insects").sha256 == expected


# --- training and measuring -------------------------------------------------------------------------------------------


def small(**changes):
    training = replace(recipe("resnet50-insects").training, width_multiplier=1 / 32, epochs=1, warmup_epochs=0.0)
    return replace(training, **{"batch_size": 18, "learning_rate": 0.01, **changes})


@pytest.mark.slow
def test_a_training_goes_on_in_the_middle_of_an_epoch_to_the_bit(insects, tmp_path):
    whole = train(small(), insects, progress=False)
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(TimeIsUp):
        train(small(), insects, progress=False, checkpoint=checkpoint, deadline=0.0)
    resumed = train(small(), insects, progress=False, checkpoint=checkpoint)
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in whole.state.items())
    assert resumed.history == whole.history
    plain = train(small(augment=False), insects, progress=False)
    assert plain.history != whole.history


@pytest.fixture(scope="module")
def one_store(tmp_path_factory) -> Path:
    """Of runs: the pair is trained once for all that is measured of it."""
    return tmp_path_factory.mktemp("store")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measurement", "alignment"),
    [
        ("interpolation", "identity"),
        ("interpolation", "weight_matching"),
        ("interpolation", "activation_matching"),
        ("layerwise", "identity"),
        ("calibration", "identity"),
    ],
)
def test_imagenets_layout_goes_all_the_way_from_training_to_record(
    measurement, alignment, one_store, tmp_path, monkeypatch
):
    monkeypatch.setenv("LMCBOOK_RUNS", str(one_store))
    from lmcbook.lab.missing import Bench
    from lmcbook.lab.records import read_records, write_record

    pair = PairConfig(
        training=small(),
        measurement=measurement,
        alignment=alignment,
        num_coefficients=3,
        batch_norm_examples=36,
        matching_examples=18,
    )
    record = Bench(progress=False).measure(PlannedPair(scale="paper", recipe="resnet50-insects", pair=pair))
    assert record.dataset_sha256 == data.dataset_sha256("insects")
    write_record(record, tmp_path)
    [read] = read_records(tmp_path)
    if measurement == "interpolation":
        curve = read.data["curve"]
        assert all(0 <= value <= 1 for value in curve["accuracy"]) and all(np.isfinite(curve["loss"]))
    if measurement == "layerwise":
        apart = [entry["layer"] for entry in read.data["layers"] if entry["depth"] is None]
        assert apart == [f"stage{stage}.block1.shortcut" for stage in (1, 2, 3, 4)]
    assert store.is_stored(pair.training_a) and store.is_stored(pair.training_b)


@pytest.mark.slow
def test_cifar100s_layout_goes_all_the_way_from_training_to_record(tmp_path, monkeypatch):
    from lmcbook.data.files import Arrays, path_of, write_arrays
    from lmcbook.lab.missing import Bench

    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    random = np.random.default_rng(0)

    def images(examples: int) -> np.ndarray:
        return random.integers(0, 256, size=(examples, 3, 32, 32), dtype=np.uint8)

    labels = np.arange(1200) % 100
    arrays = Arrays(
        train_images=images(1200), train_labels=labels, test_images=images(200), test_labels=labels[:200].copy()
    )
    names = tuple(f"class {number}" for number in range(100))
    write_arrays(path_of("cifar100"), arrays, names, data.catalogue.digest_of_arrays(arrays))
    chosen = recipe("resnet20-cifar100")
    assert chosen.training.augment and chosen.training.epochs == 20 and chosen.training.batch_size == 500
    training = replace(chosen.training, width_multiplier=0.125, epochs=1, warmup_epochs=0.0, batch_size=100)
    for measurement in ("interpolation", "layerwise"):
        pair = PairConfig(training=training, measurement=measurement, num_coefficients=3, batch_norm_examples=200)
        record = Bench(progress=False).measure(PlannedPair(scale="paper", recipe=chosen.name, pair=pair))
        assert record.dataset_sha256 == data.dataset_sha256("cifar100")
    assert data.load("cifar100").num_classes == 100 and data.load("cifar100").class_names == names
