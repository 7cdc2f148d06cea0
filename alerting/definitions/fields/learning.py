"""Fields of kinds with a trained model: features, periods, search, operating point, feedback,
promotion, recommendation; and the names of model families.

A package adds a family by an entry point in the group `alerting.families`: name of the family =
`module:object`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field
from pydantic import Tag as PydanticTag

from alerting.definitions.asset_documents import Closed, Direction, Instant, Tag, VariableName
from alerting.definitions.faults import Duration, name_hint, shown
from alerting.definitions.fields.names_and_times import Number

BUILT_IN = ("logistic_regression", "random_forest", "lightgbm")
# Families of the platform's own entry points, each with the library that the extra of its name
# brings.
OPTIONAL = ("xgboost",)
# It is tried for every problem whose variable the model may see, without being asked for.
PERSISTENCE = "persistence"
OF_MODES = "lightgbm"  # fits each mode of a problem
MEAN = "mean"  # of a forecast: the mean of all values, a constant
SEASONAL = "seasonal_naive"  # of a forecast with a season: repeats the value of one before
BASELINES = (PERSISTENCE, MEAN, SEASONAL)
GROUP = "alerting.families"
_LONGEST = "random_forest"
_SHORTEST = ("logistic_regression", PERSISTENCE)


@cache  # a look at every installed package takes a twentieth of a second
def find_added(name: str) -> EntryPoint | None:
    """Return the entry point of a family that an installed package adds; None without one."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


def require_family(name: str) -> str:
    """Return the name if it is that of an installed family. Raises ValueError with the installed
    names for any other."""
    if name in OPTIONAL and find_spec(name) is None:
        raise ValueError(
            f"{name} is not installed here; install it wherever definitions are read, trained or "
            f"evaluated: pip install 'alerting[{name}]'"
        )
    if name in BUILT_IN or find_added(name):
        return name
    names = [
        family
        for family in (*BUILT_IN, *entry_points(group=GROUP).names)
        if family not in OPTIONAL or find_spec(family)
    ]
    hint = name_hint(name, names, "families of this platform")
    raise ValueError(f"{shown(name)} is not a family that can be trained here; {hint}")


def longest_first(families: Iterable[str]) -> list[str]:
    """Return families in the order in which a training begins to search them: the slowest first, so
    that no slow search runs alone at the end when not all can run at once."""
    return sorted(families, key=lambda name: ((name in _SHORTEST) - (name == _LONGEST), name))


Family = Annotated[Tag, AfterValidator(require_family)]
Aggregation = Literal["mean", "std", "min", "max", "last", "slope", "missing", "age"]
CLOCK_TO_CPU = 4  # a search on a machine with as much other work needs less by the clock


class Features(Closed):
    """Computation of a model's columns from readings."""

    windows: tuple[Duration, ...] | None = Field(
        None,
        max_length=50,
        description=("Derived from horizon and sampling at the first training when left out."),
    )
    aggregations: tuple[Aggregation, ...] = Field(
        ("mean", "std", "min", "max", "last", "slope", "missing", "age"),
        max_length=20,
        description=(
            "Statistics per number and window; missing: share of missing values; age: time since "
            "the last value."
        ),
    )
    lags: tuple[Duration, ...] = Field(
        (),
        max_length=50,
        description=("The value of each number as known this long before, e.g. [1h, 24h]."),
    )
    stride: Duration | None = Field(
        None,
        description=(
            "Time between two evaluations; derived at the first training when left out: as "
            "fine as the rows allow, never finer than the sampling."
        ),
    )
    events: tuple[Tag, ...] = Field(
        (),
        max_length=100,
        description=("Event types (with *): their count, and the time since the last one."),
    )
    attributes: tuple[Tag, ...] = Field(
        (), max_length=100, description="Asset attributes to use as features."
    )


class Dates(Closed):
    """A period given by its dates."""

    start: Instant = Field(alias="from", description="Instant after which the period begins.")
    end: Instant | None = Field(
        None,
        alias="to",
        description="Last instant; the beginning of the next period when left out.",
    )


def way(value: object) -> str:
    """Return how a period is given (by dates, share or length), as a name that is no field."""
    if isinstance(value, int | float):
        return SHARE
    return DATES if isinstance(value, Mapping | Dates) else LENGTH


SHARE = "a share"
LENGTH = "a length"
DATES = "two dates"
Share = Annotated[float, Field(gt=0, lt=1, strict=True), PydanticTag(SHARE)]
Length = Annotated[Duration, PydanticTag(LENGTH)]
Between = Annotated[Dates, PydanticTag(DATES)]


class Periods(Closed):
    """Split of history: the newest part tests, the part before it validates, the rest trains."""

    start: Instant | None = Field(
        None, description="First instant used; the beginning of the readings when left out."
    )
    end: Instant | None = Field(
        None, description="Last instant used; the training's as_of when left out."
    )
    train: Annotated[Length | Between, Discriminator(way)] | None = Field(
        None,
        description=(
            "Fits the model: the last days before validation, e.g. 90d, or {from, to}; "
            "everything before validation when left out."
        ),
    )
    validation: Annotated[Share | Length | Between, Discriminator(way)] = Field(
        0.2,
        description=(
            "Sets calibration and threshold: a share of the time, the last days before the "
            "test, e.g. 14d, or {from, to}."
        ),
    )
    test: Annotated[Share | Length | Between, Discriminator(way)] = Field(
        0.2,
        description=(
            "The newest period, scored once by the challenger: a share, the last days, or "
            "{from, to}."
        ),
    )
    refit: Literal["all", "none"] = Field(
        "all",
        description=(
            "What serves. all: fitted again on all rows with a known label; calibration, "
            "threshold and printed figures are those of its twin, the model of the training "
            "part. none: that twin."
        ),
    )

    @property
    def first(self) -> datetime | None:
        """Return the first instant that a date names; None without one."""
        dated = [
            part.start
            for part in (self.train, self.validation, self.test)
            if isinstance(part, Dates)
        ]
        return min([*dated, *([self.start] if self.start is not None else [])], default=None)

    @property
    def last(self) -> datetime | None:
        """Return the last instant used, as the end of all or of the test period gives it; None for
        the training's as_of."""
        return self.end or (self.test.end if isinstance(self.test, Dates) else None)

    @property
    def is_fixed(self) -> bool:
        """Return whether dates decide what validates and tests, so that later readings never do."""
        return (
            self.end is not None
            or isinstance(self.validation, Dates)
            or isinstance(self.test, Dates)
        )


class Learning(Closed):
    """Settings of the search for the best candidate."""

    candidates: tuple[Family, ...] = Field(
        BUILT_IN,
        min_length=1,
        max_length=10,
        description=(
            "Model families to try; packages add some. persistence, the last known value, is "
            "always among them."
        ),
    )
    trials: int = Field(
        8,
        ge=1,
        le=1000,
        description="Parameter sets tried per family; the first is the family's proven default.",
    )
    time_budget: Duration = Field(
        timedelta(minutes=5),
        description=(
            "Ceiling of the search per family in CPU time, four times as long by the clock."
        ),
    )
    folds: int = Field(3, ge=2, le=10, description="Walk-forward folds inside the training period.")
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description=("The same seed, data and definition give the same model."),
    )

    @property
    def longest_by_clock(self) -> timedelta:
        """Return the time by the clock after which a search begins no further trial, whatever CPU
        time it used."""
        return CLOCK_TO_CPU * self.time_budget


class OperatingPoint(Closed):
    """Choice of the threshold in one of three ways: by false alarms, by costs, or by precision;
    `alarm_at` fixes it instead."""

    false_alarms_per_week: Number | None = Field(
        None,
        gt=0,
        description=(
            "Most recall within this many false alarm episodes a week and asset (20 assets "
            "together: 20 times as many); 3 when no other way is given."
        ),
    )
    cost_of_miss: Number | None = Field(
        None,
        gt=0,
        description=(
            "Instead, with cost_of_false_alarm: least cost, where a missed problem costs this much."
        ),
    )
    cost_of_false_alarm: Number | None = Field(
        None,
        gt=0,
        description="Cost of a false alarm episode, in the same currency.",
    )
    least_precision: Number | None = Field(
        None,
        gt=0,
        le=1,
        description=(
            "Instead: most recall while at least this share of the rated episodes is right."
        ),
    )
    alarm_at: Number | None = Field(
        None,
        gt=0,
        lt=1,
        exclude_if=lambda value: value is None,
        description=(
            "Fixes the threshold: alarms from this risk on, at once and with each later model. A "
            "training chooses as ever, names its own choice, and reports its figures "
            "at this one. Once removed, the next training chooses again."
        ),
    )
    max_time_in_alarm: Number = Field(
        0.2,
        gt=0,
        le=1,
        description=(
            "Largest share of time in alarm, in all three ways; the default grows where "
            "problems are frequent, to at most 0.5."
        ),
    )

    @property
    def most_false_alarms(self) -> float | None:
        """Return the budget of false alarms a week and asset; None where cost or precision chooses
        the threshold."""
        if (
            self.cost_of_miss is not None
            or self.cost_of_false_alarm is not None
            or self.least_precision is not None
        ):
            return None
        return 3.0 if self.false_alarms_per_week is None else self.false_alarms_per_week


class FeedbackUse(Closed):
    """Effect of operators' feedback on training. Where the problem occurred, the data decide."""

    avoided: Literal["exclude", "positive", "weight"] = Field(
        "exclude",
        description=(
            "Rows around an alert that was acted upon, without its problem. exclude: left "
            "out of learning. positive: those up to the action count as positive where the "
            "operator said true_alarm. weight: they count with `weight`."
        ),
    )
    weight: Number = Field(
        0.3,
        gt=0,
        le=1,
        description="With avoided: weight. An ordinary row has the weight 1.",
    )
    confirmed: Literal["exclude", "positive"] = Field(
        "exclude",
        description=(
            "Rows around an alert with the verdict true_alarm, but no action and no problem. "
            "exclude: left out. positive: the row of the raise counts."
        ),
    )


class PromotionMode(Closed):
    """How a challenger goes into service."""

    mode: Literal["automatic", "approval"] = Field(
        "automatic",
        description="approval: a person decides.",
    )


class Promotion(PromotionMode):
    """Conditions under which a challenger replaces the champion."""

    least_events: int = Field(
        5,
        ge=1,
        description=(
            "Least number of problems in the common unseen period; with fewer the champion stays."
        ),
    )
    confidence: Number = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="Share of bootstrap samples in which it must be better.",
    )


class LeverLimits(Closed):
    """Limits of one variable in this definition's advice, within those of its asset."""

    controllable: Literal[False] | None = Field(
        None, description="false: advice leaves the variable as it is."
    )
    min: Number | None = Field(
        None, description="Lowest setting; the higher one of this and the asset's."
    )
    max: Number | None = Field(
        None, description="Highest setting; the lower one of this and the asset's."
    )
    step: Number | None = Field(
        None, gt=0, description="Step of the settings, instead of the asset's."
    )
    max_change: Number | None = Field(
        None, gt=0, description="Largest change at once; the smaller one of this and the asset's."
    )
    direction: Direction | None = Field(
        None, description="up, down or both, within the direction of the asset."
    )
    rate: Number | None = Field(
        None, gt=0, description="Largest change a minute; the smaller one of this and the asset's."
    )
    tolerance: Number | None = Field(
        None, ge=0, description="Distance by which a setting may be missed, instead of the asset's."
    )
    values: tuple[Tag, ...] = Field(
        (), max_length=100, description="Values of a category, of those that the asset allows."
    )
    cost: Number | None = Field(None, gt=0, description="Relative effort, instead of the asset's.")


class Recommendation(Closed):
    """Advice on set-points."""

    max_changes: int = Field(2, ge=1, le=4, description="Most variables changed at once.")
    variables: dict[VariableName, LeverLimits] = Field(
        default_factory=dict,
        exclude_if=lambda limits: not limits,
        max_length=1000,
        description="Narrower limits, by variable.",
    )
