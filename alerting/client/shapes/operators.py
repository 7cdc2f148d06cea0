"""Bodies and answers about operators. Made by `python -m tools.client`."""

from typing import Literal, NotRequired, TypedDict

from alerting.client.shapes.shared import EpisodeSummary
from alerting.client.values import Instant

AckBody = TypedDict(
    "AckBody",
    {
        "note": NotRequired[str],
    },
)
"""An acknowledgement."""

ActorStamp = TypedDict(
    "ActorStamp",
    {
        "actor": str,
        "at": str,
    },
)
"""The first actor of an action on an episode, and its time."""

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

StoredHandover = TypedDict(
    "StoredHandover",
    {
        "id": str,
        "line": str | None,
        "shift": str,
        "start": str,
        "end": str,
        "notes": int,
        "left": ActorStamp | None,
        "taken": ActorStamp | None,
        "open": int | None,
        "unanswered": int | None,
    },
)
"""A hand-over in the list. `open`, `unanswered`: alarms when it was signed, null before."""

HandoverList = TypedDict(
    "HandoverList",
    {
        "items": list[StoredHandover],
        "next": str | None,
    },
)
"""A page of hand-overs, newest first. `next`: cursor of the next page."""

Shift = TypedDict(
    "Shift",
    {
        "name": str,
        "start": str,
        "end": str,
    },
)
"""One shift in [start, end), by the name of its route, empty for usual hours."""

ShiftAlarm = TypedDict(
    "ShiftAlarm",
    {
        "episode": str,
        "definition": str,
        "asset": str,
        "title": str,
        "severity": Literal["low", "medium", "high", "critical"],
        "raised_at": str,
        "closed_at": str | None,
        "phase": Literal["expected", "happening", "over"],
        "taken_by": str | None,
        "verdict": Literal["true_alarm", "false_alarm", "unsure"] | None,
        "acted": bool,
        "outcome": Literal["hit", "avoided", "false_alarm", "undetermined"] | None,
        "is_muted": bool,
    },
)
"""An alarm as a shift hands it over. `taken_by`: the person it is assigned to, else the one who
acknowledged it. `verdict`, `acted`: of the answers to it."""

ShiftDeed = TypedDict(
    "ShiftDeed",
    {
        "kind": Literal["acted", "commented", "took over", "closed", "missed"],
        "at": str,
        "actor": str,
        "text": str,
        "title": str,
        "asset": str,
        "episode": str | None,
        "outcome": Literal["hit", "avoided", "false_alarm", "undetermined"] | None,
    },
)
"""What a person did about an alarm, or reported. `outcome`: what came of the alarm. `episode`:
None for an alarm that did not come."""

ShiftNote = TypedDict(
    "ShiftNote",
    {
        "text": str,
        "actor": str,
        "at": str,
        "asset": NotRequired[str | None],
        "episode": NotRequired[str | None],
    },
)
"""A note of a shift, perhaps on an asset or an episode. Never changed: a correction is another
note."""

ShiftChange = TypedDict(
    "ShiftChange",
    {
        "definition": str,
        "revision": int,
        "actor": str,
        "at": str,
        "reason": str,
    },
)
"""A revision of a definition that was made in a shift."""

ShiftMute = TypedDict(
    "ShiftMute",
    {
        "definition": str,
        "asset": str,
        "kind": Literal["shelved", "out_of_service"],
        "until": str | None,
        "reason": str,
        "actor": str,
    },
)
"""A shelf in force."""

ShiftSummary = TypedDict(
    "ShiftSummary",
    {
        "at": str,
        "open": NotRequired[list[ShiftAlarm]],
        "left": NotRequired[list[ShiftAlarm]],
        "over": NotRequired[list[ShiftAlarm]],
        "deeds": NotRequired[list[ShiftDeed]],
        "muted": NotRequired[list[ShiftMute]],
        "changes": NotRequired[list[ShiftChange]],
        "raised": NotRequired[int],
        "omitted": NotRequired[int],
    },
)
"""What a shift hands over, as of an instant. `open`: alarms that are open; `left`: unanswered
ones of earlier shifts; `over`: ended ones that were raised or ended in the shift. `omitted`:
lines that are not listed."""

HandoverView = TypedDict(
    "HandoverView",
    {
        "id": str,
        "line": str | None,
        "shift": Shift,
        "previous": Shift | None,
        "next": Shift | None,
        "is_configured": bool,
        "notes": list[ShiftNote],
        "left": ActorStamp | None,
        "taken": ActorStamp | None,
        "is_signed": bool,
        "summary": ShiftSummary,
        "later_alarms": list[ShiftAlarm],
        "later_deeds": list[ShiftDeed],
    },
)
"""The hand-over of a shift. `summary`: as it was signed, else as it is now. `later_alarms`,
`later_deeds`: what came after the signature, or is different now."""

NoteBody = TypedDict(
    "NoteBody",
    {
        "line": NotRequired[str | None],
        "at": NotRequired[Instant | None],
        "shift": NotRequired[str | None],
        "hours": NotRequired[Literal[8, 12, 24]],
        "text": str,
        "asset": NotRequired[str | None],
        "episode": NotRequired[str | None],
    },
)
"""A note of a shift."""

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
    },
)
"""The state of one asset: the worst of its alarms, or that it is not evaluated. `part`: of the
plant."""

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

SendBody = TypedDict(
    "SendBody",
    {
        "line": NotRequired[str | None],
        "at": NotRequired[Instant | None],
        "shift": NotRequired[str | None],
        "hours": NotRequired[Literal[8, 12, 24]],
        "route": str,
    },
)
"""A hand-over to be sent."""

SentView = TypedDict(
    "SentView",
    {
        "recipients": int,
    },
)
"""To how many recipients a hand-over was sent."""

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

SignatureBody = TypedDict(
    "SignatureBody",
    {
        "line": NotRequired[str | None],
        "at": NotRequired[Instant | None],
        "shift": NotRequired[str | None],
        "hours": NotRequired[Literal[8, 12, 24]],
        "side": Literal["leaving", "coming"],
    },
)
"""A signature under a hand-over."""

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
