"""The records of a chapter, with every table that is derived from them; a table is derived once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

from lmcbook.lab.records import Record

Derived = TypeVar("Derived")


class Measurements(Sequence[Record]):
    """A sequence of records that remembers what was derived from it.

    Figures, their alt texts and data, sentences and verdicts ask for the same tables; those of one chapter share them
    by sharing one such object.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = tuple(records)
        self._derived: dict[Any, Any] = {}

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Measurements":
        """``records`` themselves if they are measurements already, so that what they remember is kept."""
        return records if isinstance(records, cls) else cls(records)

    def table(self, derive: Callable[["Measurements"], Derived]) -> Derived:
        """What ``derive`` makes of the records: computed when it is first asked for, the same object ever after.

        Nobody may change a table in place: others hold it too.
        """
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        return self._derived[derive]

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "Measurements": ...
    def __getitem__(self, index: int | slice) -> "Record | Measurements":
        return Measurements(self._records[index]) if isinstance(index, slice) else self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)
