"""Connections by which recorded readings are sent: one small class for each kind."""

from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import Any

import httpx

from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import Source
from alerting.definitions.sources.streamed import MqttSource
from alerting.demo.replay.messages import Outgoing, Sender

HTTP = "http"
_ANSWER_S = 30.0


def open_sender(
    source: Source, address: Callable[[], str], api: Callable[[], tuple[str, str]]
) -> Sender:
    """Return a connection to where a source reads.

    `address`: of its broker; `api`: address of the console, and a token. Raises UserError for a
    kind that nothing is sent to.
    """
    if source.kind == HTTP:
        return HttpSender(source.name, *api())
    if not isinstance(source, MqttSource):
        raise UserError(
            f"source {source.name!r} is of kind {source.kind}; recorded readings are sent to kinds "
            "mqtt, http"
        )
    from alerting.demo.replay.mqtt_sender import MqttSender

    return MqttSender(source, address())


class HttpSender:
    """Port `Sender` for the API of the console: rows of a source as NDJSON."""

    def __init__(self, name: str, url: str, token: str, transport: Any = None) -> None:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
        self._name = name
        self._url = url
        self._client = httpx.Client(
            base_url=url, headers=headers, timeout=_ANSWER_S, trust_env=False, transport=transport
        )

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Send rows, again while the API is busy. Raises UserError if one is refused."""
        body = b"\n".join(message.payload for message in messages)
        until = monotonic() + _ANSWER_S
        while (answer := self._post(body)).status_code == 429 and monotonic() < until:
            sleep(1.0)
        try:
            found = answer.json()
        except ValueError:
            raise UserError(
                f"{self._url} answers with {answer.status_code} and no JSON: it is not the console"
            ) from None
        if not answer.is_success:
            raise UserError(
                f"the API refuses the rows with {answer.status_code}: {found.get('detail')}"
            )
        if found["refused"]:
            first = found["lines"][0]
            raise UserError(
                f"the API refused {found['refused']} of {len(messages)} rows: row {first['line']}: "
                f"{first['reason']}"
            )

    def _post(self, body: bytes) -> httpx.Response:
        try:
            return self._client.post(
                "/api/v1/readings", params={"source": self._name}, content=body
            )
        except httpx.HTTPError as fault:
            raise UserError(
                f"{self._url} does not answer: {type(fault).__name__}; start it with alerting up"
            ) from fault

    def close(self) -> None:
        """Disconnect."""
        self._client.close()
