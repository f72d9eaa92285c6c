"""Examples in every form that people have them in, and what is refused."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lmcbook.data import Split
from lmcbook.errors import InputError
from lmcbook.models.examples import as_examples, as_images

IMAGES, LABELS = torch.arange(7 * 4.0).reshape(7, 1, 2, 2), torch.arange(7)
SPLIT = Split(images=IMAGES, labels=LABELS)
LABELLED = {
    "a split": SPLIT,
    "a tuple": (IMAGES, LABELS),
    "a loader": DataLoader(TensorDataset(IMAGES, LABELS), batch_size=3),
    "a list of tuples": [(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])],
    "a generator": None,
}
UNLABELLED = {"a tensor": IMAGES, "a list of tensors": [IMAGES[:4], IMAGES[4:]]}


def made(form: str):
    if form == "a generator":
        return (pair for pair in [(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])])
    return {**LABELLED, **UNLABELLED}[form]


@pytest.mark.parametrize("form", LABELLED)
def test_labelled_examples_of_any_form_are_the_same_examples(form):
    found = as_examples("test", made(form))
    assert torch.equal(found.images, IMAGES) and torch.equal(found.labels, LABELS)


@pytest.mark.parametrize("form", [*LABELLED, *UNLABELLED])
def test_images_of_any_form_are_the_same_images(form):
    assert torch.equal(as_images("images", made(form)), IMAGES)


def test_what_is_in_memory_already_is_not_copied():
    assert as_images("images", IMAGES) is IMAGES and as_images("images", SPLIT) is IMAGES
    assert as_examples("test", SPLIT) is SPLIT


@pytest.mark.parametrize("given", [None, "digits", 3, [], IMAGES, [IMAGES], (IMAGES,), {"images": IMAGES}])
def test_examples_without_labels_are_refused_in_one_line(given):
    with pytest.raises(InputError, match=r"^test is .*; it may be \(images, labels\), .* such as a DataLoader$"):
        as_examples("test", given)


@pytest.mark.parametrize("given", [None, "digits", 3, [], [3], {"images": IMAGES}])
def test_what_holds_no_images_is_refused_in_one_line(given):
    with pytest.raises(InputError, match=r"^images is .*; it may be a tensor, .* such as a DataLoader$"):
        as_images("images", given)


def test_as_many_labels_as_images():
    with pytest.raises(InputError, match="test holds 7 images and 6 labels; give one label for each image"):
        as_examples("test", (IMAGES, LABELS[:6]))
