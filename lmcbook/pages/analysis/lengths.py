"""How long trainings are beside their recipe's, and which of them claims are judged by."""

from collections.abc import Sequence

from lmcbook.lab.plain import is_the_recipes_own
from lmcbook.lab.recipes import full_epochs, recipe
from lmcbook.lab.records import Record


def longest_trainings(records: Sequence[Record]) -> list[Record]:
    """The records of trainings as their recipe says, a record that is given twice once.

    Shortened trainings are among them only for a recipe and batch size of which there are no others, and those of less
    than half of the steps only where there is nothing else. Variants of a recipe's networks, such as those with biases
    or another activation, never are.
    """
    own = [record for record in records if is_the_recipes_own(record.recipe, record.config.training)]
    longest: dict[tuple[str, int], int] = {}
    for record in own:
        longest[_trained(record)] = max(_length(record), longest.get(_trained(record), 0))
    return list({record.digest: record for record in own if _length(record) == longest[_trained(record)]}.values())


def trial(record: Record) -> str:
    """``2 epochs of 31`` of a training of less than half of its recipe's steps, else nothing."""
    training = record.config.training
    return f"{training.epochs} epochs of {full_epochs(training, recipe(record.recipe))}" if not _length(record) else ""


def _trained(record: Record) -> tuple[str, int]:
    return record.recipe, record.config.training.batch_size


def _length(record: Record) -> int:
    """2 of a training as long as its recipe's, 1 of one that is shortened, 0 of one of less than half of the steps."""
    if not record.short:
        return 2
    training = record.config.training
    return int(2 * training.epochs >= full_epochs(training, recipe(record.recipe)))
