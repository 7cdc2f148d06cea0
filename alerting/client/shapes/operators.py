"""Bodies and answers about operators. Made by `python -m tools.client`."""

from typing import Literal, NotRequired, TypedDict

from alerting.client.shapes.shared import ActorStamp, EpisodeSummary
from alerting.client.values import Instant

AckBody = TypedDict(
    "AckBody",
    {
        "note": NotRequired[str],
    },
)
"""An acknowledgement."""

AssignBody = TypedDict(
    "AssignBody",
    {
        "to": str,
    },
)
"""An assignment to a person."""

WindowView = TypedDict(
    "WindowView",
    {
        "start": str,
        "end": str,
    },
)
"""When a problem is expected; it moves with the risk."""

PresentAlarm = TypedDict(
    "PresentAlarm",
    {
        "episode": EpisodeSummary,
        "acknowledged_by": str | None,
        "assigned_to": str | None,
        "is_muted": bool,
        "window": WindowView | None,
        "value": float | None,
        "limit": float | None,
        "course": str | None,
    },
)
"""An open alarm. `value`: of its variable now, with `course`, and the limit nearest to it."""

CauseView = TypedDict(
    "CauseView",
    {
        "first": PresentAlarm,
        "is_first_out": bool,
        "others": list[PresentAlarm],
    },
)
"""The first of several alarms that came together, and those that followed it."""

CloseBody = TypedDict(
    "CloseBody",
    {
        "reason": str,
    },
)
"""The end of an alert by hand."""

CommentBody = TypedDict(
    "CommentBody",
    {
        "comment": str,
    },
)
"""A comment."""

ConfirmBody = TypedDict(
    "ConfirmBody",
    {
        "action": NotRequired[str],
        "acted_at": NotRequired[Instant | None],
    },
)
"""A confirmation that an operator acted."""

EndBody = TypedDict(
    "EndBody",
    {
        "reason": NotRequired[str],
    },
)
"""The reason to end a shelf early."""

EndingEventBody = TypedDict(
    "EndingEventBody",
    {
        "type": str,
        "asset": str,
    },
)
"""The event that ends a silence."""

ExtendBody = TypedDict(
    "ExtendBody",
    {
        "until": Instant,
    },
)
"""A new end of a silence."""

GapView = TypedDict(
    "GapView",
    {
        "definition": str,
        "kind": Literal["no model", "unknown", "late", "never"],
        "reason": str,
        "assets": list[str],
        "since": str | None,
    },
)
"""Assets on which a definition is not evaluated for one reason, since when."""

SilencedView = TypedDict(
    "SilencedView",
    {
        "kind": Literal["maintenance", "silence"],
        "is_whole": bool,
    },
)
"""What is silenced on an asset: every alarm (`is_whole`), or some of them."""

TileView = TypedDict(
    "TileView",
    {
        "asset": str,
        "title": str,
        "part": str,
        "state": Literal[
            "happening", "expected", "not evaluated", "over", "muted", "normal", "not watched"
        ],
        "severity": Literal["low", "medium", "high", "critical"] | None,
        "alarms": int,
        "episode": str | None,
        "silenced": SilencedView | None,
    },
)
"""The state of one asset: the worst of its alarms, or that it is not evaluated. `part`: of the
plant. `silenced`: whether its alarms are muted, or some of them; null if none is."""

NowView = TypedDict(
    "NowView",
    {
        "at": str,
        "evaluated_until": str | None,
        "unacknowledged": int,
        "tiles": list[TileView],
        "happening": list[CauseView],
        "expected": list[CauseView],
        "over": list[EpisodeSummary],
        "not_evaluated": list[GapView],
    },
)
"""The present state of the plant: tiles by state, open alarms by cause, urgent first, ended
ones that wait to be acknowledged, and what is not evaluated."""

ShelfView = TypedDict(
    "ShelfView",
    {
        "id": str,
        "definition": str,
        "asset": str,
        "kind": Literal["shelved", "out_of_service"],
        "since": str,
        "until": str | None,
        "reason": str,
        "actor": str,
        "ended_at": str | None,
        "ended_by": str | None,
        "end_reason": str | None,
    },
)
"""A shelf. It mutes until `ended_at` (null until it is ended), or until `until`."""

Operated = TypedDict(
    "Operated",
    {
        "id": str,
        "state": Literal[
            "normal",
            "unacknowledged",
            "acknowledged",
            "returned unacknowledged",
            "shelved",
            "suppressed by design",
            "out of service",
        ],
        "active": bool,
        "acknowledged": ActorStamp | None,
        "confirmed": ActorStamp | None,
        "assigned_to": str | None,
        "first_out": Literal["first", "later"] | None,
        "shelves": list[ShelfView],
        "suppressed": str | None,
        "unknown": list[str],
    },
)
"""The operator state of an episode after an action."""

ShelfBody = TypedDict(
    "ShelfBody",
    {
        "definition": str,
        "asset": str,
        "kind": NotRequired[Literal["shelved", "out_of_service"]],
        "until": NotRequired[Instant | None],
        "for": NotRequired[str | None],
        "reason": str,
    },
)
"""A new shelf: its target, end and reason."""

SilenceBody = TypedDict(
    "SilenceBody",
    {
        "kind": Literal["maintenance", "silence"],
        "part": NotRequired[str | None],
        "definition": NotRequired[str | None],
        "up_to": NotRequired[Literal["low", "medium", "high", "critical"] | None],
        "since": NotRequired[Instant | None],
        "until": NotRequired[Instant | None],
        "for": NotRequired[str | None],
        "until_event": NotRequired[EndingEventBody | None],
        "reason": str,
        "notified": NotRequired[list[str]],
    },
)
"""A new silence: what it covers (each given field narrows it; one is needed), from when, until
when, and why."""

SilenceView = TypedDict(
    "SilenceView",
    {
        "id": str,
        "kind": Literal["maintenance", "silence"],
        "phase": Literal["present", "planned", "over"],
        "part": str | None,
        "definition": str | None,
        "up_to": Literal["low", "medium", "high", "critical"] | None,
        "since": str,
        "until": str,
        "event": str | None,
        "event_asset": str | None,
        "reason": str,
        "author": str,
        "made_at": str,
        "notified": list[str],
        "ended_at": str | None,
        "ended_by": str | None,
        "end_reason": str | None,
    },
)
"""A silence. It mutes in [since, until), until `ended_at` if that is not null."""

SilenceDetail = TypedDict(
    "SilenceDetail",
    {
        "silence": SilenceView,
        "raised": list[EpisodeSummary],
    },
)
"""A silence with the alarms that were raised while it covered them, newest first."""

SilencesView = TypedDict(
    "SilencesView",
    {
        "at": str,
        "present": list[SilenceView],
        "planned": list[SilenceView],
        "past": list[SilenceView],
    },
)
"""The silences that are present, planned, and over for at most a month."""

SuppressedTarget = TypedDict(
    "SuppressedTarget",
    {
        "definition": str,
        "asset": str,
        "suppressed": bool,
        "reason": str,
        "unknown": list[str],
    },
)
"""Suppression of one target now, whose definition has suppression by design. `unknown`: states
that cannot be known; these do not suppress."""

SuppressionView = TypedDict(
    "SuppressionView",
    {
        "at": str,
        "since": str,
        "targets": list[SuppressedTarget],
        "not_notified": list[EpisodeSummary],
    },
)
"""Every target that can be suppressed by design, and the episodes without notification since an
instant."""

Why = TypedDict(
    "Why",
    {
        "definition": str,
        "asset": str,
        "at": str,
        "verdict": Literal["open", "pending", "normal", "unknown", "not evaluated"],
        "answer": str,
        "facts": NotRequired[list[str]],
        "value": NotRequired[float | None],
        "limit": NotRequired[float | None],
        "pending_since": NotRequired[str | None],
        "due_at": NotRequired[str | None],
        "unknown": NotRequired[str | None],
        "score": NotRequired[float | None],
        "threshold": NotRequired[float | None],
        "model_version": NotRequired[int | None],
        "episode": NotRequired[str | None],
        "shelved": NotRequired[bool],
    },
)
"""The answer in one sentence, the facts behind it, and the values for programs. `verdict`: the
evaluation of the readings at that instant. `episode`: the stored one that covers it.
`pending_since`, `due_at`: for a pending condition, since when it is true, and when it will
have been true long enough; of a raise that is held back after a problem, only until when."""
