"""Bodies and answers about kpi. Made by `python -m tools.client`."""

from typing import Literal, NotRequired, TypedDict

LimitProposal = TypedDict(
    "LimitProposal",
    {
        "change": dict[str, float | str],
        "raises_before": int,
        "raises_after": int,
        "message": str,
    },
)
"""A change that stops the chattering, with the number of raises before and after."""

ChatteringAdvice = TypedDict(
    "ChatteringAdvice",
    {
        "definition": str,
        "asset": str,
        "proposals": list[LimitProposal],
        "why_not": NotRequired[str | None],
    },
)
"""Advice on a chattering alarm; `why_not`: the reason if there is none."""

Chatter = TypedDict(
    "Chatter",
    {
        "definition": str,
        "asset": str,
        "cycles": int,
        "bursts": int,
        "first": str,
        "last": str,
    },
)
"""A definition on an asset that chattered. `cycles`: alarms in its bursts."""

FloodInterval = TypedDict(
    "FloodInterval",
    {
        "start": str,
        "end": str,
        "alarms": int,
        "peak": int,
    },
)
"""Interval from a period above a flood's start to before one below its end."""

Frequent = TypedDict(
    "Frequent",
    {
        "definition": str,
        "asset": str,
        "alarms": int,
        "share": float,
    },
)
"""One of the most frequent alarms."""

LoadBand = TypedDict(
    "LoadBand",
    {
        "name": str,
        "least": int,
        "most": int | None,
        "periods": int,
        "share": float | None,
    },
)
"""Share (None: no period) of periods with `least` to `most` alarms (None: any number)."""

MetricResult = TypedDict(
    "MetricResult",
    {
        "metric": str,
        "value": float | None,
        "target": str,
        "met": bool | None,
    },
)
"""A metric and its target; `met`, `value`: None where too little, or nothing, is known."""

Priority = TypedDict(
    "Priority",
    {
        "severity": Literal["low", "medium", "high", "critical"],
        "alarms": int,
        "share": float,
        "target": float,
    },
)
"""Number of alarms of one severity, their share, and the share they should have."""

Spread = TypedDict(
    "Spread",
    {
        "count": int,
        "median": str | None,
        "p90": str | None,
        "longest": str | None,
        "missing": int,
    },
)
"""A distribution of durations. `missing`: alarms that have none yet."""

Stale = TypedDict(
    "Stale",
    {
        "episode": str,
        "definition": str,
        "asset": str,
        "raised_at": str,
        "active_for": str,
        "still": bool,
    },
)
"""An alarm that was active for too long."""

Kpis = TypedDict(
    "Kpis",
    {
        "start": str,
        "end": str,
        "asked": str,
        "observed": str,
        "observed_since": str | None,
        "alarms": int,
        "silent": int,
        "suppressed": int,
        "maintenance": int,
        "per_ten_minutes": float | None,
        "per_hour": float | None,
        "per_day": float | None,
        "busiest": int | None,
        "busiest_at": str | None,
        "bands": list[LoadBand],
        "distribution": list[int],
        "hourly": list[int],
        "periods_above": float | None,
        "hours_above": float | None,
        "floods": list[FloodInterval],
        "time_in_flood": float | None,
        "chattering": list[Chatter],
        "stale": list[Stale],
        "top": list[Frequent],
        "top_share": float,
        "priorities": list[Priority],
        "to_acknowledge": Spread,
        "to_clear": Spread,
        "findings": list[MetricResult],
        "note": str,
    },
)
"""Metrics of alarms over [start, end). `silent`: alarms without a notification, which are not
counted; `suppressed`: those among them that were suppressed by design; `maintenance`: those
raised in maintenance. `asked`: length of the period, or of the shift's hours in it;
`observed`: how much of that was evaluated, and counts; `observed_since`: its first instant,
None if nothing was evaluated: rates and shares are then None, too. A rate is also None where
less than its own time was evaluated: seven minutes say nothing of a day. `distribution`:
ten-minute periods with 0, 1, 2 … alarms, the last number with more than that. `hourly`:
alarms in each hour from `start` on."""

PastAlarms = TypedDict(
    "PastAlarms",
    {
        "found": int,
        "counted": bool,
    },
)
"""Number of alarms of a period found in past days, and whether the metrics count them."""

Shelf = TypedDict(
    "Shelf",
    {
        "id": str,
        "definition": str,
        "asset": str,
        "kind": Literal["shelved", "out_of_service"],
        "since": str,
        "until": str | None,
        "reason": str,
        "actor": str,
        "remind_at": NotRequired[str | None],
        "ended_at": NotRequired[str | None],
        "ended_by": NotRequired[str | None],
        "end_reason": NotRequired[str | None],
        "version": NotRequired[int],
    },
)
"""One muting with actor and reason, in [since, until) unless ended before. Only an out-of-
service shelf may have no end. `remind_at`: when a reminder announces its end."""

AlarmQuality = TypedDict(
    "AlarmQuality",
    {
        "kpis": Kpis,
        "advice": list[ChatteringAdvice],
        "muted": list[Shelf],
        "past": PastAlarms,
    },
)
"""The metrics of a period, advice on chattering alarms, and the shelves in force now."""

Group = TypedDict(
    "Group",
    {
        "name": str,
        "kpis": Kpis,
        "budget": float,
    },
)
"""Metrics of a position, line or shift. `budget`: most alarms a day of its position."""

QualityByGroup = TypedDict(
    "QualityByGroup",
    {
        "by": Literal["position", "line", "shift"],
        "groups": list[Group],
        "past": PastAlarms,
    },
)
"""The metrics of a period per position, line or shift."""
