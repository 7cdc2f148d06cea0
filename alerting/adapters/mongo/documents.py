"""Between our values and BSON, in one place.

Written: dataclasses and mappings as documents, tuples as arrays, instants as UTC dates in whole milliseconds, durations
as whole milliseconds, pydantic models as they are written in files. Read: the way back, by the type hints of the dataclass.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, singledispatch
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError

from alerting.readings.history import span_millis

Document = dict[str, Any]
MongoDatabase = Database[Document]
MongoCollection = Collection[Document]
T = TypeVar("T")
_DUPLICATE_KEY = 11000


def to_document(value: Any) -> Document:
    """A dataclass or pydantic model as a document. Raises ValueError for an instant without a time zone."""
    return cast(Document, to_bson(value))


@singledispatch
def to_bson(value: Any) -> Any:
    """Any value of ours as BSON can hold it; what BSON knows already is left as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_bson(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


@to_bson.register(datetime)
def _instant(value: datetime) -> datetime:
    return whole_millis(value).astimezone(UTC)


@to_bson.register(timedelta)
def _duration(value: timedelta) -> int:
    return span_millis(value)


@to_bson.register(BaseModel)
def _model(value: BaseModel) -> Any:
    return value.model_dump(mode="json", by_alias=True)


@to_bson.register(Mapping)
def _mapping(value: Mapping[Any, Any]) -> Document:
    return {str(key): to_bson(item) for key, item in value.items()}


@to_bson.register(list)
@to_bson.register(tuple)
@to_bson.register(set)
@to_bson.register(frozenset)
def _array(value: Iterable[Any]) -> list[Any]:
    return [to_bson(item) for item in value]


@to_bson.register(np.generic)
@to_bson.register(np.ndarray)
def _numpy(value: np.generic | np.ndarray[Any, Any]) -> Any:
    return to_bson(value.tolist())


def whole_millis(instant: datetime) -> datetime:
    """An instant as precise as BSON keeps it, rounded down. Raises ValueError for one without a time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"the instant {instant.isoformat()} has no time zone")
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000) if instant.microsecond % 1000 else instant


def from_document(cls: type[T], document: Document) -> T:
    """A dataclass out of its document: absent fields take their default, foreign ones such as `_id` are passed over."""
    return cast(T, _reader(cast(Hashable, cls))(document))


def utc(value: datetime) -> datetime:
    """An instant as the database gives it, in UTC whatever its zone was."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def only_duplicates(error: BulkWriteError) -> list[int]:
    """Positions of the documents that an unordered insert found there already; raises the error again if it has other causes."""
    failures = (error.details or {}).get("writeErrors", [])
    concerns = (error.details or {}).get("writeConcernErrors", [])
    if concerns or any(failure["code"] != _DUPLICATE_KEY for failure in failures):
        raise error
    return [failure["index"] for failure in failures]


def upsert(write: Callable[[], Any]) -> None:
    """Do an idempotent upsert again while somebody else inserts the same document at the same time."""
    while True:
        try:
            write()
        except DuplicateKeyError:
            continue
        except BulkWriteError as error:
            only_duplicates(error)
            continue
        return


def fingerprint(*parts: Any) -> str:
    """An identity for an append-only document: the same content gives the same one, so that a repeated write is seen."""
    canonical = json.dumps(to_bson(list(parts)), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """How a value of this type is read from BSON; scalars are what they are."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(cast(type[Any], hint))
    if get_origin(hint) is tuple:
        item = _reader(get_args(hint)[0])
        return lambda values: tuple(item(value) for value in values)
    if get_origin(hint) in (Union, UnionType):
        return _optional_reader(hint)
    return _same


def _dataclass_reader(cls: type[Any]) -> Callable[[Document], Any]:
    hints = get_type_hints(cls)
    readers = {f.name: _reader(hints[f.name]) for f in dataclasses.fields(cls)}
    return lambda document: cls(**{name: read(document[name]) for name, read in readers.items() if name in document})


def _optional_reader(hint: Any) -> Callable[[Any], Any]:
    members = [member for member in get_args(hint) if member is not type(None)]
    if len(members) > 1:  # such as float | str: scalars
        return _same
    inner = _reader(members[0])
    return lambda value: None if value is None else inner(value)


def _same(value: Any) -> Any:
    return value


_SCALARS: dict[Any, Callable[[Any], Any]] = {datetime: utc, timedelta: lambda millis: timedelta(milliseconds=millis)}
