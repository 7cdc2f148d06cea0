"""Bodies and answers about trends. Made by `python -m tools.client`."""

from typing import Literal, NotRequired, TypedDict

from alerting.client.values import Instant

AssetView = TypedDict(
    "AssetView",
    {
        "name": str,
        "title": str | None,
        "parent": str | None,
        "variables": int,
        "last_reading": str | None,
    },
)
"""An asset. `variables`: their number; `last_reading`: the instant of its newest one."""

EpisodeBandView = TypedDict(
    "EpisodeBandView",
    {
        "id": str,
        "definition": str,
        "title": str,
        "severity": Literal["low", "medium", "high", "critical"],
        "raised_at": str,
        "closed_at": str | None,
        "backfilled": bool,
        "withdrawn": bool,
    },
)
"""An episode; `closed_at` is null while it is open."""

EventBandView = TypedDict(
    "EventBandView",
    {
        "asset": str,
        "type": str,
        "title": str,
        "start": str,
        "end": str | None,
    },
)
"""An event; `end` is null while it goes on. `title`: of its type, the name without one."""

BandsView = TypedDict(
    "BandsView",
    {
        "asset": str,
        "start": str,
        "end": str,
        "events": list[EventBandView],
        "episodes": list[EpisodeBandView],
        "cut": bool,
    },
)
"""Events and episodes of a span, oldest first. `cut`: there are more than the newest 1,000 of
each, which are given."""

FoundTime = TypedDict(
    "FoundTime",
    {
        "start": str,
        "end": str,
    },
)
"""A time at which a condition held."""

FoundTimesView = TypedDict(
    "FoundTimesView",
    {
        "number": int,
        "together": str,
        "newest": list[FoundTime],
    },
)
"""The times at which a condition held; `newest`: at most 200, the newest first."""

LabelBody = TypedDict(
    "LabelBody",
    {
        "asset": str,
        "variables": NotRequired[list[str]],
        "start": Instant,
        "end": Instant,
        "kind": Literal["bad", "not_to_learn_from"],
        "reason": str,
    },
)
"""A time to label."""

LabelView = TypedDict(
    "LabelView",
    {
        "id": str,
        "asset": str,
        "variables": list[str],
        "start": str,
        "end": str,
        "kind": Literal["bad", "not_to_learn_from"],
        "reason": str,
        "author": str,
        "made_at": str,
        "undone_at": str | None,
        "undone_by": str | None,
    },
)
"""A label of a time. It is in force until `undone_at` (null while nobody has undone it)."""

LabelPage = TypedDict(
    "LabelPage",
    {
        "items": list[LabelView],
        "next": str | None,
    },
)
"""Labels, those made last first; `next` is the cursor of the page after this one, null on the
last."""

VariableSeriesView = TypedDict(
    "VariableSeriesView",
    {
        "variable": str,
        "title": str,
        "unit": str | None,
        "source": Literal["readings", "minutes", "hours"],
        "t": list[float],
        "low": list[float | None],
        "high": list[float | None],
        "mean": list[float | None],
        "gaps": list[list[float]],
        "bad": list[list[float]],
        "count": int,
    },
)
"""One variable. Each point is a reading, or a bucket of time that begins at `t`; null where
there is no good value. `source`: of what points are made; `gaps`: times without a good
value; `bad`: times with values of bad quality or outside the range; `count`: good values in
the span."""

SeriesView = TypedDict(
    "SeriesView",
    {
        "asset": str,
        "start": str,
        "end": str,
        "series": list[VariableSeriesView],
        "unread": list[list[float]],
    },
)
"""Series of an asset's variables. `unread`: times whose readings are too many to read now; they
are missing in every series."""

UndoBody = TypedDict(
    "UndoBody",
    {
        "reason": NotRequired[str],
    },
)
"""Why a label is undone."""

VariableView = TypedDict(
    "VariableView",
    {
        "name": str,
        "title": str,
        "type": Literal["number", "category", "boolean"],
        "unit": str | None,
        "low": float | None,
        "high": float | None,
        "delay": float,
        "controllable": bool,
        "computed": bool,
        "last_value": float | str | bool | None,
        "last_at": str | None,
        "good": int,
        "bad": int,
        "coverage": float | None,
        "definitions": list[str],
    },
)
"""A variable with what came of it since `since` of the page. `delay`: seconds after its stamp
at which a value is known. `last_value`: the newest good one. `good`, `bad`: numbers of
samples; bad ones are of bad quality or outside the range. `coverage`: share of the time
without gaps, from 0 to 1 (null if nothing was read). `definitions`: those that read it,
drafts among them."""

VariablePageView = TypedDict(
    "VariablePageView",
    {
        "asset": str,
        "since": str,
        "until": str,
        "unread": list[list[float]],
        "items": list[VariableView],
        "next": str | None,
    },
)
"""Variables of an asset by name, with what came in [since, until), except for the times of
`unread`, whose readings are too many to read now. `next`: for `after` of the next page."""

VariableStatistics = TypedDict(
    "VariableStatistics",
    {
        "variable": str,
        "title": str,
        "unit": str | None,
        "count": int,
        "mean": float | None,
        "spread": float | None,
        "lowest": float | None,
        "low": float | None,
        "median": float | None,
        "high": float | None,
        "highest": float | None,
    },
)
"""Statistics of one variable, null without a value. `spread`: standard deviation, of one value
null; `low`, `high`: 5 and 95 % of the values are below."""
