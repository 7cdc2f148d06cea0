"""The alert definition: the one closed, described model from which schema, validator and reference page come.

A field stands here only because something honours it; `tests/integration/test_fields_are_honoured.py` holds the proof.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StringConstraints, TypeAdapter

from alerting.definitions.assets import Closed, Instant, Line, Name, Paragraph, Tag, VariableName
from alerting.definitions.durations import Duration
from alerting.definitions.hours import TimeZone
from alerting.definitions.suppression import Suppression

Severity = Literal["low", "medium", "high", "critical"]
LAST_NUMBER = 10**9  # of a revision
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
State = Literal["draft", "active", "retired"]
Family = Literal["logistic_regression", "random_forest", "lightgbm"]
Aggregation = Literal["mean", "std", "min", "max", "last", "slope", "missing", "age"]
FAMILIES: tuple[Family, ...] = ("logistic_regression", "random_forest", "lightgbm")


class Guidance(Closed):
    """What the operator reads when the alert is raised."""

    cause: Paragraph | None = Field(None, description="The usual cause.")
    consequence: Paragraph | None = Field(None, description="What happens if nobody acts.")
    action: Paragraph | None = Field(None, description="What to do first.")


class Problem(Closed):
    """What must not happen: a condition on a variable, held for a time, or an event type."""

    variable: VariableName | None = Field(None, description="Variable whose value is the problem; give above or below with it.")
    above: float | None = Field(None, description="The problem is a value above this limit.")
    below: float | None = Field(None, description="The problem is a value below this limit.")
    hold: Duration = Field(timedelta(0), alias="for", description="The condition must have held for this long to count.")
    event: Tag | None = Field(None, description="Event type that is the problem, e.g. failure; * stands for any text: failure-*.")
    predict: Literal["onset", "state"] | None = Field(
        None,
        description="onset: will it start within the horizon? state: will it hold at some sample in it? "
        "Left out: state for a variable with a delay (laboratory values), onset otherwise.",
    )
    recovery: Duration = Field(
        timedelta(0), description="Time after the end of a problem whose rows are left out of learning (onset)."
    )


class Features(Closed):
    """How readings become the columns that a model sees."""

    windows: tuple[Duration, ...] | None = Field(
        None, max_length=50, description="Lengths of the windows; chosen from horizon and sampling when left out."
    )
    aggregations: tuple[Aggregation, ...] = Field(
        ("mean", "std", "min", "max", "last", "slope", "missing", "age"),
        max_length=20,
        description="What is computed per number and window; missing: share of missing values; age: time since the last value.",
    )
    lags: tuple[Duration, ...] = Field(
        (), max_length=50, description="Each number's value as it was known this long before is a column too, e.g. [1h, 24h]."
    )
    stride: Duration | None = Field(
        None, description="Distance between two judged instants; a sixth of the horizon when left out."
    )
    events: tuple[Tag, ...] = Field((), max_length=100, description="Event types (with *) whose counts and recency are features.")
    attributes: tuple[Tag, ...] = Field((), max_length=100, description="Asset attributes that are features.")


class Periods(Closed):
    """Which stretch of history is for what. The newest part tests, the part before it validates, the rest trains."""

    start: Instant | None = Field(None, description="First instant used; the beginning of the readings when left out.")
    end: Instant | None = Field(None, description="Last instant used; the training's as_of when left out.")
    validation: float = Field(0.2, gt=0, lt=1, description="Share of the time span that sets calibration and threshold.")
    test: float = Field(0.2, gt=0, lt=1, description="Newest share of the time span, scored once by the selected challenger.")


class Learning(Closed):
    """The search for the best candidate."""

    candidates: tuple[Family, ...] = Field(
        FAMILIES, min_length=1, max_length=10, description="Model families to try; a baseline is always among them."
    )
    trials: int = Field(
        8, ge=1, le=1000, description="Parameter sets tried per family; the first is the family's proven default."
    )
    time_budget: Duration = Field(
        timedelta(minutes=5), description="Ceiling on the search per family; a search that it cuts short says so."
    )
    folds: int = Field(3, ge=2, le=10, description="Walk-forward folds inside the training period.")
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Seed of everything random; the same seed, data and definition give the same model.",
    )


class OperatingPoint(Closed):
    """Where the threshold is put, in the terms of the people who answer the alerts: by one of three ways."""

    false_alarms_per_week: float | None = Field(
        None,
        gt=0,
        description="Most recall within this many false alarm episodes a week, per asset; 3 when no other way is given.",
    )
    cost_of_miss: float | None = Field(
        None, gt=0, description="Instead: least cost, where a missed problem costs this much; together with cost_of_false_alarm."
    )
    cost_of_false_alarm: float | None = Field(
        None, gt=0, description="What a false alarm episode costs, in the same currency as cost_of_miss."
    )
    least_precision: float | None = Field(
        None, gt=0, le=1, description="Instead: most recall while at least this share of the episodes, of those judged, is right."
    )
    max_time_in_alarm: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Largest share of time in alarm, whichever way is given; a score that is always high is never chosen.",
    )

    @property
    def most_false_alarms(self) -> float | None:
        """The budget of false alarms a week and asset; None where the threshold is put by cost or precision."""
        if self.cost_of_miss is not None or self.cost_of_false_alarm is not None or self.least_precision is not None:
            return None
        return 3.0 if self.false_alarms_per_week is None else self.false_alarms_per_week


class FeedbackUse(Closed):
    """What the operators' answers change in training. Where the problem did occur, the data decide."""

    avoided: Literal["exclude", "positive", "weight"] = Field(
        "exclude",
        description="Rows around an alert that was acted upon and whose problem then did not occur. exclude: left out of "
        "learning. positive: those from the alert to the action count as positive, only where the operator also said true_alarm. "
        "weight: they count as positive with `weight`, unless the operator said otherwise. They are never negative.",
    )
    weight: float = Field(
        0.3, gt=0, le=1, description="With avoided: weight. How much such a row counts; an ordinary row counts 1."
    )
    confirmed: Literal["exclude", "positive"] = Field(
        "exclude",
        description="Rows around an alert that the operator called true although nobody acted and the data show no problem. "
        "exclude: left out of learning. positive: the row at which it was raised counts as positive.",
    )


class Schedule(Closed):
    """When things run."""

    every: Duration = Field(timedelta(minutes=1), description="How often the alert is evaluated; the shortest is 1m.")
    retrain: Tag | None = Field("0 3 * * 0", description="Cron expression of the training (Sunday 03:00); null: only by hand.")
    report: Tag | None = Field(
        "0 6 * * 1", description="Cron expression of the performance report (Monday 06:00); null: only by hand."
    )
    timezone: TimeZone = Field("UTC", description="IANA time zone of the cron expressions, e.g. Europe/Berlin.")


class Promotion(Closed):
    """When a challenger replaces the champion."""

    mode: Literal["automatic", "approval"] = Field("automatic", description="approval: a person decides in the Airflow UI.")
    least_events: int = Field(
        5, ge=1, description="Fewer problems than this in the common unseen window: cannot tell, the champion stays."
    )
    confidence: float = Field(0.9, gt=0.5, lt=1, description="Share of bootstrap samples in which the challenger must be better.")


class Recommendation(Closed):
    """Advice on set-points."""

    max_changes: int = Field(2, ge=1, le=4, description="Most variables changed at once.")


class Notify(Closed):
    """Who is told."""

    channels: tuple[Tag, ...] | None = Field(
        None, max_length=50, description="Names of configured channels; all of them when left out; [] tells nobody."
    )
    resolved: bool = Field(True, description="Tell also when the episode ends, to those who were told of its raise.")


AssetPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*][A-Za-z0-9_.*-]*$", max_length=100)]


class _Common(Closed):
    name: Name = Field(description="Unique name; it appears in Airflow, MLflow and every page.")
    title: Line | None = Field(None, description="The sentence that operators read; the name when left out.")
    assets: tuple[AssetPattern, ...] = Field(
        min_length=1, max_length=1000, description="Assets that it watches: names, or patterns with *."
    )
    state: State = Field("active", description="draft: kept, not run; active: run; retired: kept for its history.")
    severity: Severity = Field("medium", description="How bad it is: low, medium, high, critical.")
    owner: Tag = Field("process", description="Team or person in charge; shown in Airflow.")
    tags: tuple[Tag, ...] = Field((), max_length=50, description="Free words to find it by.")
    guidance: Guidance = Field(default_factory=Guidance, description="What the operator reads.")
    schedule: Schedule = Field(default_factory=Schedule, description="When things run.")
    notify: Notify = Field(default_factory=Notify, description="Who is told.")
    suppression: Suppression | None = Field(None, description="When nobody is told, by design: line stopped, calendar.")
    allowed_lateness: Duration = Field(
        timedelta(days=1),
        description="Readings and events that come late are judged again if they are not older than this; older ones are counted "
        "as too late. 0s: never.",
    )


class FromAttribute(Closed):
    """A limit that every asset states for itself."""

    attribute: Tag = Field(description="Name of the asset attribute that holds the limit; an asset without it is refused.")


Limit = float | FromAttribute


class Band(Closed):
    """A range of values; both ends belong to it."""

    low: Limit = Field(description="Lower end of the band: a number, or {attribute: name}.")
    high: Limit = Field(description="Upper end of the band: a number, or {attribute: name}.")


class AtLeast(Closed):
    """A share of the last readings."""

    readings: int = Field(ge=1, le=100, description="So many readings must be beyond the limit ...")
    of: int = Field(
        ge=2,
        le=100,
        description="... among this many last ones. Missing, frozen, impossible and bad ones are none; those before a hole "
        "in the data, where nothing came for longer than stale_after, do not count.",
    )


class LevelLimits(Closed):
    """The limits of one severity."""

    above: Limit | None = Field(None, description="This severity is reached by a value above: a number, or {attribute: name}.")
    below: Limit | None = Field(None, description="This severity is reached by a value below: a number, or {attribute: name}.")
    clear_above_at: Limit | None = Field(None, description="After `above` it is left only at or below this value (hysteresis).")
    clear_below_at: Limit | None = Field(None, description="After `below` it is left only at or above this value (hysteresis).")


class Levels(Closed):
    """Limits by severity; the worst one that holds counts."""

    low: LevelLimits | None = Field(None, description="Limits of severity low.")
    medium: LevelLimits | None = Field(None, description="Limits of severity medium.")
    high: LevelLimits | None = Field(None, description="Limits of severity high.")
    critical: LevelLimits | None = Field(None, description="Limits of severity critical.")


class ThresholdDefinition(_Common):
    """A variable leaves its limits."""

    kind: Literal["threshold"] = Field(description="threshold: a variable leaves its limits.")
    variable: VariableName = Field(description="Variable that is judged, reading by reading.")
    above: Limit | None = Field(None, description="Triggered by a value above this limit: a number, or {attribute: name}.")
    below: Limit | None = Field(
        None,
        description="Triggered by a value below this limit: a number, or {attribute: name}. With above too: outside of both.",
    )
    clear_above_at: Limit | None = Field(
        None, description="After `above` was triggered it clears only at or below this value (hysteresis)."
    )
    clear_below_at: Limit | None = Field(
        None, description="After `below` was triggered it clears only at or above this value (hysteresis)."
    )
    outside: Band | None = Field(None, description="Triggered by a value outside of this band; the same as below and above.")
    inside: Band | None = Field(None, description="Triggered by a value inside this band.")
    equals: StrictBool | float | Line | FromAttribute | None = Field(
        None,
        description="Triggered by exactly this value: a number, true or false, the text of a category, or {attribute: name}.",
    )
    clear_inside: Band | None = Field(
        None,
        description="After `outside` was triggered it clears only inside this band (hysteresis): after too high at or below its "
        "upper end, after too low at or above its lower end; the same as clear_above_at and clear_below_at.",
    )
    clear_outside: Band | None = Field(
        None,
        description="After `inside`, or `equals` with a number, was triggered it clears only outside of this wider band "
        "(hysteresis).",
    )
    levels: Levels | None = Field(
        None,
        description="Instead of one limit: limits by severity. One episode, whose severity rises and falls: each severity is "
        "reached when that or worse has held for `for`, and left when it has been gone for clear_for; the worst one counts. "
        "The field severity then counts for missing data only.",
    )
    rate_per: Duration | None = Field(
        None,
        description="Judge the change of the value per this time instead of the value: the limits are rates. "
        "It is the change since the newest sound reading that is at least this much older, and by less than stale_after more; "
        "unknown without one.",
    )
    at_least: AtLeast | None = Field(None, description="Triggered only by so many of the last readings, instead of by each one.")
    hold: Duration = Field(
        timedelta(0),
        alias="for",
        description="On-delay: the condition must hold this long, and still hold then, before the episode opens.",
    )
    clear_for: Duration = Field(
        timedelta(0),
        description="Off-delay: the condition must be gone this long, and still be gone then, before the episode closes.",
    )
    stale_after: Duration = Field(
        timedelta(minutes=10),
        description="A value holds until the next reading, which may come at the last instant, at most this long; "
        "then data are missing.",
    )
    frozen_after: Duration | None = Field(
        None,
        description="A sensor that has said the same for this long is frozen, also across a hole in the data: "
        "its value counts as missing from then on.",
    )
    no_data: Literal["hold", "alert", "ignore"] = Field(
        "hold",
        description="Where data are missing, frozen, of bad quality, or outside the variable's engineering range. "
        "hold: the state is unknown, which neither raises nor closes an episode; alert: that is itself a reason to raise; "
        "ignore: each value counts, until the next one comes (for values that are sent only when they change); what is of bad "
        "quality is unknown all the same.",
    )
    problem: Problem | None = Field(
        None, description="What the alert warns of, if that is something else; its outcome is then judged by data."
    )
    horizon: Duration = Field(
        timedelta(minutes=30), description="With a problem: how long after the raise the problem counts as warned of."
    )
    gap: Duration = Field(timedelta(0), description="With a problem: least time needed to act.")


class ClassifierDefinition(_Common):
    """A trained model: will the problem occur within the horizon?"""

    kind: Literal["classifier"] = Field(description="classifier: a model predicts the problem.")
    problem: Problem = Field(description="What must not happen.")
    horizon: Duration = Field(description="How far ahead the problem is predicted, e.g. 30m.")
    gap: Duration = Field(
        timedelta(0), description="Least time needed to act; a problem sooner than this is too late to warn of."
    )
    include: tuple[Tag, ...] = Field(("*",), max_length=1000, description="Variables the model may see (with *).")
    exclude: tuple[Tag, ...] = Field((), max_length=1000, description="Variables the model may not see (with *).")
    features: Features = Field(default_factory=Features, description="How readings become columns.")
    periods: Periods = Field(default_factory=Periods, description="Which stretch of history is for what.")
    learning: Learning = Field(default_factory=Learning, description="The search for the best candidate.")
    operating_point: OperatingPoint = Field(default_factory=OperatingPoint, description="Where the threshold is put.")
    feedback: FeedbackUse = Field(default_factory=FeedbackUse, description="What the operators' answers change in training.")
    promotion: Promotion = Field(default_factory=Promotion, description="When a challenger replaces the champion.")
    recommendation: Recommendation = Field(default_factory=Recommendation, description="Advice on set-points.")

    @property
    def stride(self) -> timedelta:
        """Distance between two judged instants: as written, or a sixth of the horizon, whole minutes, at least one minute."""
        return self.features.stride or _sixth(self.horizon)


Definition = Annotated[ThresholdDefinition | ClassifierDefinition, Field(discriminator="kind")]
DEFINITION: TypeAdapter[ThresholdDefinition | ClassifierDefinition] = TypeAdapter(Definition)


def _sixth(horizon: timedelta) -> timedelta:
    return timedelta(minutes=max(1, int(horizon.total_seconds() // 360)))


class Revision(Closed):
    """An immutable, numbered version of a definition."""

    name: Name
    number: int = Field(ge=1, le=LAST_NUMBER)
    hash: Tag
    author: Line
    at: Instant
    reason: str = Field(max_length=10_000)
    definition: Definition
