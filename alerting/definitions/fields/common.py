"""Fields that every kind of definition has: identity, guidance, schedule, notification,
suppression, lateness."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from croniter import croniter
from pydantic import Field, StringConstraints

from alerting.definitions.assets import Closed, Line, Name, Paragraph, Tag
from alerting.definitions.faults import Duration
from alerting.definitions.hours import TimeZone
from alerting.definitions.suppression import Suppression
from alerting.definitions.wording.language import translatable

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
SEVERITY_NAMES: Mapping[Severity, str] = MappingProxyType({
    "low": translatable("low"),
    "medium": translatable("medium"),
    "high": translatable("high"),
    "critical": translatable("critical"),
})  # fmt: skip
State = Literal["draft", "active", "retired"]


WEEKLY = "weekly"
ReportPeriod = Literal["week", "month", "quarter"]
REPORT_PERIODS: tuple[ReportPeriod, ...] = get_args(ReportPeriod)


class Guidance(Closed):
    """Advice for operators, shown when the alert is raised."""

    cause: Paragraph | None = Field(None, description="The usual cause.")
    consequence: Paragraph | None = Field(None, description="The consequence if no operator acts.")
    action: Paragraph | None = Field(None, description="The first step of the operator.")


class Schedule(Closed):
    """Times of evaluation, training and report."""

    every: Duration = Field(
        timedelta(minutes=1), description="Interval between evaluations; the shortest is 1m."
    )
    retrain: Tag | None = Field(
        WEEKLY,
        description="Cron expression of the training; weekly: on a night, at a minute of 00:00 to "
        "06:00, given by the name; "
        "null: only for a new question, or by hand.",
    )
    report: Tag | None = Field(
        "0 6 * * 1",
        description="Calendar period of the performance report, in the plant's time zone: week, "
        "month or quarter. A cron expression means the shortest of these that is not shorter than "
        "the time between its ticks; null: only by hand.",
    )
    report_recipients: tuple[Tag, ...] = Field(
        (),
        max_length=50,
        exclude_if=lambda recipients: not recipients,
        description=(
            "Names of configured channels that get each report, for example of an e-mail address."
        ),
    )
    timezone: TimeZone = Field(
        "UTC",
        description="IANA time zone of the training's cron expression and of hour_of_day, e.g. "
        "Europe/Berlin; that of the plant (ALERTING_TIMEZONE) when left out.",
    )


class Notify(Closed):
    """Recipients of notifications."""

    channels: tuple[Tag, ...] | None = Field(
        None,
        max_length=50,
        description=(
            "Names of configured channels; all of them when left out; [] sends no notification."
        ),
    )
    resolved: bool = Field(
        True, description="Send the end of an episode to the recipients of its raise."
    )


AssetPattern = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_*][A-Za-z0-9_.*-]*$", max_length=100)
]


class CommonFields(Closed):
    name: Name = Field(description="Unique name; it appears in Airflow, MLflow and every page.")
    title: Line | None = Field(
        None, description="The sentence that operators read; the name when left out."
    )
    assets: tuple[AssetPattern, ...] = Field(
        min_length=1,
        max_length=1000,
        description="Assets on which it is evaluated: names, or patterns with *.",
    )
    state: State = Field(
        "active",
        description=(
            "draft: stored, not evaluated; active: evaluated; retired: stored for its history."
        ),
    )
    severity: Severity = Field(
        "medium", description="Severity of an episode: low, medium, high, critical."
    )
    owner: Tag = Field("process", description="Team or person in charge; shown in Airflow.")
    tags: tuple[Tag, ...] = Field(
        (), max_length=50, description="Free keywords, for searching and for routes."
    )
    guidance: Guidance = Field(default_factory=Guidance, description="Advice for operators.")
    schedule: Schedule = Field(
        default_factory=Schedule, description="Times of evaluation, training and report."
    )
    notify: Notify = Field(default_factory=Notify, description="Recipients of notifications.")
    suppression: Suppression | None = Field(
        None, description="Times without notifications by design: line stopped, calendar."
    )
    allowed_lateness: Duration = Field(
        timedelta(days=1),
        description="Late readings and events are evaluated again if they are not older than this "
        "and the `delay` of the "
        "variables; older ones are counted as too late. 0s: never.",
    )


@lru_cache(maxsize=10_000)  # .8 CPU ms for each definition of a tick of reports
def period_of_cron(cron: str) -> ReportPeriod:
    """Return the shortest period that is not shorter than the longest time between ticks."""
    ticks = croniter(cron, datetime(2026, 1, 1, tzinfo=UTC))
    instants = [ticks.get_next(datetime) for _ in range(9)]
    longest = max(after - before for before, after in pairwise(instants))
    if longest <= timedelta(days=7):
        return "week"
    return "month" if longest <= timedelta(days=31) else "quarter"
