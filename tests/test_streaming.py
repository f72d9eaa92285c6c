"""Datasets in class folders: splits and digest by name, crops as torchvision's, threads that change nothing."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from lmcbook import data
from lmcbook.data import StreamedImages, folders, streaming
from lmcbook.data.decoding import AREA, ATTEMPTS, RATIO, decode, random_box
from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.errors import InputError
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
    folders._read.cache_clear()
    first = copy / "train" / "ant" / "ant_0.JPEG"
    first.rename(first.with_name("renamed.JPEG"))
    renamed = data.dataset_sha256("insects")
    folders._read.cache_clear()
    with (copy / "val" / "ant" / "ant_0.JPEG").open("ab") as file:
        file.write(b"\0")
    assert len({insects.sha256, renamed, data.dataset_sha256("insects")}) == 3


def test_it_is_listed_described_and_in_recipes():
    [row] = [row for row in data.list_datasets() if row["name"] == "insects"]
    assert row["available"] == "yes" and row["examples"] == "54 + 6 + 18"
    assert data.describe("insects").streamed and data.is_available("insects")
    chosen = recipe("resnet50-insects").training
    assert chosen.batch_size == 54 // 8 and chosen.augment


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
            r"imagenet/val holds the file ILSVRC2012_val_1\.JPEG beside 3 class folders; it must hold at least 2",
        ),
        (lambda root: shutil.rmtree(root / "val" / "bee"), r"class folders in one of train and val only \(bee\)"),
        (lambda root: (root / "train" / "dog").mkdir(), r"class folder .*train/dog holds no image"),
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
    mean, std = (torch.tensor(values)[:, None, None] for values in (insects.mean, insects.std))
    for index in (0, 5, 17):
        file = images.folder / images.files[index].decode()
        pixels = torch.from_numpy(decode(file, 224))
        torch.testing.assert_close(whole[index], (pixels / 255 - mean) / std, rtol=1e-5, atol=1e-5)
    assert torch.equal(images[torch.tensor([5, 0])], whole[[5, 0]])
    assert torch.equal(streaming.in_memory(images[3:9]), whole[3:9])
    assert streaming.in_memory(whole) is whole


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
    for size in ((500, 375), (375, 500), (224, 224), (60, 31), (257, 300)):
        file = tmp_path / "image.png"
        Image.fromarray(random.integers(0, 256, size=(*size, 3), dtype=np.uint8)).save(file)
        with Image.open(file) as image:
            expected = np.asarray(transforms(image.convert("RGB"))).transpose(2, 0, 1)
        np.testing.assert_array_equal(decode(file, 224), expected)


def test_a_random_part_is_cut_scaled_and_mirrored_as_torchvision_does(tmp_path):
    import_torchvision()
    from torchvision.transforms.v2 import functional

    file = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, size=(300, 400, 3), dtype=np.uint8)).save(file)
    generator = random_stream(0, "crops")
    for number in range(20):
        draws = torch.rand(ATTEMPTS, 4, generator=generator, dtype=torch.float64).numpy()
        left, upper, right, lower = random_box(draws, 400, 300)
        with Image.open(file) as image:
            part = functional.resized_crop(image, upper, left, lower - upper, right - left, [224, 224])
            part = functional.horizontal_flip(part) if number % 2 else part
        found = decode(file, 224, draws, mirrored=bool(number % 2))
        np.testing.assert_array_equal(found, np.asarray(part).transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (40, 400), (400, 40), (1, 1)])
def test_random_parts_have_the_areas_and_ratios_of_torchvisions(size):
    import_torchvision()
    from torchvision.transforms import RandomResizedCrop

    width, height = size
    draws = torch.rand(4000, ATTEMPTS, 4, generator=random_stream(0, "parts", *size), dtype=torch.float64).numpy()
    boxes = np.array([random_box(each, width, height) for each in draws])
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    image = torch.empty(1, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = np.array([RandomResizedCrop.get_params(image, list(AREA), list(RATIO)) for _ in range(4000)])
    left, upper, right, lower = boxes.T
    ours = np.stack([upper, left, lower - upper, right - left], axis=1)
    # two samples of one distribution: means to four standard errors
    error = np.sqrt(ours.var(axis=0) / 4000 + theirs.var(axis=0) / 4000)
    assert (abs(ours.mean(axis=0) - theirs.mean(axis=0)) <= 4 * error + 1e-9).all()
    assert (abs(ours.std(axis=0) - theirs.std(axis=0)) <= 0.1 * theirs.std(axis=0) + 1e-9).all()


def test_crops_do_not_depend_on_threads_nor_on_how_a_batch_is_divided(insects):
    images = insects.train.images
    chosen = torch.arange(20)
    crops = streaming.Crops.of(20, random_stream(0, "augment", 0, 0))
    [expected] = images.batches([(chosen, crops)])
    one_thread = StreamedImages(folder=images.folder, files=images.files, workers=1)
    half = torch.arange(10, 20)
    found = list(one_thread.batches([(chosen, crops), (half, crops[half])]))
    assert torch.equal(found[0], expected) and torch.equal(found[1], expected[10:])
    plain = images[chosen]
    assert not torch.equal(plain, expected) and crops.mirrored.float().mean() not in (0, 1)


def test_a_damaged_file_is_named(insects, tmp_path):
    images = insects.train.images
    broken = tmp_path / "broken.JPEG"
    broken.write_bytes(b"no image")
    spoiled = StreamedImages(folder=images.folder, files=np.array([*images.files[:2], str(broken).encode()]))
    with pytest.raises(InputError, match=r"broken\.JPEG cannot be read as an image .*; replace or remove it"):
        list(spoiled.split(1))


# --- training and measuring -------------------------------------------------------------------------------------------


def small(**changes):
    training = replace(recipe("resnet50-insects").training, width_multiplier=1 / 32, epochs=1, warmup_epochs=0.0)
    return replace(training, **{"batch_size": 18, "learning_rate": 0.01, **changes})


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
def test_imagenets_layout_goes_all_the_way_from_training_to_record(measurement, alignment, tmp_path, monkeypatch):
    from lmcbook.lab.pipeline import measure
    from lmcbook.lab.records import read_records, write_record

    pair = PairConfig(
        training=small(),
        measurement=measurement,
        alignment=alignment,
        num_coefficients=3,
        batch_norm_examples=36,
        matching_examples=18,
    )
    record = measure(PlannedPair(scale="paper", recipe="resnet50-insects", pair=pair), progress=False)
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
    from lmcbook.lab.pipeline import measure

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
        record = measure(PlannedPair(scale="paper", recipe=chosen.name, pair=pair), progress=False)
        assert record.dataset_sha256 == data.dataset_sha256("cifar100")
    assert data.load("cifar100").num_classes == 100 and data.load("cifar100").class_names == names
