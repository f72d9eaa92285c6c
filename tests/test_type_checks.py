"""What is wrongly typed is found while testing: a shape, and what is no array."""

import gc
import weakref

import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintParamViolation, BeartypeCallHintViolation
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from lmcbook.evaluation import accuracy
from lmcbook.lab.progress import duration
from tests.helpers.type_checks import CALLS, _nested, begin_a_test, checked, tells_shapes


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


def test_the_first_calls_in_each_test_are_checked():
    @checked(typechecker=beartype)
    def plain(number: int) -> int:
        return number

    @checked(typechecker=beartype)
    def shaped(image: Float[Tensor, "side side"]) -> Tensor:
        return image

    long = torch.zeros(3, 2)
    for _ in range(2):
        begin_a_test()
        for _ in range(CALLS):
            with pytest.raises(BeartypeCallHintViolation, match="number"):
                plain("1")
            with pytest.raises(TypeCheckError, match="image"):
                shaped(long)
        assert plain("1") == "1" and shaped(long) is long


def counting_from(start: int):
    @checked(typechecker=beartype)
    def count(number: int, more: int = 0) -> int:
        return start + number if number else "none"  # type: ignore[return-value]

    @checked(typechecker=beartype)
    def shaped(image: Float[Tensor, "side side"]) -> int:
        return start + len(image)

    return count, shaped


@pytest.mark.parametrize("start", [1, 10, 100])
def test_functions_inside_others_are_checked_in_every_call(start):
    count, shaped = counting_from(start)
    for _ in range(2):  # refused arguments leave nothing behind that a next call would find
        assert (count(2), count(2, more=1), shaped(torch.zeros(3, 3))) == (start + 2, start + 2, start + 3)
        with pytest.raises(BeartypeCallHintViolation, match="more"):
            count(2, more="1")
        with pytest.raises(BeartypeCallHintViolation, match="return"):
            count(0)
        with pytest.raises(TypeCheckError, match="image"):
            shaped(torch.zeros(3, 2))


def test_checks_of_functions_inside_others_are_made_once():
    before = len(_nested)
    for start in range(5):
        counting_from(start)
    assert len(_nested) <= before + 2


def test_what_checks_functions_inside_others_keeps_no_surroundings_alive():
    def surrounded(thing: set):
        @checked(typechecker=beartype)
        def function(number: int) -> int:
            return number + len(thing)

        return function

    class Thing(set):
        """Can be weakly referred to."""

    thing = Thing()
    seen = weakref.ref(thing)
    assert surrounded(thing)(1) == 1
    del thing
    gc.collect()
    assert seen() is None
