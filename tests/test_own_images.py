"""Images of one's own: one set of rules for importing and streaming, all problems at once, and a report of the rest."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmcbook import data
from lmcbook.__main__ import main
from lmcbook.data.class_folders import parts_of
from lmcbook.data.pictures import FIRST_OF_SEVERAL, ON_WHITE, OTHER_COLOURS, SIXTEEN_BITS, TURNED, read_picture
from lmcbook.data.streaming import StreamedImages
from lmcbook.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def images(tmp_path):
    """Class folders of small images, all of them different."""
    return write(tmp_path / "images")


def write(root, classes=("ant", "bee"), number=10, suffix=".png", seed=0):
    random = np.random.default_rng(seed)
    for name in classes:
        for index in range(number):
            picture(random, root / name / f"{index}{suffix}")
    return root


def picture(random, path, size=(6, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


def import_report(images, **options):
    lines: list[str] = []
    dataset = data.import_images(images, "own", tell=lines.append, **options)
    return dataset, "\n".join(lines)


# --- one picture ------------------------------------------------------------------------------------------------------


def turned(image, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / f"turned{suffix}", exif=exif)
    return read_picture(tmp_path / f"turned{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_photographs_are_turned_as_people_see_them(tmp_path, suffix, mode):
    stored = np.zeros((8, 16), dtype=np.uint8)
    stored[:, 8:] = 255  # white on the right becomes white below
    found = turned(Image.fromarray(stored).convert(mode), suffix, tmp_path)
    assert found.image.size == (8, 16) and TURNED in found.changes
    seen = np.asarray(found.image.convert("L")).astype(int)
    assert seen[:6].max() < 40 and seen[-6:].min() > 215


@pytest.mark.parametrize(
    ("mode", "suffix", "becomes"),
    [
        ("1", ".png", "L"),
        ("L", ".jpg", "L"),
        ("P", ".png", "RGB"),
        ("P", ".gif", "RGB"),
        ("RGB", ".bmp", "RGB"),
        ("RGB", ".ppm", "RGB"),
        ("CMYK", ".jpg", "RGB"),
        ("CMYK", ".tif", "RGB"),
        ("YCbCr", ".tif", "RGB"),
        ("LAB", ".tif", "RGB"),
        ("LA", ".png", "L"),
        ("RGBA", ".webp", "RGB"),
    ],
)
def test_modes_become_grey_or_rgb(tmp_path, mode, suffix, becomes):
    Image.new(mode, (5, 4)).save(tmp_path / f"a{suffix}")
    found = read_picture(tmp_path / f"a{suffix}")
    assert (found.image.mode, found.image.size) == (becomes, (5, 4))
    assert (OTHER_COLOURS in found.changes) == (mode in ("CMYK", "YCbCr", "LAB"))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, suffix):
    values = np.array([[0, 8000, 16000, 65535]], dtype=np.uint16)
    if suffix == ".pgm":
        (tmp_path / "a.pgm").write_bytes(b"P5 4 1 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / f"a{suffix}")
    found = read_picture(tmp_path / f"a{suffix}")
    assert np.asarray(found.image).tolist() == [[0, 31, 62, 255]] and found.changes == (SIXTEEN_BITS,)


def test_what_nobody_sees_makes_no_difference(tmp_path):
    """Hidden colours, the key colour of a palette, of grey, of 16 bits: white, as on paper."""
    clear = np.zeros((3, 3, 1), dtype=np.uint8)
    for hidden in (0, 255):
        colours = np.full((3, 3, 3), hidden, dtype=np.uint8)
        Image.fromarray(np.concatenate([colours, clear], axis=2)).save(tmp_path / f"{hidden}.png")
    Image.new("P", (3, 3)).save(tmp_path / "palette.png", transparency=0)
    Image.new("L", (3, 3), 7).save(tmp_path / "grey.png", transparency=7)
    Image.fromarray(np.full((3, 3), 300, dtype=np.uint16)).save(tmp_path / "deep.png", transparency=300)
    for file in sorted(tmp_path.glob("*.png")):
        found = read_picture(file)
        assert ON_WHITE in found.changes and np.asarray(found.image).min() == 255, file
    Image.new("RGBA", (3, 3), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
    found = read_picture(tmp_path / "opaque.png")
    assert found.changes == () and found.image.getpixel((0, 0)) == (1, 2, 3)


def test_of_several_frames_the_first_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for suffix in (".gif", ".png", ".tif"):
        frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
        found = read_picture(tmp_path / f"a{suffix}")
        assert found.image.getpixel((0, 0)) == (255, 0, 0) and found.changes == (FIRST_OF_SEVERAL,)
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert read_picture(tmp_path / "a.jpg").changes == ()  # a photograph with a preview


@pytest.mark.parametrize("mode", ["F", "I"])
def test_more_than_sixteen_bits_are_refused(tmp_path, mode):
    Image.new(mode, (3, 3)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=rf"a\.tif has mode {mode}; save it as grey or RGB of 8 or 16 bits"):
        read_picture(tmp_path / "a.tif")


def test_streamed_images_follow_the_same_rules(tmp_path):
    """A 16-bit image of even grey is that grey, and what is hidden by transparency does not show."""
    Image.fromarray(np.full((250, 250), 16000, dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (250, 250), (0, 200, 0, 0)).save(tmp_path / "clear.png")
    files = np.array([b"deep.png", b"clear.png"])
    deep, clear = StreamedImages(folder=tmp_path, files=files).split(1)
    mean, std = (np.array(values)[:, None, None] for values in (data.folders.MEAN, data.folders.STD))
    np.testing.assert_allclose(deep[0].numpy() * std + mean, 62 / 255, atol=1e-5)
    np.testing.assert_allclose(clear[0].numpy() * std + mean, 1, atol=1e-5)


# --- folders ----------------------------------------------------------------------------------------------------------


def test_other_suffixes_and_nested_folders_count_in_both_ways(images, folder):
    random = np.random.default_rng(9)
    for name in ("ant/a.WEBP", "ant/b.JPG", "bee/c.gif", "bee/more/d.tif", "bee/more/e.png/f.bmp"):
        picture(random, images / name)
    imported, report = import_report(images)
    assert imported.num_examples == 25 and "taken: 2 images in folders inside class folders" in report
    for part in ("train", "val"):
        shutil.copytree(images, folder / "streamed" / part)
    streamed = data.describe("streamed")
    assert (streamed.num_train + streamed.num_calibration, streamed.num_test) == (25, 25)


def test_what_systems_leave_behind_is_no_class_and_no_image(images, folder):
    expected = data.import_images(images, "clean", tell=lambda line: None).sha256
    for name in ("__MACOSX/ant/._0.png", ".ipynb_checkpoints/0.png", "ant/Thumbs.db", "bee/desktop.ini", ".DS_Store"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).write_bytes(b"no image")
    (images / "ant" / "._1.png").write_bytes(b"no image")
    (images / "bee" / "notes.txt").write_text("from the zoo")
    imported, report = import_report(images)
    assert imported.sha256 == expected and imported.class_names == ("ant", "bee")
    assert "left out: 6 (files of the system): .DS_Store, .ipynb_checkpoints, __MACOSX, and 3 more" in report
    assert "left out: 1 (no images): bee/notes.txt" in report


@pytest.mark.parametrize(
    ("parts", "used"),
    [
        (("train", "test"), ("train", "test")),
        (("train", "val"), ("train", "val")),
        (("train", "valid"), ("train", "valid")),
        (("Train", "Validation"), ("Train", "Validation")),
        (("training", "val", "test"), ("training", "test")),
    ],
)
def test_layouts_of_two_and_three_parts(tmp_path, folder, parts, used):
    for number, part in enumerate(parts):
        write(tmp_path / "images" / part, number=6 + number, seed=number)
    imported, report = import_report(tmp_path / "images")
    assert parts_of(tmp_path / "images") == used
    assert imported.num_test == 2 * (6 + parts.index(used[1])) and imported.num_train + imported.num_calibration == 12
    assert (f"test: the images of {used[1]}/" in report) == (used[1] != "test")
    assert ("left out: 1 (a test set is there already): val" in report) == (len(parts) == 3)
    shutil.copytree(tmp_path / "images", folder / "streamed")
    assert data.describe("streamed").num_test == imported.num_test


def test_a_test_folder_without_classes_does_not_hide_the_other(tmp_path):
    for part in ("train", "val"):
        write(tmp_path / "images" / part, seed=len(part))
    picture(np.random.default_rng(5), tmp_path / "images" / "test" / "unlabelled.png")
    imported, report = import_report(tmp_path / "images")
    assert imported.num_test == 20 and "left out: 1 (no class folders in it): test" in report


@pytest.mark.parametrize("unlabelled", ["images/1.png", "test/1.png", "0/1.png"])
def test_a_test_folder_with_other_folders_than_the_classes_does_not_hide_the_other(tmp_path, folder, unlabelled):
    for part in ("train", "valid"):
        write(tmp_path / "images" / part, seed=len(part))
    place = tmp_path / "images" / "test" / unlabelled
    place.parent.mkdir(parents=True)
    picture(np.random.default_rng(5), place)
    imported, report = import_report(tmp_path / "images")
    assert imported.num_test == 20 and "left out: 1 (its folders are not the classes of train/): test" in report
    shutil.copytree(tmp_path / "images", folder / "streamed")
    assert data.describe("streamed").num_test == 20


def test_a_class_that_one_part_lacks_is_still_said(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / "images" / part, seed=len(part))
    (tmp_path / "images" / "test" / "bee").rename(tmp_path / "images" / "test" / "cat")
    with pytest.raises(InputError, match=r"class folders in one of train and test only \('bee', 'cat'\)"):
        import_report(tmp_path / "images")


def test_all_that_has_to_be_mended_is_said_at_once(images):
    for index in range(5):
        (images / "ant" / f"{index}.png").write_bytes(b"no image")
    (images / "bee" / "new.heic").write_bytes(b"")
    picture(np.random.default_rng(1), images / "loose.png")
    picture(np.random.default_rng(1), images / "bee" / "large.png", size=(9, 9))
    with pytest.raises(InputError, match=r"has 8 things to be mended: .*; and 5 more$") as caught:
        data.import_images(images, "own")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"images holds 1 class folder\(s\); .*images/ant holds 2: is that the folder"):
        data.import_images(write(images.parent / "deep" / "images", ("ant/x", "ant/y")), "own")


def test_a_damaged_image_among_many_is_named(images):
    file = images / "bee" / "7.png"
    file.write_bytes(file.read_bytes()[:70])
    with pytest.raises(InputError, match=r"^\S*bee/7\.png cannot be read as an image \(.+\); replace or remove it$"):
        data.import_images(images, "own")


def test_links_are_followed_but_not_in_circles(images, tmp_path):
    write(tmp_path / "elsewhere", classes=("cat",), seed=3)
    (images / "cat").symlink_to(tmp_path / "elsewhere" / "cat", target_is_directory=True)
    (images / "ant" / "again").symlink_to(images / "ant", target_is_directory=True)
    (images / "bee" / "above").symlink_to(images, target_is_directory=True)
    imported, report = import_report(images)
    assert imported.class_names == ("ant", "bee", "cat") and imported.num_examples == 30
    assert "left out: 2 (links that lead back): ant/again, bee/above" in report


# --- sizes and colours ------------------------------------------------------------------------------------------------


def test_images_of_many_sizes_need_a_size_and_are_cropped_to_their_middle(images):
    stripes = np.zeros((10, 30, 3), dtype=np.uint8)
    stripes[:, 10:20] = 200  # the middle square
    Image.fromarray(stripes).save(images / "ant" / "wide.png")
    with pytest.raises(InputError, match=r"20 are 6×6, ant/wide\.png is 30×10; .*--name own --resize 32`"):
        data.import_images(images, "own")
    imported, report = import_report(images, resize=8)
    assert imported.input_shape == (3, 8, 8) and "changed: 20 enlarged, since they were smaller" in report
    loaded = data.load("own")
    middle = (200 - np.array(loaded.mean) * 255) / (np.array(loaded.std) * 255)
    every = [image for part in (loaded.train, loaded.calibration, loaded.test) for image in part.images.numpy()]
    assert min(np.abs(image - middle[:, None, None]).max() for image in every) < 0.2  # the filter overshoots
    for resize in (0, -3, 5000):
        with pytest.raises(
            InputError, match=f"resize is {resize}; it must be a whole number at least 1 and at most 4096"
        ):
            data.import_images(images, "other", resize=resize)


def test_grey_images_among_others_are_held_as_rgb(images):
    Image.new("L", (6, 6), 90).save(images / "ant" / "grey.png")
    imported, report = import_report(images)
    assert imported.input_shape == (3, 6, 6) and "changed: 1 grey, held as RGB like the others" in report


def test_what_would_not_fit_into_memory_is_refused_before_all_is_read(images, monkeypatch):
    monkeypatch.setattr("lmcbook.data.importing.MOST_BYTES", 1000)
    with pytest.raises(InputError, match=r"holds 20 images like .* \(RGB 6×6\), which is too much .* --resize 32"):
        data.import_images(images, "own")


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_command_says_where_how_many_and_what_is_next(images, folder, capsys):
    assert main(["data", "import", str(images), "--name", "own", "--resize", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"own: 2 classes of RGB images 4×4, in {folder}/own.safetensors"
    assert [line.split() for line in lines[1:5]] == [
        ["class", "train", "calibration", "test"],
        ["ant", "7", "1", "2"],
        ["bee", "8", "0", "2"],
        ["all", "15", "1", "4"],
    ]
    loaded = data.load("own")
    assert loaded.train.labels.bincount().tolist() == [7, 8] and loaded.test.labels.bincount().tolist() == [2, 2]
    assert lines[-1].startswith("next, in a checkout: papermill notebooks/01_width.ipynb own.ipynb -p recipe mlp-own ")


def test_images_in_train_and_test_are_told_loudly(images, tmp_path, capsys):
    for part in ("train", "test"):
        shutil.copytree(images, tmp_path / "leak" / part)
    data.import_images(tmp_path / "leak", "leak")
    told = capsys.readouterr().err
    assert "WARNING: 20 of 20 test images are among the training images too" in told
    assert "test/ant/0.png = train/ant/0.png" in told


def test_a_folder_that_could_be_streamed_can_be_imported_under_its_name(images, folder):
    for part, number in (("train", 10), ("test", 4)):
        write(folder / "own" / part, number=number, seed=number)
    assert data.describe("own").streamed
    with pytest.raises(InputError, match=r"name is 'own', and .*own is a dataset already"):
        data.import_images(images, "own")
    imported, _ = import_report(folder / "own")
    assert not imported.streamed and data.load("own").input_shape == (3, 6, 6)
    assert [row["shape"] for row in data.list_datasets() if row["name"] == "own"] == ["3×6×6"]


def test_copies_in_a_class_and_in_two_classes_are_told(images):
    shutil.copy(images / "ant" / "0.png", images / "ant" / "copy.jpeg.png")
    shutil.copy(images / "bee" / "0.png", images / "ant" / "bee.png")
    _, report = import_report(images)
    assert "WARNING: in two classes, 1 image(s): " in report
    assert "note: copies of others of their part, 1 image(s): " in report or "among the training images too" in report


def test_classes_that_look_alike_are_told(images):
    write(images, classes=("Ant", "caf\u00e9", "cafe\u0301"), seed=4)
    imported, report = import_report(images)
    assert imported.num_classes == 5
    assert "note: the classes 'Ant' and 'ant' look alike, but are two classes" in report
    assert report.count("look alike") == 2


# --- names, and files of datasets -------------------------------------------------------------------------------------


def test_names_that_are_not_utf_8_are_imported_listed_and_loaded(images, folder, capsys):
    os.rename(os.fsencode(images / "ant"), os.fsencode(images) + b"/caf\xe9")
    (images / "bee" / "0.png").rename(os.fsdecode(os.fsencode(images / "bee") + b"/b\xe9e.png"))
    for part in ("train", "val"):
        shutil.copytree(images, folder / "streamed" / part)
    imported, _ = import_report(images)
    assert imported.class_names == ("bee", "caf\\xe9") == data.load("own").class_names
    assert data.load("streamed").class_names == imported.class_names
    assert main(["data", "list"]) == 0 and "streamed" in capsys.readouterr().out
    assert main(["data", "import", str(images), "--name", "other"]) == 0 and "caf\\xe9" in capsys.readouterr().out


def test_a_line_break_in_a_file_name_breaks_no_line(images):
    (images / "ant" / "a\nb.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"ant/a\\nb\.png cannot be read as an image") as caught:
        data.import_images(images, "own")
    assert "\n" not in str(caught.value)
    (images / "ant" / "a\nb.png").rename(images / "ant" / "c\nd.txt")
    assert "left out: 1 (no images): ant/c\\nd.txt" in import_report(images)[1].splitlines()


def test_a_long_name_is_one_short_line(images):
    with pytest.raises(InputError, match=r"name is 'x{39}…' \(300 letters\); it may have .* at most 100"):
        data.import_images(images, "x" * 300)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.mkdir(),
        lambda path: path.symlink_to(path),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: path.write_bytes((2).to_bytes(8, "little") + b"[]"),
    ],
)
def test_one_damaged_dataset_does_not_hide_the_others(images, folder, spoil, capsys):
    data.import_images(images, "own")
    spoil(folder / "damaged.safetensors")
    rows = {row["name"]: row for row in data.list_datasets()}
    assert rows["own"]["available"] == "yes"
    for ask in (data.describe, data.load):
        with pytest.raises(InputError, match=r"damaged") as caught:
            ask("damaged")
        assert "\n" not in str(caught.value)


def test_names_of_classes_are_checked_too(images, folder):
    data.import_images(images, "own")
    file = folder / "own.safetensors"
    spoiled = file.read_bytes().replace(b"ant", b"ape")
    assert spoiled != file.read_bytes()
    file.write_bytes(spoiled)
    with pytest.raises(InputError, match=r"own\.safetensors cannot be read \(the names of its classes are not those"):
        data.load("own")


def test_a_folder_that_must_not_be_read_is_no_dataset_and_hides_none(folder, monkeypatch):
    (folder / "closed" / "train").mkdir(parents=True)
    real = os.scandir

    def scandir(path):
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "closed" not in data.known_names()
    with pytest.raises(InputError, match=r"closed cannot be read \(Permission denied\)"):
        data.import_images(Path(folder / "closed"), "own")
