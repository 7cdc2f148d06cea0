"""Rows of a store in memory. The stores of the sandbox of a backtest are tables: they state the key
and the order of their rows, and what they select."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class MemoryTable(Generic[R]):
    """Rows by key. `order`: of selected rows, oldest first."""

    def __init__(self, key: Callable[[R], Any], order: Callable[[R], Any]) -> None:
        self.rows: dict[Any, R] = {}
        self._key = key
        self._order = order

    def insert(self, row: R) -> bool:
        """Store a row; return False if its key is stored already."""
        return self._key(row) not in self.rows and self.store_row(row)

    def store_row(self, row: R) -> bool:
        """Store a row, in place of the stored one of its key; return True."""
        self.rows[self._key(row)] = row
        return True

    def exchange(self, row: R, is_expected: Callable[[R], bool]) -> bool:
        """Store a row in place of the stored one of its key; return False unless there is one, and
        it is as expected."""
        stored = self.rows.get(self._key(row))
        return stored is not None and is_expected(stored) and self.store_row(row)

    def get(self, key: Any) -> R | None:
        """Return the row of a key, None without one."""
        return self.rows.get(key)

    def get_many(self, keys: Collection[Any]) -> dict[Any, R]:
        """Return the stored rows of these keys, by key."""
        return {key: self.rows[key] for key in keys if key in self.rows}

    def select(self, fits: Callable[[R], object] = lambda _: True) -> list[R]:
        """Return the rows that fit, oldest first."""
        return sorted(filter(fits, self.rows.values()), key=self._order)

    def select_newest(self, limit: int | None, fits: Callable[[R], object]) -> list[R]:
        """Return the rows that fit, newest first; at most `limit` (0 or None: any number)."""
        return self.select(fits)[::-1][: limit or None]


def is_within(at: datetime, start: datetime | None, end: datetime | None) -> bool:
    """Return whether start <= at < end; None is no bound."""
    return (start is None or at >= start) and (end is None or at < end)


def is_among(value: object, chosen: Collection[Any] | None) -> bool:
    """Return whether a value is one of the chosen ones; None chooses all."""
    return chosen is None or value in chosen
