"""Fields that every kind of definition has: identity, guidance, schedule, notification,
suppression by design (the line's states and hours, evaluated but not notified), lateness; and the
questions that lead to a kind."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import BeforeValidator, Field, StrictBool, StringConstraints

from alerting.definitions.asset_documents import (
    Asset,
    AssetTree,
    Closed,
    EventType,
    Line,
    Name,
    Paragraph,
    Tag,
    VariableName,
    value_faults,
)
from alerting.definitions.faults import Duration, Fault, format_duration, name_hint, shown
from alerting.definitions.fields.names_and_times import Hours, Number, TimeZone, time_zone
from alerting.definitions.wording.language import join_with_and, translatable


class LineState(Closed):
    """A state without notifications: a variable has some value, or an event goes on."""

    variable: VariableName | None = Field(
        None,
        description=("Of the asset, or else of the nearest one above it."),
    )
    equals: StrictBool | Number | Line | None = Field(
        None,
        description=("It has exactly this value."),
    )
    above: Number | None = Field(None, description="It is above this value.")
    below: Number | None = Field(
        None, description="It is below this value. With above too: outside of both."
    )
    hold: Duration = Field(
        timedelta(0), alias="for", description="Time for which the state must hold."
    )
    stale_after: Duration = Field(
        timedelta(minutes=10),
        description=(
            "A value holds until the next one, at most this long; then the state is unknown "
            "and suppresses nothing."
        ),
    )
    event: Tag | None = Field(
        None,
        description=(
            "Instead: an event of this type (* matches any text) goes on, on the asset or "
            "any above it."
        ),
    )
    recovery: Duration = Field(
        timedelta(0),
        description="Time after the state that is suppressed too.",
    )


class OtherAlert(Closed):
    """Another alert on the same asset, whose open episodes inhibit this one."""

    definition: Name = Field(description="Name of the other definition.")


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Suppression(Closed):
    """Times without notifications, by design of the plant. Evaluation goes on; an episode still
    open afterwards is announced."""

    when: Annotated[tuple[LineState, ...], BeforeValidator(_one_or_more)] = Field(
        (), max_length=50, description="States of the line, of which one is enough."
    )
    inhibited: Annotated[tuple[OtherAlert, ...], BeforeValidator(_one_or_more)] = Field(
        (),
        alias="while",
        max_length=20,
        exclude_if=lambda others: not others,
        description=(
            "Other alerts: nothing is sent while an episode of one is open on the same asset."
        ),
    )
    windows: tuple[Hours, ...] = Field((), max_length=100, description="Hours of the week.")
    timezone: TimeZone = Field(
        "UTC",
        description="IANA time zone of the windows; the plant's (ALERTING_TIMEZONE) when left out.",
    )
    still_notify: tuple[Literal["low", "medium", "high", "critical"], ...] = Field(
        (),
        max_length=10,
        description="Severities announced even then.",
    )

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the windows."""
        return time_zone(self.timezone)

    @property
    def of_plant(self) -> "Suppression":
        """Return the suppression by states and calendar alone, without suppression by other
        alerts."""
        return self.model_copy(update={"inhibited": ()}) if self.inhibited else self


def suppression_faults(suppression: Suppression) -> Iterable[Fault]:
    """Return the faults that can be seen without knowledge of the assets."""
    if not suppression.when and not suppression.windows and not suppression.inhibited:
        yield Fault(
            "suppression",
            "is empty",
            "add when: {variable: line_state, equals: stopped}, while: or windows:",
        )
    for i, state in enumerate(suppression.when):
        yield from _state_faults(f"suppression.when.{i}", state)


def _state_faults(path: str, state: LineState) -> Iterable[Fault]:
    limited = state.above is not None or state.below is not None
    if (state.variable is None) == (state.event is None):
        yield Fault(path, "needs either a variable with a value, or an event type")
    if state.variable is not None and state.equals is None and not limited:
        yield Fault(
            path,
            f"has no value for {state.variable}",
            "add equals:, above: or below:",
        )
    if state.equals is not None and limited:
        yield Fault(
            f"{path}.equals",
            "cannot stand beside above or below",
            "write two states: one is enough",
        )
    if state.event is not None and (state.equals is not None or limited or state.hold):
        yield Fault(
            path,
            "an event has no value and no `for`",
            "remove equals, above, below and for",
        )
    if state.above is not None and state.below is not None and state.below >= state.above:
        yield Fault(
            f"{path}.below",
            f"{state.below!s} must be less than above {state.above!s}",
        )
    if state.stale_after <= timedelta(0):
        yield Fault(f"{path}.stale_after", "must be longer than 0s")


def suppression_faults_on(
    suppression: Suppression,
    targets: Sequence[Asset],
    assets: Sequence[Asset],
    event_types: Sequence[EventType],
) -> Iterable[Fault]:
    """Return the faults that a definition's assets and their ancestors show.

    It finds unknown variables and events, and values of a wrong type.
    """
    tree = AssetTree(
        assets if any(state.variable is not None for state in suppression.when) else ()
    )
    for i, state in enumerate(suppression.when):
        path = f"suppression.when.{i}"
        if state.event is not None:
            yield from _event_faults(path, state.event, event_types)
        for asset in targets if state.variable is not None else ():
            if faults := list(_variable_faults(path, state, tree.asset_and_ancestors(asset))):
                yield from faults
                break


def _event_faults(path: str, pattern: str, event_types: Sequence[EventType]) -> Iterable[Fault]:
    matching = [t for t in event_types if fnmatchcase(t.name, pattern)]
    lasting = [t.name for t in event_types if t.duration == "lasting"]
    if not matching:
        hint = name_hint(pattern, lasting, "known event types that last")
        yield Fault(
            f"{path}.event",
            f"no event type is called {shown(pattern)}",
            hint,
        )
    elif not any(t.duration == "lasting" for t in matching):
        hint = name_hint(pattern, lasting, "event types that last")
        yield Fault(
            f"{path}.event",
            f"{shown(pattern)} is an instant event and has no duration",
            hint,
        )


def _variable_faults(path: str, state: LineState, chain: Sequence[Asset]) -> Iterable[Fault]:
    name = state.variable or ""
    holder = next((a for a in chain if name in a.variables), None)
    if holder is None:
        names = {variable for asset in chain for variable in asset.variables}
        where = join_with_and(*(shown(a.name) for a in chain))
        yield Fault(
            f"{path}.variable",
            f"there is no variable {shown(name)} on {where}",
            name_hint(name, names, "known variables"),
        )
        return
    variable = holder.variables[name]
    if state.equals is None and variable.type == "category":
        yield Fault(
            f"{path}.variable",
            f"{shown(name)} is a category; above and below need a number",
            "write equals:",
        )
    if state.equals is not None:
        yield from value_faults(f"{path}.equals", state.equals, name, variable.type)
    if variable.sampling and state.stale_after < variable.sampling:
        message = (
            f"{format_duration(state.stale_after)} is shorter than the sampling of {shown(name)} "
            "on "
            f"{shown(holder.name)}, {format_duration(variable.sampling)}"
        )
        yield Fault(
            f"{path}.stale_after",
            message,
            "lengthen it; otherwise the state is unknown between two readings",
        )


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
    action: Paragraph | None = Field(None, description="The first step.")


class Schedule(Closed):
    """Times of evaluation, training and report."""

    every: Duration = Field(
        timedelta(minutes=1), description="Interval of evaluation, at least 1m."
    )
    retrain: Tag | None = Field(
        WEEKLY,
        description=(
            "Cron expression of the training; weekly: in one night, 00:00 to 06:00, given by "
            "the name; null: only for a new question, or by hand."
        ),
    )
    report: Tag | None = Field(
        "0 6 * * 1",
        description=(
            "Calendar period of the report: week, month or quarter; null: only by hand. A "
            "cron expression means the shortest of these not shorter than the time between "
            "its ticks."
        ),
    )
    report_recipients: tuple[Tag, ...] = Field(
        (),
        max_length=50,
        exclude_if=lambda recipients: not recipients,
        description=("Names of configured channels that get each report."),
    )
    timezone: TimeZone = Field(
        "UTC",
        description=(
            "IANA time zone of `retrain` and hour_of_day, e.g. Europe/Berlin; the plant's "
            "(ALERTING_TIMEZONE) when left out."
        ),
    )


class Notify(Closed):
    """Recipients of notifications."""

    channels: tuple[Tag, ...] | None = Field(
        None,
        max_length=50,
        description=(
            "Names of channels; the routes decide when left out; [] sends no notification."
        ),
    )
    resolved: bool = Field(
        True, description="Send the end of an episode to the recipients of its raise."
    )


AssetPattern = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_*][A-Za-z0-9_.*-]*$", max_length=100)
]


class CommonFields(Closed):
    name: Name = Field(description="Unique name.")
    title: Line | None = Field(
        None, description="The sentence that operators read; the name when left out."
    )
    assets: tuple[AssetPattern, ...] = Field(
        min_length=1,
        max_length=1000,
        description="Assets: names, or patterns with *.",
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
        (), max_length=50, description="Keywords, for searching and for routes."
    )
    guidance: Guidance = Field(default_factory=Guidance, description="Advice for operators.")
    schedule: Schedule = Field(
        default_factory=Schedule, description="Times of evaluation, training and report."
    )
    notify: Notify = Field(default_factory=Notify, description="Recipients of notifications.")
    suppression: Suppression | None = Field(
        None, description="Times without notifications by design."
    )
    blocks_production: bool = Field(
        False,
        exclude_if=lambda blocks: not blocks,
        description=(
            "An alarm of quality: it names the production to block, from the last good sample to "
            "the next one, in time, in units (`counts: units`) and by lot (`names: lots`)."
        ),
    )
    allowed_lateness: Duration = Field(
        timedelta(days=1),
        description=(
            "Late readings and events are evaluated again if not older than this and the "
            "`delay` of the variables. 0s: never."
        ),
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


class Start(NamedTuple):
    """A question of an engineer that leads to a kind: which data there are, and what the alert is
    to do.

    `order`: position in the list of all questions, the simplest first. `fields`: takes a variable
    and its limit (None where it is not known) and returns the fields of a definition beside name,
    kind and assets.
    """

    order: int
    situation: str
    goal: str
    fields: Callable[[str, float | None], dict[str, Any]]
