"""Bodies and answers about shifts. Made by `python -m tools.client`."""

from typing import Literal, NotRequired, TypedDict

from alerting.client.shapes.shared import ActorStamp
from alerting.client.values import Instant

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
        "questions": int | None,
    },
)
"""A hand-over in the list. `open`, `questions`: open and unanswered alarms when it was signed,
null before."""

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

SilenceScope = TypedDict(
    "SilenceScope",
    {
        "part": NotRequired[str | None],
        "definition": NotRequired[str | None],
        "up_to": NotRequired[Literal["low", "medium", "high", "critical"] | None],
    },
)
"""The alarms that a silence covers: those that meet every field that is given, of which there
is one at least. `part`: an asset with everything below it. `up_to`: the highest severity."""

ShiftSilence = TypedDict(
    "ShiftSilence",
    {
        "kind": Literal["maintenance", "silence"],
        "scope": SilenceScope,
        "since": str,
        "until": str,
        "reason": str,
        "actor": str,
    },
)
"""A silence or a maintenance that is present, or begins soon."""

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
        "still_open": NotRequired[int],
        "open_questions": NotRequired[int],
        "done": NotRequired[int],
        "silences": NotRequired[list[ShiftSilence]],
    },
)
"""What a shift hands over, as of an instant. `open`: alarms that are open; `left`: unanswered
ones of earlier shifts; `over`: ended ones that were raised or ended in the shift.
`still_open`, `open_questions`, `done`: how many alarms and deeds, also those that are not
listed; 0 in a summary signed before they were counted. `omitted`: lines that are not listed.
`silences`: in force, or planned."""

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
