"""REST API, version 1: readings and events that programs send."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from alerting.console.access import Person, Served, require
from alerting.console.api.parameters import LARGEST_DELIVERY, MAY_NAME_NOTHING, NameQuery
from alerting.console.api.views import reader_of
from alerting.definitions.faults import UserError
from alerting.definitions.sources import HttpSource
from alerting.ports import Platform
from alerting.stores.deliveries_and_changes import SourceDeliveries
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.store_rows import deliver, require_active
from alerting.usecases.sources.stream import JsonRows, TooDeep, read_json, read_lines

AT_ONCE = 4
BODIES_AT_ONCE = 64 << 20  # bytes of bodies that are under way or wait to be stored
LARGEST_JSON = 4 << 20  # bytes; JSON is parsed as a whole before its rows are counted
MOST_ANSWERS = 1000
What = Literal["readings", "events"]
Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Names this delivery: sent again, it changes nothing.",
    ),
]
_JSON = "application/json"
_LINES = "application/x-ndjson"
router = APIRouter(prefix="/api/v1")


class ReadingBody(BaseModel):
    """A row of readings. With a source of its own mapping, the fields are those that its document
    names."""

    ts: str | float = Field(
        description="Time stamp: ISO 8601, or seconds or milliseconds since 1970."
    )
    asset: str = Field(description="Name of the asset.")
    values: dict[str, float | str | bool | None] = Field(
        description="Values by variable. Without this field the other fields are."
    )
    quality: str | dict[str, str] | None = Field(
        None, description="Quality of all samples, or by variable; good when left out."
    )


class EventBody(BaseModel):
    """A row of events. Further fields are attributes."""

    ts: str | float = Field(
        description="Time stamp of the start: ISO 8601, or seconds or milliseconds since 1970."
    )
    asset: str = Field(description="Name of the asset.")
    type: str = Field(description="Type of the event.")
    end: str | float | None = Field(
        None, description="Time stamp of the end; null while a lasting event is still going on."
    )


BODIES = (ReadingBody, EventBody)


def _body(row: type[BaseModel]) -> dict[str, Any]:
    row_schema = {"$ref": f"#/components/schemas/{row.__name__}"}
    content = {
        _JSON: {"schema": {"anyOf": [row_schema, {"type": "array", "items": row_schema}]}},
        _LINES: {"schema": {"type": "string"}},
    }
    text = (
        "JSON: a row or a list of rows; or NDJSON: one row per line. May be compressed "
        "(Content-Encoding: gzip)."
    )
    return {"requestBody": {"required": True, "description": text, "content": content}}


class RefusedLine(BaseModel):
    """A row that was not stored."""

    line: int = Field(description="Number of the row in the body, from 1.")
    reason: str


class DeliveryView(BaseModel):
    """The answer to a delivery."""

    rows: int = Field(description="Rows that are stored.")
    new: int = Field(
        description="Stored rows that changed anything; the others were stored before."
    )
    refused: int = Field(description="Rows that were not stored.")
    lines: list[RefusedLine] = Field(
        description=f"The first {MOST_ANSWERS} refused rows, each with its reason."
    )


class Deliveries:
    """Counts deliveries under way, so that a slow database slows the senders and not this process.
    For one event loop.

    A sender gets only a share of both amounts, so that a sender of many deliveries, or of bodies
    that never come, leaves some to the others.
    """

    def __init__(self, most: int = AT_ONCE, most_bytes: int = BODIES_AT_ONCE) -> None:
        self._places = _Shared(most, max(most - 1, 1))
        self._bytes = _Shared(most_bytes, most_bytes // 2)

    @contextmanager
    def admit_delivery(self, sender: str) -> Iterator[None]:
        """Count a delivery that is being stored. Raises HTTPException 429 for too many."""
        with self._places.count(sender) as take:
            take(1)
            yield

    def body(self, sender: str) -> AbstractContextManager[Callable[[int], None]]:
        """Return a function that counts the bytes of a body until the end of the block.

        The function raises HTTPException 429 if all bodies under way are too large together.
        """
        return self._bytes.count(sender)


class _Shared:
    """An amount that senders share: each sender takes at most `share` of it."""

    def __init__(self, amount: int, share: int) -> None:
        self._available = amount
        self._share = share
        self._by_sender = Counter[str]()

    @contextmanager
    def count(self, sender: str) -> Iterator[Callable[[int], None]]:
        """Yield the function that takes an amount; what was taken is returned at the end of the
        block."""
        taken = 0

        def take(amount: int) -> None:
            nonlocal taken
            if amount > self._available or self._by_sender[sender] + amount > self._share:
                detail = (
                    "the platform receives and stores as much as it can at once; send this one "
                    "again after a second"
                )
                raise HTTPException(429, detail, {"retry-after": "1"})
            self._available -= amount
            self._by_sender[sender] += amount
            taken += amount

        try:
            yield take
        finally:
            self._available += taken
            self._by_sender[sender] -= taken
            if not self._by_sender[sender]:
                del self._by_sender[sender]


Sender = Annotated[Person, Depends(require("send"))]


@router.post("/readings", tags=["readings"], openapi_extra=MAY_NAME_NOTHING | _body(ReadingBody))
async def send_readings(
    request: Request,
    platform: Served,
    person: Sender,
    source: NameQuery | None = None,
    idempotency_key: Key = None,
) -> DeliveryView:
    """Store readings: rows of `ts`, `asset` and `values`. With `source`, as its document maps them.
    Role: sender, or engineer.

    A row that cannot be stored does not stop the others. The answer is sent when the rows are in
    the journal of the database.
    """
    return await _receive(request, platform, person, "readings", source, idempotency_key)


@router.post("/events", tags=["readings"], openapi_extra=MAY_NAME_NOTHING | _body(EventBody))
async def send_events(
    request: Request,
    platform: Served,
    person: Sender,
    source: NameQuery | None = None,
    idempotency_key: Key = None,
) -> DeliveryView:
    """Store events: rows of `ts`, `asset`, `type` and perhaps `end`; other fields are attributes.
    Role: sender, or engineer.

    With `source`, as its document maps them. The same event sent again, e.g. with its end, is
    merged.
    """
    return await _receive(request, platform, person, "events", source, idempotency_key)


async def _receive(
    request: Request,
    platform: Platform,
    person: Person,
    kind: What,
    source: str | None,
    key: str | None,
) -> DeliveryView:
    deliveries: Deliveries = request.app.state.deliveries
    document = await run_in_threadpool(_source, platform, source, kind)
    is_lines = _is_lines(request.headers.get("content-type", ""))
    encoding = request.headers.get("content-encoding", "")
    with deliveries.body(person.name) as take:
        pieces = list[bytes]()
        async for piece in request.stream():
            take(len(piece))
            pieces.append(piece)
        body = b"".join(pieces)

        def store() -> DeliveryView:
            sent = _read(_text(body, encoding, is_lines), is_lines)
            delivery = deliver(
                platform,
                document,
                [*sent.rows.values()],
                platform.clock.now(),
                by=source,
                sender=person.name,
            )
            numbers = [*sent.rows]
            refused = {numbers[row.line - 1]: row.reason for row in delivery.refused} | dict(
                sent.unreadable
            )
            reader = reader_of(platform)
            lines = [
                RefusedLine(line=line, reason=reader.translate(refused[line]))
                for line in sorted(refused)[:MOST_ANSWERS]
            ]
            return DeliveryView(
                rows=delivery.rows, new=delivery.new, refused=len(refused), lines=lines
            )

        with deliveries.admit_delivery(person.name):
            if key is None:
                return await run_in_threadpool(store)
            named = f"{person.name}:{kind}:{source}:{key}"
            return await run_in_threadpool(
                _answer_once, platform.deliveries, named, hashlib.sha256(body).hexdigest(), store
            )


def _answer_once(
    deliveries: SourceDeliveries, key: str, digest: str, store: Callable[[], DeliveryView]
) -> DeliveryView:
    """Return an earlier answer to this key, or store. Raises UserError for another body."""
    earlier = deliveries.answer(key)
    if earlier is None:
        answer = store()
        deliveries.keep_answer(key, {"body": digest, "answer": answer.model_dump()})
        return answer
    if earlier["body"] != digest:
        raise UserError(
            "this Idempotency-Key was used for another body; give every delivery its own"
        )
    return DeliveryView.model_validate(earlier["answer"])


def _source(platform: Platform, name: str | None, kind: What) -> HttpSource:
    """Return the source of a delivery; without a name, a source with the usual names of fields."""
    if name is None:
        return HttpSource(name="api", kind="http", delivers=kind)
    source = SOURCES.find(platform, name)
    if not isinstance(source, HttpSource):
        raise UserError(
            f"source {name!r} is of kind {source.kind}; only one of kind http takes rows from the "
            "API"
        )
    if source.delivers != kind:
        raise UserError(
            f"source {name!r} delivers {source.delivers}: send its rows to "
            f"/api/v1/{source.delivers}"
        )
    require_active(source)
    return source


def _read(text: str, is_lines: bool) -> JsonRows:
    try:
        return read_lines(text) if is_lines else read_json(text)
    except TooDeep as refusal:
        raise HTTPException(400, str(refusal)) from refusal


def _is_lines(content_type: str) -> bool:
    """Return whether a body is NDJSON, and not JSON. Raises UserError for any other type."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (_JSON, _LINES):
        raise UserError(
            f"the content-type {content_type[:40]!r} is not known; send {_JSON} or {_LINES}"
        )
    return kind == _LINES


def _text(body: bytes, encoding: str, is_lines: bool) -> str:
    """Return a body's text. Raises HTTPException 413 if too large, UserError if damaged."""
    if encoding not in ("", "identity", "gzip"):
        raise UserError(
            f"the content-encoding {encoding[:20]!r} is not known; send gzip, or the body as it is"
        )
    try:
        plain = _decompress(body) if encoding == "gzip" else body
        if not is_lines and len(plain) > LARGEST_JSON:
            hint = f"send NDJSON, one row per line, as {_LINES}: up to {LARGEST_DELIVERY} bytes"
            raise HTTPException(
                413, f"a body of JSON is not larger than {LARGEST_JSON} bytes; {hint}"
            )
        return plain.decode("utf-8-sig")
    except (zlib.error, EOFError):
        raise UserError("the body is not gzip, or it was cut off") from None
    except UnicodeDecodeError as fault:
        raise UserError(f"the body is not UTF-8: byte {fault.start + 1}") from None


def _decompress(body: bytes) -> bytes:
    member = zlib.decompressobj(31)  # zlib: window of gzip, with its header
    plain = member.decompress(body, LARGEST_DELIVERY + 1)
    if len(plain) > LARGEST_DELIVERY:
        raise HTTPException(
            413, f"the body is larger than {LARGEST_DELIVERY} bytes once it is decompressed"
        )
    if not member.eof:
        raise EOFError
    if member.unused_data:
        raise UserError(
            "the body goes on after the end of its gzip data; compress it as a whole, not in "
            "several members"
        )
    return plain
