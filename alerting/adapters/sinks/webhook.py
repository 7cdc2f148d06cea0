"""Sink of a web server: each message as JSON by POST, signed as notifications are."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from alerting.adapters.channels.http_channels import WebhookChannel
from alerting.adapters.sinks.receivers import Surroundings
from alerting.definitions.routes_and_sinks import WebhookSink
from alerting.ports import ACCEPTED, Answer, DeliveryFailed, Message, ReceiverAway, SinkMessage

_REFUSED_ALL = frozenset({401, 403, 404, 405, 407, 408, 425, 429, 502, 503, 504})
"""Answers that concern the receiver and not one message: nothing is given up."""


class WebhookReceiver:
    """Port `SinkClient`."""

    def __init__(self, sink: WebhookSink, surroundings: Surroundings) -> None:
        secret = None if sink.secret is None else surroundings.resolve(sink.secret)
        url = surroundings.resolve(sink.url)
        self._channel = WebhookChannel(sink.name, url, secret, egress=surroundings.egress)

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for one in messages:
            yield answer_of(partial(self._channel.deliver, _message(one)))

    def keep_alive(self) -> None:
        """Do nothing: a server that is away is found when something is sent."""

    def probe(self, message: SinkMessage) -> str:
        answer = answer_of(partial(self._channel.deliver, _message(message)))
        if answer != ACCEPTED:
            raise ReceiverAway(answer.reason)
        return "the receiver accepted a message with `test: true`"

    def close(self) -> None:
        """Connections end by themselves."""


def answer_of(post: Callable[[], None]) -> Answer:
    """Return what a web server answers to a message. Raises ReceiverAway."""
    try:
        post()
    except DeliveryFailed as fault:
        if fault.status is None or fault.status in _REFUSED_ALL:
            raise ReceiverAway(fault.reason) from fault
        return Answer("refused" if fault.permanent else "failed", str(fault))
    return ACCEPTED


def _message(one: SinkMessage) -> Message:
    title = one.content.get("title", f"{one.definition} on {one.asset}")
    text = one.content.get("message", "")
    return Message(one.key, str(title), str(text), one.content)
