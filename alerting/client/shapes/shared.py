"""Bodies and answers about shared. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

ActorStamp = TypedDict(
    "ActorStamp",
    {
        "actor": str,
        "at": str,
    },
)
"""The first actor of an action on an episode, and its time."""

Content = TypedDict(
    "Content",
    {
        "subject": str,
        "text": str,
        "payload": NotRequired[dict[str, Any]],
    },
)
"""The fixed text of a notification that belongs to no single episode."""

Quantity = TypedDict(
    "Quantity",
    {
        "statistic": str,
        "window": str | None,
        "value": float | str | None,
        "usual": float | str | None,
        "unit": str | None,
        "is_unusual": bool,
        "usual_low": NotRequired[float | None],
        "usual_high": NotRequired[float | None],
    },
)
"""The quantity of a variable that a reason names: its level, trend, spread or another statistic
over a window. `usual`, `usual_low`, `usual_high`: as of a contribution. `is_unusual`: it is
outside of its usual range, or other than usual."""

Contribution = TypedDict(
    "Contribution",
    {
        "variable": str,
        "share": float,
        "value": float | str | None,
        "usual": float | str | None,
        "message": str,
        "usual_low": NotRequired[float | None],
        "usual_high": NotRequired[float | None],
        "quantity": NotRequired[Quantity | None],
    },
)
"""Share of one variable in one score, in probability; all shares add up to score minus the
usual score. `value`: its level. `usual`: the median of the training rows, or their most
frequent level; `usual_low`, `usual_high`: their 10 and 90 % quantiles, None for what is not
a number. `quantity`: what of the variable the message names."""

EpisodeSummary = TypedDict(
    "EpisodeSummary",
    {
        "id": str,
        "definition": str,
        "revision": int,
        "kind": str,
        "asset": str,
        "title": str,
        "severity": Literal["low", "medium", "high", "critical"],
        "condition": Literal["open", "closed"],
        "phase": Literal["expected", "happening", "over"],
        "raised_at": str,
        "detected_at": str,
        "happening_at": str | None,
        "prediction_ended_at": str | None,
        "closed_at": str | None,
        "value": float | None,
        "threshold": float | None,
        "reason": str,
        "advice": str | None,
        "message": str,
        "outcome": Literal["hit", "avoided", "false_alarm", "undetermined"] | None,
        "outcome_reason": str | None,
        "model_version": int | None,
        "backfilled": bool,
        "withdrawn": bool,
        "late_data_status": Literal["found_late", "refuted"] | None,
        "condition_started_at": str | None,
    },
)
"""One episode as lists show it. `message`: all of it in one line; `outcome` is null until it is
determined."""

FaultView = TypedDict(
    "FaultView",
    {
        "path": str,
        "message": str,
        "hint": str,
    },
)
"""A fault of a document: its place, the fault, and a hint, empty without one."""

FieldChange = TypedDict(
    "FieldChange",
    {
        "field": str,
        "before": Any,
        "after": Any,
    },
)
"""A field that differs; null where it is not written."""

Notification = TypedDict(
    "Notification",
    {
        "key": str,
        "channel": str,
        "transition": Literal[
            "raised",
            "severity",
            "revised",
            "happening",
            "closed",
            "feedback",
            "outcome",
            "corrected",
            "acknowledged",
            "confirmed",
            "commented",
            "assigned",
            "muted",
            "unmuted",
            "reminder",
            "severity_rose",
            "escalated",
            "repeated",
            "suppressed",
            "reopened",
            "maintenance",
        ],
        "reason": str,
        "created_at": str,
        "next_attempt_at": str | None,
        "status": NotRequired[
            Literal["pending", "claimed", "failed", "sent", "dead", "muted", "grouped", "dropped"]
        ],
        "attempts": NotRequired[int],
        "delivered_at": NotRequired[str | None],
        "error": NotRequired[str | None],
        "route": NotRequired[str | None],
        "severity": NotRequired[Literal["low", "medium", "high", "critical"] | None],
        "postponed_by": NotRequired[Literal["quiet", "flood", "digest"] | None],
        "number": NotRequired[int | None],
        "episode": NotRequired[str | None],
        "asset": NotRequired[str | None],
        "shelf": NotRequired[str | None],
        "content": NotRequired[Content | None],
    },
)
"""One message to one channel. `key` is unique: `episode:transition:channel`, `:n` for repeats;
receivers can drop repeats. It is due at `next_attempt_at`: the first attempt, the end of a
claim, or the next attempt after a failure; None when nothing more follows. `postponed_by`:
why it waits although nothing failed. `grouped`: sent in one message with others; `dropped`:
the episode ended before the quiet hours did. `severity` is that of the episode at that time.
It belongs to an `episode` (on `asset`), to a `shelf`, or to neither, and then has a
`content`."""
