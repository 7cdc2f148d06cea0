"""Sink of Prometheus Alertmanager (API v2): alarms fire while they are open, and are then
resolved."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic_core import to_json

from alerting.adapters.channels.checked_http import CheckedHttp
from alerting.adapters.sinks.receivers import Surroundings
from alerting.adapters.sinks.webhook import answer_of
from alerting.definitions.sinks.sink import AlertmanagerSink
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

_AT_ONCE = 200
_LASTS = 4  # intervals for which an alert fires without being sent again
_real_time = partial(datetime.now, UTC)


class AlertmanagerReceiver:
    """Port `SinkClient`.

    Its labels are the identity of an alert, and the severity is one of them: when it changes, the
    alert with the earlier one is resolved.
    """

    gather = timedelta(0)

    def __init__(
        self,
        sink: AlertmanagerSink,
        surroundings: Surroundings,
        now: Callable[[], datetime] = _real_time,
    ) -> None:
        url = surroundings.resolve(sink.url).rstrip("/")
        self._http = CheckedHttp(
            f"alertmanager {sink.name}", f"{url}/api/v2/alerts", egress=surroundings.egress
        )
        self._page = surroundings.page
        self._sink = sink
        self._now = now
        self._firing: dict[str, Mapping[str, str]] = {}
        self.repeat_every = sink.resend

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for start in range(0, len(messages), _AT_ONCE):
            piece = messages[start : start + _AT_ONCE]
            answer = self._post(piece)
            if answer == ACCEPTED or len(piece) == 1:
                yield from [answer] * len(piece)
            else:  # one of them is refused
                yield from (self._post([one]) for one in piece)

    def keep_alive(self) -> None:
        """Do nothing: the state is sent again."""

    def probe(self, message: SinkMessage) -> str:
        at = self._now().isoformat()
        labels = {"alertname": "alerting-test", "sink": self._sink.name}
        alert = {"labels": labels, "startsAt": at, "endsAt": at}
        answer = answer_of(partial(self._http.post, to_json([alert])))
        if answer != ACCEPTED:
            raise ReceiverAway(answer.reason)
        return f"Alertmanager accepted a resolved alert of {message.sends}"

    def close(self) -> None:
        """Connections end by themselves."""

    def _post(self, messages: Sequence[SinkMessage]) -> Answer:
        now = self._now()
        alerts = list[dict[str, Any]]()
        firing = dict(self._firing)
        for one in messages:
            id = str(one.content["episode"])
            labels = _labels(one)
            if (before := firing.get(id, labels)) != labels:
                alerts.append({**self._alert(one, now), "labels": before, "endsAt": _stamp(now)})
            alerts.append(self._alert(one, now))
            if _fires(one):
                firing[id] = labels
            else:
                firing.pop(id, None)
        answer = answer_of(partial(self._http.post, to_json(alerts)))
        if answer == ACCEPTED:
            self._firing = firing
        return answer

    def _alert(self, one: SinkMessage, now: datetime) -> dict[str, Any]:
        content = one.content
        start = min(datetime.fromisoformat(str(content["raised_at"])), now)
        end = now + _LASTS * self._sink.resend
        if not _fires(one):
            closed = content["closed_at"]
            end = now if closed is None else min(datetime.fromisoformat(str(closed)), now)
        annotations = {
            "summary": content["title"],
            "description": content["message"],
            "value": content["value"],
            "limit": content["limit"],
            "acknowledged_by": content["acknowledged_by"],
            **content["guidance"],
        }
        return {
            "labels": _labels(one),
            "annotations": {k: str(v) for k, v in annotations.items() if v is not None},
            "startsAt": _stamp(start),
            "endsAt": _stamp(max(end, start)),
            "generatorURL": self._page(f"/episodes/{content['episode']}"),
        }


def _fires(one: SinkMessage) -> bool:
    """Return whether an alarm is open, and not muted by a shelf, a silence or suppression."""
    return bool(one.is_open) and not one.content["muted"]


def _labels(one: SinkMessage) -> dict[str, str]:
    return {
        "alertname": one.definition,
        "asset": one.asset,
        "severity": str(one.severity),
        "kind": str(one.content["kind"]),
        "sink": str(one.content["sink"]),
    }


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
