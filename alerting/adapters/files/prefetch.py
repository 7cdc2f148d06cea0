"""Parsing of the next batch while the caller writes the last one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(batches: Iterator[T]) -> Iterator[T]:
    """Yield the same batches in the same order; a thread makes the next one while the caller works
    on the current one.

    An error is raised at the position of its batch; at most one more batch is in memory.
    """
    with ThreadPoolExecutor(1) as worker:
        following = worker.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = worker.submit(next, batches, None)
            yield batch
