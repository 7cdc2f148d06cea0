"""Fields that every kind of definition has: identity, guidance, schedule, notification, suppression, lateness."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from alerting.definitions.assets import Closed, Line, Name, Paragraph, Tag
from alerting.definitions.durations import Duration
from alerting.definitions.hours import TimeZone
from alerting.definitions.suppression import Suppression

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
State = Literal["draft", "active", "retired"]


class Guidance(Closed):
    """What the operator reads when the alert is raised."""

    cause: Paragraph | None = Field(None, description="The usual cause.")
    consequence: Paragraph | None = Field(None, description="What happens without action.")
    action: Paragraph | None = Field(None, description="What to do first.")


class Schedule(Closed):
    """When things run."""

    every: Duration = Field(timedelta(minutes=1), description="How often the alert is evaluated; the shortest is 1m.")
    retrain: Tag | None = Field("0 3 * * 0", description="Cron expression of the training (Sunday 03:00); null: only by hand.")
    report: Tag | None = Field(
        "0 6 * * 1", description="Cron expression of the performance report (Monday 06:00); null: only by hand."
    )
    timezone: TimeZone = Field("UTC", description="IANA time zone of the cron expressions, e.g. Europe/Berlin.")


class Notify(Closed):
    """Who is notified."""

    channels: tuple[Tag, ...] | None = Field(
        None, max_length=50, description="Names of configured channels; all of them when left out; [] notifies no recipient."
    )
    resolved: bool = Field(True, description="Notify the recipients of the raise also of the end of the episode.")


AssetPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*][A-Za-z0-9_.*-]*$", max_length=100)]


class CommonFields(Closed):
    name: Name = Field(description="Unique name; it appears in Airflow, MLflow and every page.")
    title: Line | None = Field(None, description="The sentence that operators read; the name when left out.")
    assets: tuple[AssetPattern, ...] = Field(
        min_length=1, max_length=1000, description="Assets on which it is evaluated: names, or patterns with *."
    )
    state: State = Field("active", description="draft: kept, not run; active: run; retired: kept for its history.")
    severity: Severity = Field("medium", description="How bad it is: low, medium, high, critical.")
    owner: Tag = Field("process", description="Team or person in charge; shown in Airflow.")
    tags: tuple[Tag, ...] = Field((), max_length=50, description="Free words to find it by.")
    guidance: Guidance = Field(default_factory=Guidance, description="What the operator reads.")
    schedule: Schedule = Field(default_factory=Schedule, description="When things run.")
    notify: Notify = Field(default_factory=Notify, description="Who is notified.")
    suppression: Suppression | None = Field(None, description="When no recipient is notified, by design: line stopped, calendar.")
    allowed_lateness: Duration = Field(
        timedelta(days=1),
        description="Late readings and events are evaluated again if they are not older than this; older ones are counted "
        "as too late. 0s: never.",
    )
