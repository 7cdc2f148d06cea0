"""Bodies and answers about sinks. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

RetriedLettersView = TypedDict(
    "RetriedLettersView",
    {
        "letters": int,
    },
)
"""The number of dead letters that are sent once more."""

SinkBody = TypedDict(
    "SinkBody",
    {},
)
"""A sink, as in its file: see the sink reference."""

SinkChangeView = TypedDict(
    "SinkChangeView",
    {
        "name": str,
        "action": Literal["new", "changed", "unchanged"],
        "revision": NotRequired[int | None],
    },
)
"""The change that a document makes. `revision`: the newest after it, null if nothing was
applied."""

SinkLetterView = TypedDict(
    "SinkLetterView",
    {
        "id": str,
        "at": str,
        "sends": str,
        "definition": str,
        "asset": str,
        "reason": str,
        "again": bool,
        "content": dict[str, Any],
    },
)
"""A message that the receiver refused. `again`: it is sent once more soon."""

SinkLettersView = TypedDict(
    "SinkLettersView",
    {
        "items": list[SinkLetterView],
        "all": int,
    },
)
"""The first dead letters of a sink, oldest first. `all`: the number of all."""

SinkLine = TypedDict(
    "SinkLine",
    {
        "name": str,
        "title": str | None,
        "kind": str,
        "state": Literal["active", "paused", "retired"],
        "sent": int,
        "left_out": int,
        "letters": int,
        "lag_s": float,
        "sent_at": str | None,
        "is_stale": bool,
        "fault": str | None,
    },
)
"""A sink as lists show it. `sent`, `left_out`: messages so far, and values that waited too
long; `letters`: messages that were refused; `lag_s`: seconds since everything had gone out."""

SinkRevisionView = TypedDict(
    "SinkRevisionView",
    {
        "number": int,
        "at": str,
        "actor": str,
        "document": Any,
    },
)
"""A revision of a sink: author, time, and the whole document."""

SinkStateView = TypedDict(
    "SinkStateView",
    {
        "name": str,
        "state": Literal["active", "paused", "retired"],
        "revision": int,
    },
)
"""The state of a sink after it was changed."""

SinkTestView = TypedDict(
    "SinkTestView",
    {
        "name": str,
        "result": str,
    },
)
"""The result of a test."""

SinkView = TypedDict(
    "SinkView",
    {
        "name": str,
        "revision": int,
        "document": Any,
        "status": SinkLine,
        "revisions": list[SinkRevisionView],
    },
)
"""A sink. `document`: as people write it, without fields at their default."""

SinksView = TypedDict(
    "SinksView",
    {
        "sinks": list[SinkLine],
        "faulty": dict[str, list[str]],
    },
)
"""All sinks by name. `faulty`: documents that are not used, with their faults."""
