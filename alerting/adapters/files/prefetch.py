"""Parsing the next batch while the last one is being written."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(batches: Iterator[T]) -> Iterator[T]:
    """The same batches in the same order, the next one made in a thread of its own while the caller works on this one.

    Faults are raised where they would have been; at most one batch more is held.
    """
    with ThreadPoolExecutor(1) as worker:
        following = worker.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = worker.submit(next, batches, None)
            yield batch
