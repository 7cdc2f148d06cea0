"""Conversion between values of the platform and BSON documents, by cattrs; and reading of documents
one by one.

Written: dataclasses and mappings as documents, tuples as arrays, instants as UTC dates in whole
milliseconds, durations as whole milliseconds, pydantic models in the form of files. Read: the
reverse, by the type hints of the dataclass. A scalar of another type than its hint is refused, so
that a malformed document is noticed where it is read; it is left out and does not affect the
others. A text that can be translated is stored in English, and beside it (`reason_template`) as
template and values.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial, wraps
from types import UnionType
from typing import Any, Generic, Literal, ParamSpec, TypeVar, Union, cast, get_args, get_origin

import bson
from bson import Int64
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from cattrs.cols import homogenous_tuple_structure_factory, is_mapping
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.preconf.bson import BsonConverter, make_converter
from pydantic import BaseModel
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from alerting.definitions.faults import DocumentRefused, shown
from alerting.definitions.wording.language import Translatable, read_template, template_document
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import (
    Alternative,
    Contribution,
    EarlierAdvice,
    LeverReport,
    OutcomeRecord,
    RecommendationResult,
    Transition,
)
from alerting.notifications.notification import Notification
from alerting.ports import DecisionRecord, PlatformAlert, SinkProgress, SourceProgress, Training
from alerting.readings.history import duration_millis, whole_millis

DEFINITIONS = "alert_definitions"
REVISIONS = "definition_revisions"
FAULTS = "definition_faults"
DERIVED_FEATURES = "derived_features"
ASSETS = "assets"
ASSET_REVISIONS = "asset_revisions"
EVENT_TYPES = "event_types"
SOURCES = "sources"
SOURCE_REVISIONS = "source_revisions"
SOURCE_PROGRESS = "source_progress"
SOURCE_FILES = "source_files"
FILE_FORMS = "file_forms"
DEAD_MESSAGES = "dead_messages"
DELIVERY_ANSWERS = "delivery_answers"
SINKS = "sinks"
SINK_REVISIONS = "sink_revisions"
SINK_PROGRESS = "sink_progress"
SINK_ALARMS = "sink_alarms"
SINK_LETTERS = "sink_letters"
READINGS = "readings"
LABELS = "labels"
ROLLUPS = "rollups"
ROLLUP_STATES = "rollup_states"
EVENTS = "events"
STATES = "evaluation_shards"
EVALUATION_PLANS = "evaluation_plans"
CHECKPOINTS = "evaluation_checkpoints"
ARRIVALS = "late_arrivals"
EVALUATED_UNTIL = "evaluated_until"
REPROCESSING_REQUESTS = "reprocessing_requests"
EPISODES = "episodes"
MUTES = "mutes"
FEEDBACK = "feedback"
DECISIONS = "decisions"
TRAININGS = "trainings"
SCORES = "scores"
PAST_EVALUATIONS = "past_evaluations"
REPORTS = "reports"
AUDIT = "audit"
ROUTES = "routes"
ROUTE_REVISIONS = "route_revisions"
NOTIFICATIONS = "notifications"
ACCOUNTS = "accounts"
ACCESS_TOKENS = "access_tokens"
SESSIONS = "sessions"
WRONG_ATTEMPTS = "wrong_attempts"
PLATFORM_ALERTS = "platform_alerts"
BACKTESTS = "backtests"
BACKTEST_EPISODES = "backtest_episodes"
BACKTEST_FILES = "backtest_files"
CLOCK = "clock"
LINES = "demo_lines"
SCHEMA = "schema"
WRITTEN = "written_documents"
OVER_UNACKNOWLEDGED_INDEX = "over_unacknowledged"
OVER_ON_ASSETS_INDEX = "over_unacknowledged_on_assets"
Document = dict[str, Any]
MongoDatabase = Database[Document]
MongoCollection = Collection[Document]
P = ParamSpec("P")
T = TypeVar("T")
CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
"""How documents are decoded: one date after the year 9999, or half a character, must not stop a
query."""
_DUPLICATE_KEY = 11000
_SCALARS = (str, int, float, bool)
_NUMBERS: dict[type[Any], frozenset[type]] = {
    float: frozenset({float, int, Int64}),
    int: frozenset({int, Int64}),
}
"""The types of stored numbers that fit a hint: a whole one is a number of a float, too."""
_TEMPLATE = "_template"
_TRANSLATABLE: dict[type[Any], tuple[str, ...]] = {
    Evaluation: ("reason",),
    Contribution: ("message",),
    Alternative: ("message",),
    LeverReport: ("reason",),
    RecommendationResult: ("message", "background"),
    EarlierAdvice: ("message",),
    Transition: ("reason",),
    OutcomeRecord: ("reason",),
    DecisionRecord: ("reason", "details"),
    Notification: ("reason", "error"),
    Training: ("failure",),
    PlatformAlert: ("reason",),
    SourceProgress: ("fault", "last_refused", "last_lost"),
    SinkProgress: ("fault",),
}


def to_document(value: Any) -> Document:
    """Return a dataclass or model as a document. Raises ValueError for an instant in no zone."""
    return cast(Document, to_bson(value))


def to_bson(value: Any) -> Any:
    """Return any value of the platform in a form that BSON can store."""
    return _CONVERTER.unstructure(value)


def to_identified(value: Any) -> Document:
    """Return a dataclass as a document whose `_id` is its `id`."""
    document = to_document(value)
    return {"_id": document.pop("id"), **document}


def with_ids(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield documents that also have their `_id` as `id`."""
    return ({**document, "id": document["_id"]} for document in documents)


def stored_text(field: str, text: str | None) -> Document:
    """Return the fields that store a text: English, and beside it template and values for other
    languages; None without a template."""
    template = template_document(text) if isinstance(text, Translatable) and text.template else None
    return {field: None if text is None else str(text), field + _TEMPLATE: template}


def from_document(cls: type[T], document: Document) -> T:
    """Return a dataclass from its document: absent fields take their default, unknown fields such
    as `_id` are ignored.

    Raises an error of some kind if a field is missing or not of its type. `read_stored` reads many
    documents, and leaves out those with such errors.
    """
    return _CONVERTER.structure(document, cls)


def raw_documents(collection: Collection[Document], pipeline: Sequence[Document]) -> bytes:
    """Return the documents of an aggregate one after another, in BSON as they are stored."""
    # raw batches would take one more round trip
    raw = collection.with_options(codec_options=CodecOptions(RawBSONDocument))
    # one answer, of at most 16 MB, has all that fit into it
    return b"".join(
        document.raw for document in raw.aggregate(pipeline, batchSize=1_000_000).to_list()
    )


def document_bounds(documents: bytes) -> Iterator[tuple[int, int]]:
    """Yield the begin and the end of each document in a sequence of BSON documents."""
    start = 0
    while start < len(documents):
        end = start + int.from_bytes(documents[start : start + 4], "little")
        yield start, end
        start = end


def utc(value: datetime) -> datetime:
    """Return an instant of the database in UTC, converted from any zone."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def only_duplicates(error: BulkWriteError) -> list[int]:
    """Return positions of documents that were stored already. Raises the error if it has another
    cause."""
    failures = (error.details or {}).get("writeErrors", [])
    concerns = (error.details or {}).get("writeConcernErrors", [])
    if concerns or any(failure["code"] != _DUPLICATE_KEY for failure in failures):
        raise error
    return [failure["index"] for failure in failures]


def cut_message(error: PyMongoError) -> str:
    """Return what an error of the driver says, without the state of all servers and the answer in
    full, which PyMongo 4 writes behind it."""
    text = str(error).partition(", Timeout:")[0].partition(", full error:")[0]
    return (text.splitlines() or [""])[0][:200]


def repeated(call: Callable[P, T]) -> Callable[P, T]:
    """Return an idempotent function that is called once more if the primary is lost meanwhile.

    The driver repeats only single commands: not the next batch of a cursor, nor a write of all
    documents that meet a condition.
    """

    @wraps(call)
    def call_again(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except ServerSelectionTimeoutError:
            raise
        except (AutoReconnect, WriteConcernError) as error:
            if isinstance(error, WTimeoutError):
                raise
            return call(*args, **kwargs)

    return call_again


def insert_new(collection: MongoCollection, document: Document) -> bool:
    """Insert a document; return False if a unique index shows that it is stored already."""
    try:
        collection.insert_one(document)
    except DuplicateKeyError:
        return False
    return True


def insert_all_new(collection: MongoCollection, documents: Sequence[Any]) -> list[int]:
    """Insert documents; return positions of documents that were stored already, perhaps
    meanwhile."""
    try:
        if documents:
            collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        return only_duplicates(error)
    return []


def upsert(write: Callable[[], T]) -> T:
    """Repeat an idempotent upsert while another process inserts the same document; return its
    result."""
    while True:
        try:
            return write()
        except DuplicateKeyError:
            continue
        except BulkWriteError as error:
            only_duplicates(error)
            continue


def fingerprint(*parts: Any) -> str:
    """Return an identity for an append-only document: equal content, equal identity."""
    canonical = json.dumps(to_bson(list(parts)), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def without_none(document: Document) -> Document:
    """Return the fields that are not None: for a query, the fields that are asked for."""
    return {name: value for name, value in document.items() if value is not None}


def without_large(document: Document, most: int = 1 << 20) -> Document:
    """Return a document in which the size (bytes) replaces each field that is larger than a
    limit."""
    sizes = {name: len(bson.encode({name: value})) for name, value in document.items()}
    return {
        name: value if sizes[name] <= most else f"{sizes[name]} bytes, too many to show"
        for name, value in document.items()
    }


def _make_converter() -> BsonConverter:
    converter = make_converter(
        detailed_validation=False, unstruct_collection_overrides={AbstractSet: list, tuple: list}
    )
    converter.register_unstructure_hook(datetime, whole_millis)
    converter.register_unstructure_hook(timedelta, duration_millis)
    converter.register_unstructure_hook(
        BaseModel, lambda value: value.model_dump(mode="json", by_alias=True)
    )
    converter.register_unstructure_hook_func(
        _may_be_numpy, lambda value: value.tolist() if hasattr(value, "tolist") else value
    )
    converter.register_unstructure_hook_factory(
        is_mapping, partial(converter.gen_unstructure_mapping, key_handler=_write_key)
    )
    converter.register_structure_hook(datetime, lambda value, _: utc(value))
    converter.register_structure_hook(timedelta, lambda millis, _: timedelta(milliseconds=millis))
    converter.register_structure_hook_func(_is_scalar, _check_scalar)
    for scalar in _SCALARS:
        converter.register_structure_hook(scalar, _check_scalar)
    converter.register_structure_hook_factory(_is_array, homogenous_tuple_structure_factory)
    converter.register_unstructure_hook_factory(
        _is_translatable,
        lambda cls: _write_with_templates(
            make_dict_unstructure_fn(cls, converter), _TRANSLATABLE[cls]
        ),
    )
    converter.register_structure_hook_factory(
        _is_translatable,
        lambda cls: _read_with_templates(
            make_dict_structure_fn(cls, converter), _TRANSLATABLE[cls]
        ),
    )
    return converter


def _is_translatable(hint: Any) -> bool:
    return isinstance(hint, type) and hint in _TRANSLATABLE


def _write_with_templates(
    write: Callable[[Any], Document], names: Sequence[str]
) -> Callable[[Any], Document]:
    """Return a hook that stores template and values for other languages beside an English text."""

    def write_both(value: Any) -> Document:
        document = write(value)
        for name in names:
            text = getattr(value, name)
            if isinstance(text, Translatable):
                document[name] = str(text)
                document |= {name + _TEMPLATE: template_document(text)} if text.template else {}
        return document

    return write_both


def _read_with_templates(
    read: Callable[[Document, Any], Any], names: Sequence[str]
) -> Callable[[Document, Any], Any]:
    def read_both(document: Document, cls: Any) -> Any:
        for name in names:
            if (stored := document.get(name + _TEMPLATE)) is not None:
                with suppress(
                    LookupError, TypeError, ValueError, AttributeError
                ):  # not written by the platform: English remains
                    document = {**document, name: read_template(stored, document[name])}
        return read(document, cls)

    return read_both


def _may_be_numpy(hint: Any) -> bool:
    # by the name of its module, because most processes that read documents do not load numpy
    return hint in (int, float, bool) or (isinstance(hint, type) and hint.__module__ == "numpy")


def _is_array(hint: Any) -> bool:
    return get_origin(hint) is tuple and get_args(hint)[-1] is Ellipsis


def _write_key(key: Any, _: Any = None) -> str:
    return str(key)


def _check_scalar(value: Any, hint: Any) -> Any:
    """Return a stored scalar. Raises TypeError if it is not of its type."""
    # a text that can be translated is one, too
    kind = str if isinstance(value, str) else type(value)
    if kind is not hint and kind not in _accepted_types(hint):
        raise TypeError(f"{shown(value)} is not {getattr(hint, '__name__', hint)}")
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise ValueError(f"{shown(value)} is none of {', '.join(map(str, get_args(hint)))}")
    return value


@lru_cache(1000)  # an episode is read in half the CPU
def _accepted_types(hint: Any) -> frozenset[type]:
    if get_origin(hint) in (Union, UnionType):
        return frozenset(
            accepted for member in get_args(hint) for accepted in _accepted_types(member)
        )
    if get_origin(hint) is Literal:
        return frozenset(map(type, get_args(hint)))
    return _NUMBERS.get(hint, frozenset({hint}))


def _is_scalar(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return all(_is_scalar(member) for member in get_args(hint))
    return hint in (*_SCALARS, type(None)) or get_origin(hint) is Literal


_CONVERTER = _make_converter()


@dataclass(frozen=True)
class Read(Generic[T]):
    """Result of reading one document: `value`, or else the `reasons` why it is faulty, and its
    `name`, which is empty for a valid document."""

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
    identified = (
        documents if id is None else ({**document, id: document["_id"]} for document in documents)
    )
    return good(collection, identified, partial(from_document, cls))


def read_one(
    collection: str, cls: type[T], document: Document | None, id: str | None = None
) -> T | None:
    """Return one document as a dataclass; None if it does not exist, or is faulty."""
    return (
        None if document is None else next(iter(read_stored(collection, cls, [document], id)), None)
    )


def good_values(collection: str, reads: Iterable[Read[T]]) -> list[T]:
    """Return the values that could be read. The others are left out, with a line in the log."""
    values = []
    for read in reads:
        if read.value is None:
            logging.getLogger(__name__).warning(
                "%s/%s is faulty and left out: %s", collection, read.name, "; ".join(read.reasons)
            )
        else:
            values.append(read.value)
    return values


def read_each(documents: Iterable[Document], parse: Callable[[Document], T]) -> Iterator[Read[T]]:
    """Yield every document with its result of `parse`; an exception of `parse` makes only this
    document faulty."""
    for document in documents:
        fields = {key: value for key, value in document.items() if key != "_id"}
        try:
            yield Read("", parse(fields))
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
    if isinstance(name, str) and 0 < len(name) <= 100 and name.isprintable():
        return name
    return f"_id {shown(document.get('_id'))}"
