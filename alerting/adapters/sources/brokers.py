"""The client of each kind of source of the stream service, imported when a source uses it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pkgutil import resolve_name
from typing import Any

from alerting.adapters.sources.threaded import Received, ThreadedStream
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.sinks.fields import SinkFields
from alerting.definitions.sources.streamed import StreamedSource
from alerting.definitions.wording.language import ENGLISH
from alerting.usecases.sources.stream import BrokerMessage, MessageStream
from alerting.usecases.sources.trial import Look

_HERE = "alerting.adapters.sources"
STREAMS: Mapping[str, str] = {kind: f"{_HERE}.{kind}" for kind in ("mqtt", "amqp", "opcua")}
"""Module by kind, with the functions `open_stream`, the maker of the port `MessageStream`, and
`look`; the extra of the package with its client has the name of the kind.

`look` copies some messages for a trial: it takes source, address and seconds, and returns what it
received, with notes. A kind which a package adds has both in its `client`: the class is the port
`BrokerClient`, and `look` a function of it.
"""


def open_stream(
    kind: str,
    source: StreamedSource,
    address: str,
    now: Callable[[], datetime],
    earlier: Sequence[str],
) -> MessageStream:
    """Return the subscription of a source, which connects in the background.

    `earlier`: topics that the broker may still have for it, to be given back. Raises UserError if
    the address is none, or if the client of the broker is not installed.
    """
    if kind in STREAMS:
        made: MessageStream = load_client(source, f"{STREAMS[kind]}:open_stream")(
            source, address, now, earlier
        )
        return made
    client = load_client(source, source.client)
    return ThreadedStream(
        source.name,
        lambda: client(source, address, earlier),
        now,
        is_sent_once=source.is_sent_once,
        history=getattr(source, "history", timedelta(0)),
    )


def look_at(kind: str, source: StreamedSource, address: str, seconds: float) -> Look:
    """Return copies of some messages of a source: those that its broker stores, else those that
    come within some seconds.

    None is taken from the stream service or acknowledged. Raises UserError if the broker cannot be
    reached or refuses.
    """
    where = f"{STREAMS[kind]}:look" if kind in STREAMS else f"{source.client}.look"
    look = load_client(source, where)
    try:
        received: Sequence[Received]
        received, notes = look(source, address, seconds)
    except UserError as fault:
        text = fault.message
        raise UserError(
            text if text.startswith("source ") else f"source {source.name}: {text}"
        ) from fault
    except Exception as error:  # of any client library
        raise UserError(
            f"source {source.name}: the connection to the broker fails: {first_line(error)}"
        ) from error
    now = datetime.now(UTC)
    return Look(
        [BrokerMessage(one.topic, one.payload, one.at or now, lambda: None) for one in received],
        notes,
    )


def load_client(document: StreamedSource | SinkFields, where: str) -> Any:
    """Return the class or function at `module:name`. Raises UserError if it is not installed."""
    try:
        return resolve_name(where)
    except (ImportError, AttributeError, ValueError) as error:
        kind = getattr(document, "kind", "")
        remedy = f"pip install 'alerting[{kind}]'"
        if document.client:
            remedy = "correct the package that adds this kind"
        raise UserError(
            f"{ENGLISH.say(document.word)} {document.name}: the client of {kind} cannot be "
            f"loaded ({first_line(error)}): {remedy}"
        ) from error
