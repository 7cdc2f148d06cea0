"""Reading of documents one by one: a faulty one is left out and does not affect the others."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from alerting.adapters.mongo.documents import Document, from_document
from alerting.definitions.faults import DocumentRefused, shown

T = TypeVar("T")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Read(Generic[T]):
    """Result of reading one document: `value`, or else the `reasons` why it is faulty, and its
    `name`, which is empty for a good one."""

    name: str
    value: T | None
    reasons: tuple[str, ...] = ()


def good(collection: str, documents: Iterable[Document], parse: Callable[[Document], T]) -> list[T]:
    """Return the documents that `parse` can read. Others are left out, with a line in the log."""
    return good_values(collection, read_each(documents, parse))


def read_stored(
    collection: str, cls: type[T], documents: Iterable[Document], id: str | None = None
) -> list[T]:
    """Return documents that the platform wrote as dataclasses. Faulty ones are left out, with a
    line in the log.

    `id`: the field that is stored as `_id`.
    """
    given = (
        documents if id is None else ({**document, id: document["_id"]} for document in documents)
    )
    return good(collection, given, partial(from_document, cls))


def read_one(
    collection: str, cls: type[T], document: Document | None, id: str | None = None
) -> T | None:
    """Return one document as a dataclass; None without one, or if it is faulty."""
    return (
        None if document is None else next(iter(read_stored(collection, cls, [document], id)), None)
    )


def good_values(collection: str, reads: Iterable[Read[T]]) -> list[T]:
    """Return the values that could be read. The others are left out, with a line in the log."""
    found = []
    for read in reads:
        if read.value is None:
            logging.getLogger(__name__).warning(
                "%s/%s is faulty and left out: %s", collection, read.name, "; ".join(read.reasons)
            )
        else:
            found.append(read.value)
    return found


def read_each(documents: Iterable[Document], parse: Callable[[Document], T]) -> Iterator[Read[T]]:
    """Yield every document with its result of `parse`; an exception is a fault of this one."""
    for document in documents:
        own = {key: value for key, value in document.items() if key != "_id"}
        try:
            yield Read("", parse(own))
        except DocumentRefused as refusal:
            yield Read(label(document), None, tuple(str(fault) for fault in refusal.faults))
        except Exception as error:
            yield Read(
                label(document),
                None,
                (f"cannot be read: {type(error).__name__}: {shown(str(error))}",),
            )


def label(document: Document) -> str:
    """Return the name of a document, or its `_id` if it has no readable name."""
    name: Any = document.get("name")
    if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable():
        return name
    return f"_id {shown(document.get('_id'))}"
