"""What is wrongly typed is found while testing: a shape, and what is no array."""

import pytest
import torch
from beartype.roar import BeartypeCallHintParamViolation
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from lmcbook.evaluation import accuracy
from lmcbook.lab.progress import duration
from tests.helpers.type_checks import tells_shapes


def test_dimensions_of_one_name_are_equal():
    with pytest.raises(TypeCheckError, match="examples"):
        accuracy(torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64))


def test_what_is_no_array_is_checked_too():
    with pytest.raises(BeartypeCallHintParamViolation, match="seconds"):
        duration("soon")  # type: ignore[arg-type]


def test_where_jaxtyping_is_needed():
    image = Float[Tensor, "height width"]
    assert all(map(tells_shapes, (image, image | None, dict[str, list[image]], "Later")))
    assert not any(map(tells_shapes, (int, dict[str, Tensor], list[int] | None)))
