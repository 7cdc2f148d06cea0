"""Bodies and answers about definitions. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

from alerting.client.shapes.shared import FaultView, FieldChange
from alerting.client.values import Instant

LoadView = TypedDict(
    "LoadView",
    {
        "position": str,
        "expected": float,
        "now": float,
        "before": float,
        "budget": float,
    },
)
"""Alarms a day that a definition adds at a position: beside `now` of all others, and the budget
of the position. `before`: of the definition as it is in service now."""

ForecastView = TypedDict(
    "ForecastView",
    {
        "loads": list[LoadView],
        "breaks_budget": bool,
        "messages": list[str],
    },
)
"""Expected alarm load. `messages`: the same in sentences, with what is unknown and changes that
would bring it within the budget."""

PlanView = TypedDict(
    "PlanView",
    {
        "action": Literal["create", "change", "unchanged"],
        "changes": list[FieldChange],
        "warnings": list[str],
        "clock_times": list[str],
        "load": ForecastView | None,
        "next": str | None,
    },
)
"""The changes that applying a document makes."""

AppliedView = TypedDict(
    "AppliedView",
    {
        "name": str,
        "state": str,
        "revision": int,
        "plan": PlanView,
    },
)
"""A definition after a change. `revision`: its newest one."""

ChangeBody = TypedDict(
    "ChangeBody",
    {
        "reason": NotRequired[str],
        "accept_load": NotRequired[str],
    },
)
"""Why a state is changed; `accept_load`: why alarms beyond the budget are accepted."""

CheckView = TypedDict(
    "CheckView",
    {
        "name": str,
        "valid": bool,
        "faults": list[FaultView],
        "plan": PlanView | None,
    },
)
"""The check of a document: all its faults, or the plan."""

ComparisonView = TypedDict(
    "ComparisonView",
    {
        "revision": int,
        "only_draft": int,
        "only_served": int,
        "both": int,
    },
)
"""Numbers of episodes of the draft alone, of the revision in service alone, and of both."""

PrecisionView = TypedDict(
    "PrecisionView",
    {
        "share": float,
        "low": float,
        "high": float,
        "right": int,
        "counted": int,
    },
)
"""Share of right alarms of the last 28 days among those with an outcome, with its 95 %
interval."""

RevisionSummary = TypedDict(
    "RevisionSummary",
    {
        "number": int,
        "hash": str,
        "author": str,
        "at": str,
        "reason": str,
    },
)
"""The actor, time and reason of a revision."""

DefinitionDetail = TypedDict(
    "DefinitionDetail",
    {
        "name": str,
        "title": str,
        "kind": str,
        "state": str,
        "severity": str | None,
        "assets": list[str],
        "revision": int | None,
        "since": str | None,
        "faults": list[str],
        "training": str | None,
        "evaluated_at": str | None,
        "champion": int | None,
        "alarms_per_day": float | None,
        "raises": list[int],
        "precision": PrecisionView | None,
        "document": dict[str, Any],
        "revisions": list[RevisionSummary],
    },
)
"""The current document as written, and its revisions, oldest first."""

DefinitionSummary = TypedDict(
    "DefinitionSummary",
    {
        "name": str,
        "title": str,
        "kind": str,
        "state": str,
        "severity": str | None,
        "assets": list[str],
        "revision": int | None,
        "since": str | None,
        "faults": list[str],
        "training": str | None,
        "evaluated_at": str | None,
        "champion": int | None,
        "alarms_per_day": float | None,
        "raises": list[int],
        "precision": PrecisionView | None,
    },
)
"""One definition as lists show it; `state` is faulty where the current document has faults.
`training`: its training in a sentence, e.g. that an earlier revision answers until the
newest one is trained."""

DifferenceView = TypedDict(
    "DifferenceView",
    {
        "name": str,
        "from": int,
        "to": int,
        "changes": list[FieldChange],
    },
)
"""The fields that differ between two revisions."""

PastProblemView = TypedDict(
    "PastProblemView",
    {
        "asset": str,
        "start": str,
        "end": str,
    },
)
"""A time at which the problem of a draft happened."""

PastProblemsView = TypedDict(
    "PastProblemsView",
    {
        "number": int,
        "assets": int,
        "median_s": float | None,
        "longest_s": float | None,
        "are_few": bool,
        "uncounted": int,
        "merged": int | None,
        "merge_within_s": float | None,
        "newest": list[PastProblemView],
    },
)
"""The times of the problem from which a model would learn; `newest`: at most 200 of them.
`assets`: on how many it happened; `median_s` and `longest_s`: how long; `are_few`: whether
they are too few to learn from. `uncounted`: more that begin within an earlier one or its
recovery; `merged`: so many they would be with `merge_within_s`, where most begin soon after
another one."""

PreviewBody = TypedDict(
    "PreviewBody",
    {
        "definition": dict[str, Any],
        "from": NotRequired[Instant | None],
        "to": NotRequired[Instant | None],
    },
)
"""A draft and the period over which it is tried."""

PreviewEpisode = TypedDict(
    "PreviewEpisode",
    {
        "asset": str,
        "severity": str,
        "raised_at": str,
        "closed_at": str | None,
        "value": float | None,
        "threshold": float | None,
        "reason": str,
    },
)
"""An episode that the draft would have raised; `closed_at` is null if it was still open."""

PreviewResult = TypedDict(
    "PreviewResult",
    {
        "episodes": int,
        "shown": list[PreviewEpisode],
        "alarms_per_day": float | None,
        "peak": int | None,
        "floods": int | None,
        "days_without": int | None,
        "warnings": list[str],
        "since": str,
        "read_at": str,
        "compared": ComparisonView | None,
        "problems": PastProblemsView | None,
    },
)
"""The alarms that a draft would have raised. `episodes`: in all; `shown`: the newest 200.
`alarms_per_day`: over the evaluated time; `peak`: the most within ten minutes; `floods`:
periods of ten minutes with more than the budget allows; `warnings`: what can never be
fulfilled as the readings come."""

PreviewView = TypedDict(
    "PreviewView",
    {
        "id": str,
        "definition": str,
        "from": str,
        "to": str,
        "state": Literal["waiting", "running", "done", "failed", "cancelled"],
        "progress": float,
        "step": str,
        "created_at": str,
        "ended_at": str | None,
        "fault": str | None,
        "result": PreviewResult | None,
    },
)
"""A preview; of the person who asks."""

RestoreBody = TypedDict(
    "RestoreBody",
    {
        "reason": NotRequired[str],
        "accept_load": NotRequired[str],
        "revision": int,
    },
)
"""The revision that becomes the newest, and why."""

RetireBody = TypedDict(
    "RetireBody",
    {
        "reason": NotRequired[str],
    },
)
"""Why a definition is taken out of service."""

RetiredView = TypedDict(
    "RetiredView",
    {
        "name": str,
        "state": str,
        "revision": int,
        "closed": int,
    },
)
"""A definition that was retired. `closed`: open episodes that this ended."""

RevisionDetail = TypedDict(
    "RevisionDetail",
    {
        "number": int,
        "hash": str,
        "author": str,
        "at": str,
        "reason": str,
        "document": dict[str, Any],
    },
)
"""A revision with its document."""

RevisionPage = TypedDict(
    "RevisionPage",
    {
        "items": list[RevisionSummary],
        "next": int | None,
    },
)
"""Revisions, newest first; `next` is `before` of the page after this one, null on the last."""

ScenarioView = TypedDict(
    "ScenarioView",
    {
        "title": str,
        "passed": bool,
        "found": list[str],
        "difference": list[str],
        "notes": list[str],
    },
)
"""A scenario that was run. `difference`: lines with `-` expected and not found, `+` found and
not expected; empty if it passed; `notes`: what can never be fulfilled with such readings."""

ScenariosBody = TypedDict(
    "ScenariosBody",
    {
        "definition": dict[str, Any],
        "scenarios": list[dict[str, Any]],
    },
)
"""A definition, and scenarios as in a scenario file."""

ScenariosView = TypedDict(
    "ScenariosView",
    {
        "passed": bool,
        "scenarios": list[ScenarioView],
    },
)
"""Scenarios that were run against a definition, and whether all passed."""
