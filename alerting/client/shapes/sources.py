"""Bodies and answers about sources. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

DeadMessageView = TypedDict(
    "DeadMessageView",
    {
        "id": str,
        "at": str,
        "topic": str,
        "payload": str,
        "reason": str,
    },
)
"""A message that could not be stored. `payload`: its first 2,000 characters."""

DeadMessagesView = TypedDict(
    "DeadMessagesView",
    {
        "items": list[DeadMessageView],
        "more": bool,
    },
)
"""Dead messages, oldest first. `more`: there are more than these."""

RefusedView = TypedDict(
    "RefusedView",
    {
        "line": int,
        "reason": str,
    },
)
"""A row that would be refused: its number, and why."""

RetriedView = TypedDict(
    "RetriedView",
    {
        "messages": int,
        "stored": int,
        "dead": int,
    },
)
"""Result of a retry: messages tried, new ones stored, and those that stay dead."""

SourceChangeView = TypedDict(
    "SourceChangeView",
    {
        "name": str,
        "action": Literal["new", "changed", "unchanged"],
        "revision": NotRequired[int | None],
    },
)
"""The change that a document makes. `revision`: the newest after it, null if nothing was
applied."""

SourceLine = TypedDict(
    "SourceLine",
    {
        "name": str,
        "title": str | None,
        "kind": str,
        "state": Literal["active", "paused", "retired"],
        "rows": int,
        "refused": int,
        "lost": int,
        "newest": str | None,
        "silent_s": float,
        "rate": float,
        "is_stale": bool,
        "is_stopped": bool,
        "fault": str | None,
        "last_refused": str | None,
        "read_by": Literal["service", "scheduler"] | None,
        "polled_by": Literal["service", "scheduler", "command"] | None,
        "polled_at": str | None,
    },
)
"""A source as lists show it. `rows`, `refused`, `lost`: so far; `silent_s`: seconds since the
last row; `rate`: rows a minute over the last deliveries. Of a polled one `read_by`: who
reads it, and `polled_by`: who read it last, at `polled_at`."""

SourceRevisionView = TypedDict(
    "SourceRevisionView",
    {
        "number": int,
        "at": str,
        "actor": str,
        "document": Any,
    },
)
"""A revision of a source: author, time, and the whole document."""

SourceRowsView = TypedDict(
    "SourceRowsView",
    {
        "read": int,
        "rows": list[dict[str, Any]],
        "refused": list[RefusedView],
        "notes": list[str],
    },
)
"""Rows of a source as they would be stored, ten at most. `read`: the number looked at."""

SourceStateView = TypedDict(
    "SourceStateView",
    {
        "name": str,
        "state": Literal["active", "paused", "retired"],
        "revision": int,
    },
)
"""The state of a source after it was changed."""

SourceView = TypedDict(
    "SourceView",
    {
        "name": str,
        "revision": int,
        "document": Any,
        "status": SourceLine,
        "revisions": list[SourceRevisionView],
    },
)
"""A source. `document`: as people write it, without fields at their default."""

SourcesView = TypedDict(
    "SourcesView",
    {
        "sources": list[SourceLine],
        "faulty": dict[str, list[str]],
    },
)
"""All sources by name. `faulty`: documents that are not used, with their faults."""
