"""Bodies and answers about reports. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

from alerting.client.values import Instant

AnsweredOffer = TypedDict(
    "AnsweredOffer",
    {
        "definition": str,
        "action": Literal["approve", "retire", "retune", "retrain"],
        "applied": bool,
    },
)
"""An answer to a proposal on a definition."""

BoundsView = TypedDict(
    "BoundsView",
    {
        "low": float,
        "high": float,
    },
)
"""A sum of money between two bounds."""

MissBody = TypedDict(
    "MissBody",
    {
        "definition": str,
        "asset": str,
        "at": Instant,
        "comment": NotRequired[str],
    },
)
"""A problem without an alert: "you should have told me"."""

MissView = TypedDict(
    "MissView",
    {
        "id": str,
        "definition": str,
        "asset": str,
        "missed_at": str,
        "comment": str,
        "actor": str,
        "at": str,
    },
)
"""A reported miss. `missed_at`: when the problem happened; `at`: when it was reported."""

MoneySumsView = TypedDict(
    "MoneySumsView",
    {
        "currency": str,
        "definitions": int,
        "avoided": BoundsView,
        "missed": BoundsView,
        "false_alarms": BoundsView,
        "interventions": BoundsView,
    },
)
"""Sums of one currency over the definitions that state costs."""

OfferBody = TypedDict(
    "OfferBody",
    {
        "action": Literal["approve", "retire", "retune", "retrain"],
        "revision": int,
        "reason": NotRequired[str],
    },
)
"""The proposal that is applied: its action, and the revision from which it was made, as they
are in `proposals`."""

OfferRefusalBody = TypedDict(
    "OfferRefusalBody",
    {
        "action": Literal["approve", "retire", "retune", "retrain"],
        "reason": str,
    },
)
"""The proposal that is refused, and why."""

OfferView = TypedDict(
    "OfferView",
    {
        "definition": str,
        "title": str,
        "action": Literal["approve", "retire", "retune", "retrain"],
        "reason": str,
        "revision": int,
        "worth": BoundsView | None,
        "currency": str,
        "alarms": int,
        "can_be_applied": bool,
        "field": str | None,
        "present": float | None,
        "value": float | None,
    },
)
"""A proposed change of a definition. `worth`: money that it is worth in the month, None without
costs; `alarms`: false alarms and misses that it concerns; `can_be_applied`: it is one
certain change; `field`, `present`, `value`: of another limit."""

PlantSumsView = TypedDict(
    "PlantSumsView",
    {
        "as_of": str,
        "definitions": int,
        "problems": int,
        "predicted": int,
        "predicted_low": float | None,
        "predicted_high": float | None,
        "avoided": int,
        "missed": int,
        "alarms": int,
        "false_alarms": int,
        "undetermined": int,
        "money": list[MoneySumsView],
        "failed": list[str],
    },
)
"""Figures of a period as known at `as_of`: the sums of the reports on its definitions.
`problems`: those that came, `predicted` in time or `missed`; `predicted_low`,
`predicted_high`: the 95 % interval of their share. `failed`: definitions whose figures could
not be computed."""

PlantPeriodView = TypedDict(
    "PlantPeriodView",
    {
        "name": str,
        "start": str,
        "end": str,
        "sums": PlantSumsView | None,
    },
)
"""A period [start, end); `sums`: None while there are none."""

PlantSumsPage = TypedDict(
    "PlantSumsPage",
    {
        "at": str,
        "period": PlantPeriodView,
        "weeks": list[PlantPeriodView],
        "proposals": list[OfferView],
    },
)
"""The plant in sums. `weeks`: the last twelve, this one last; `proposals`: the three worth
most."""

ReportDifference = TypedDict(
    "ReportDifference",
    {
        "metric": str,
        "before": str,
        "after": str,
        "why": str,
    },
)
"""A figure that differs from the revision before, and why."""

ReportDetail = TypedDict(
    "ReportDetail",
    {
        "id": str,
        "definition": str | None,
        "period": str | None,
        "revision": int,
        "unseen": bool,
        "start": str,
        "end": str,
        "at": str,
        "trust": str,
        "headline": str,
        "sentences": list[str],
        "key_metrics": dict[str, str],
        "differences": list[ReportDifference],
        "url": str,
        "metrics": dict[str, Any],
        "tables": list[str],
    },
)
"""A report with all its metrics, and the names of its tables."""

ReportSummary = TypedDict(
    "ReportSummary",
    {
        "id": str,
        "definition": str | None,
        "period": str | None,
        "revision": int,
        "unseen": bool,
        "start": str,
        "end": str,
        "at": str,
        "trust": str,
        "headline": str,
        "sentences": list[str],
        "key_metrics": dict[str, str],
        "differences": list[ReportDifference],
        "url": str,
    },
)
"""One revision of a performance report; `definition` is null for the plant's, `url` is its
page. `period`: its calendar period, null for an interval that a person chose; `at`: the
instant of its point-in-time view."""

TableView = TypedDict(
    "TableView",
    {
        "name": str,
        "columns": list[str],
        "rows": list[dict[str, Any]],
    },
)
"""A table of a report: one object for each row, by column."""
