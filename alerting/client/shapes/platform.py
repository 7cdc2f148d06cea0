"""Bodies and answers about platform. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

from alerting.client.shapes.shared import FaultView, FieldChange, Notification
from alerting.client.values import Instant

AuditEntryView = TypedDict(
    "AuditEntryView",
    {
        "id": str,
        "at": str,
        "actor": str,
        "what": str,
        "subject": str,
        "origin": str,
        "why": str,
        "before": Any,
        "after": Any,
    },
)
"""One entry. `before` and `after`: what changed, null where nothing is recorded; `origin`: from
where it was asked for, empty in entries of earlier versions."""

AuditPageView = TypedDict(
    "AuditPageView",
    {
        "items": list[AuditEntryView],
        "next": str | None,
    },
)
"""Entries, newest first. `next`: the cursor of the page after, null on the last."""

ChannelStatus = TypedDict(
    "ChannelStatus",
    {
        "name": str,
        "configured": bool,
        "last_delivery": str | None,
        "waiting": int,
        "dead": int,
    },
)
"""One channel, over all routes. `last_delivery`: None if there was none since
`RoutesOverview.since`."""

Escalation = TypedDict(
    "Escalation",
    {
        "after": str,
        "channels": list[str],
    },
)
"""Further channels to notify while no operator acknowledges the alert."""

Flood = TypedDict(
    "Flood",
    {
        "more_than": NotRequired[int],
        "within": NotRequired[str],
    },
)
"""Many alerts of one asset become one message: +12 more on oven-1."""

Hours = TypedDict(
    "Hours",
    {
        "days": NotRequired[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]],
        "from": str,
        "to": str,
    },
)
"""Hours of some days of the week; hours that end before they start go on into the next day."""

Match = TypedDict(
    "Match",
    {
        "severity": NotRequired[list[Literal["low", "medium", "high", "critical"]] | None],
        "assets": NotRequired[list[str]],
        "definitions": NotRequired[list[str]],
        "tags": NotRequired[list[str]],
        "plants": NotRequired[list[str]],
    },
)
"""Selection of alerts: an alert must fit every given field."""

NewTokenView = TypedDict(
    "NewTokenView",
    {
        "key": str,
        "name": str,
        "owner": str,
        "role": str,
        "scope": list[str] | None,
        "made_at": str,
        "made_by": str,
        "ends_at": str,
        "used_at": str | None,
        "token": str,
    },
)
"""A new token. `token`: the secret itself, which is stored nowhere and not shown again."""

PlatformAlertView = TypedDict(
    "PlatformAlertView",
    {
        "kind": str,
        "subject": str,
        "reason": str,
        "opened_at": str,
    },
)
"""A fault of the platform itself that an engineer must fix."""

RetryBody = TypedDict(
    "RetryBody",
    {
        "id": str,
    },
)
"""Dead letters to deliver again."""

RetryView = TypedDict(
    "RetryView",
    {
        "retried": int,
        "sent": int,
        "failed": int,
    },
)
"""Result of a retry: retried dead letters, and notifications sent or failed."""

Route = TypedDict(
    "Route",
    {
        "name": str,
        "match": NotRequired[Match],
        "channels": list[str],
        "timezone": NotRequired[str],
        "shifts": NotRequired[list[Hours]],
        "quiet": NotRequired[list[Hours]],
        "repeat": NotRequired[str | None],
        "escalation": NotRequired[list[Escalation]],
        "flood": NotRequired[Flood | None],
        "heartbeat": NotRequired[str | None],
        "language": NotRequired[Literal["en", "de", "fr"] | None],
        "acknowledge_by_link": NotRequired[bool],
        "platform": NotRequired[bool],
    },
)
"""A route: recipients of alerts, and times."""

RouteBody = TypedDict(
    "RouteBody",
    {},
)
"""A route, as in its file: see the route reference."""

RouteChangeView = TypedDict(
    "RouteChangeView",
    {
        "name": str,
        "action": Literal["new", "changed", "unchanged"],
        "faults": list[FaultView],
        "changes": list[FieldChange],
    },
)
"""The effect of a document of a route; a faulty one has faults alone."""

RouteDetail = TypedDict(
    "RouteDetail",
    {
        "name": str,
        "document": Any,
    },
)
"""A route. `document`: as people wrote it, valid or not."""

RouteStatus = TypedDict(
    "RouteStatus",
    {
        "route": Route,
        "on_shift": bool,
        "quiet_until": str | None,
        "channels": list[str],
        "last_heartbeat": dict[str, str],
        "missing_plants": list[str],
    },
)
"""One route. `channels`: its own, then those of its escalation only; `quiet_until`: None
outside quiet hours; `missing_plants`: that it names and that do not exist any more.
`last_heartbeat`: when its last heartbeat was delivered, by channel; absent without any since
`RoutesOverview.since`."""

RoutesOverview = TypedDict(
    "RoutesOverview",
    {
        "at": str,
        "since": str,
        "routes": list[RouteStatus],
        "faulty": dict[str, list[str]],
        "channels": list[ChannelStatus],
        "waiting": list[Notification],
        "more_waiting": bool,
        "dead": list[Notification],
    },
)
"""Overview at an instant. `faulty`: unused routes with their faults; `more_waiting`: not all
waiting messages are listed."""

TestView = TypedDict(
    "TestView",
    {
        "channel": str,
        "delivered": bool,
        "fault": str | None,
    },
)
"""Result of a test message. `fault`: the channel's, null when it accepted it."""

TokenBody = TypedDict(
    "TokenBody",
    {
        "name": str,
        "owner": str,
        "role": Literal["sender", "viewer", "operator", "engineer", "admin"],
        "scope": NotRequired[list[str] | None],
        "ends_at": Instant,
    },
)
"""A token to be made."""

TokenView = TypedDict(
    "TokenView",
    {
        "key": str,
        "name": str,
        "owner": str,
        "role": str,
        "scope": list[str] | None,
        "made_at": str,
        "made_by": str,
        "ends_at": str,
        "used_at": str | None,
    },
)
"""A token of a program. `key`: its identity; `used_at`: to the minute."""
