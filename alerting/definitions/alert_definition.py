"""Fields of every alert definition, whatever its kind, the groups of fields that kinds with a
trained model share, and the assets that a definition matches.

Each kind builds its class from these groups (`kinds/<kind>/definition.py`); schema and reference
page are generated from that class.

Definitions are divided by a hash of their name: into sixteen shards for DAG files and reports, into
sixteen or a multiple of sixteen for states, and among the tasks of a tick.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self
from zlib import crc32

from pydantic import Field, SerializeAsAny

from alerting.definitions.asset_documents import Asset, Closed, EventType, Instant, Line, Name, Tag
from alerting.definitions.faults import Duration, Fault, format_duration
from alerting.definitions.fields.condition_fields import (
    Band,
    Condition,
    FromAttribute,
    LevelLimits,
    single_condition,
)
from alerting.definitions.fields.learning import (
    PERSISTENCE,
    Features,
    FeedbackUse,
    Learning,
    OperatingPoint,
    Periods,
    Promotion,
    PromotionMode,
    Recommendation,
)
from alerting.definitions.fields.names_and_times import Number
from alerting.definitions.fields.problem import (
    NO_TITLES,
    AlarmFields,
    PredictionWindow,
    Problem,
    Titles,
    Variables,
    describe_problem,
    prediction_phrase,
    problem_phrase,
)
from alerting.definitions.fields.shared_fields import (
    REPORT_PERIODS,
    SEVERITIES,
    SEVERITY_NAMES,
    WEEKLY,
    AssetPattern,
    CommonFields,
    ReportPeriod,
    Severity,
    Start,
    period_of_cron,
)


class Costs(Closed):
    """Costs in one currency, for sums of money in reports and trials. They never choose a
    threshold: `operating_point` does."""

    currency: Tag = Field("EUR", description="Currency of all amounts.")
    miss: Number = Field(0.0, ge=0, description="Cost of each problem that happens.")
    miss_per_minute: Number = Field(
        0.0,
        ge=0,
        description=("Cost of each minute of a problem, added to miss."),
    )
    false_alarm: Number = Field(0.0, ge=0, description="Cost of each false alarm.")
    intervention: Number = Field(
        0.0, ge=0, description="Cost of each action of an operator, needed or not."
    )


__all__ = [
    "LAST_NUMBER",
    "SEVERITIES",
    "SEVERITY_NAMES",
    "AssetPattern",
    "Band",
    "Condition",
    "Costs",
    "Definition",
    "FeedbackUse",
    "FromAttribute",
    "LevelLimits",
    "ModelDefinition",
    "OperatingPoint",
    "Problem",
    "Revision",
    "Severity",
    "TrainedDefinition",
    "describe_problem",
]

LAST_NUMBER = 10**9  # of a revision
STORED = "stored"  # in the context of a validation: the document is that of a stored revision
LONGEST_HORIZONS = 4  # that an alarm lasts whose problem does not come, by default
_NIGHT_MINUTES = 6 * 60


class LifeEnds(NamedTuple):
    """Events that end the life of a part: failures, and planned replacements. A replacement
    within the horizon after a failure is its repair. `planned_ms`: age of a part at its planned
    replacement, 0 without a plan."""

    failure: str
    horizon_ms: int
    replaced_by: str | None
    planned_ms: int


class Definition(CommonFields, ABC):
    """An alert definition of any kind."""

    kind: Tag
    problem: Problem | None = None
    horizon: Duration = timedelta(minutes=30)
    gap: Duration = timedelta(0)
    costs: Costs | None = Field(
        None,
        exclude_if=lambda costs: costs is None,
        description=(
            "Costs for the sums of money in reports. They never choose the threshold of a model."
        ),
    )

    @property
    def has_alarm(self) -> bool:
        """Return whether this definition can raise an alarm: a forecast of a value alone cannot."""
        return True

    @property
    def is_of_unit(self) -> bool:
        """Return whether the problem of the unit just made is predicted: `horizon: 0s`."""
        return not self.horizon

    @property
    def window(self) -> PredictionWindow:
        """Return the prediction window, relative to the instant of the prediction."""
        return PredictionWindow(self.gap, self.gap + self.horizon)

    @property
    def longest_window(self) -> timedelta:
        """Return how long after its raise the prediction window of an episode may reach."""
        return self.gap + self.horizon

    @property
    def quality_problem(self) -> Problem | None:
        """Return the problem whose samples show which production is bad: as written, or the stated
        limits of one variable. None if no sample shows it, or if the definition blocks nothing."""
        problem = self.problem
        if problem is None and (condition := single_condition(self)) is not None:
            limits = {name: getattr(condition, name) for name in ("above", "below", "equals")}
            is_plain = not any(isinstance(limit, FromAttribute) for limit in limits.values())
            if is_plain and set(limits.values()) != {None} and condition.rate_per is None:
                problem = Problem(variable=condition.variable, **limits)
        shows = problem is not None and problem.variables and self.has_alarm
        return problem if self.blocks_production and shows else None

    def for_assets(self, assets: Sequence[Asset]) -> Self:
        """Return the definition with the defaults that depend on its assets."""
        del assets
        return self

    @abstractmethod
    def variables_evaluated(self, asset: Asset) -> frozenset[str]:
        """Return the variables of the asset whose values change an evaluation."""

    @property
    def retrain_cron(self) -> str | None:
        """Return the cron expression of the training; None: only by hand.

        Weekly trainings are spread over the minutes of seven nights by a hash of the name, so that
        they do not all begin at once.
        """
        if self.schedule.retrain != WEEKLY:
            return self.schedule.retrain
        night, minute = divmod(crc32(self.name.encode()) % (7 * _NIGHT_MINUTES), _NIGHT_MINUTES)
        return f"{minute % 60} {minute // 60} * * {night}"

    @property
    def report_period(self) -> ReportPeriod | None:
        """Return the calendar period of the performance report; None: only by hand.

        A cron expression means the shortest period that is not shorter than the longest time
        between its next ticks.
        """
        written = self.schedule.report
        return written if written is None or written in REPORT_PERIODS else period_of_cron(written)

    def severities(self) -> tuple[Severity, ...]:
        """Return the severities that an episode of this definition can have, least severe first."""
        return (self.severity,)

    def action_of(self, mode: str | None) -> str | None:  # noqa: ARG002
        """Return the first step if a mode of the problem is the probable one; None without."""
        return None

    def describe(self, variables: Variables, types: Titles = NO_TITLES) -> str:
        """Describe what raises an alarm, as a phrase: `Zone 2 temperature above 240 °C for 3
        min`."""
        return problem_phrase(self.problem, variables, types) if self.problem else self.kind

    def faults(self) -> Iterable[Fault]:
        """Return the faults across the fields of this kind."""
        return ()

    def faults_on(
        self,
        targets: Sequence[Asset],  # noqa: ARG002
        event_types: Sequence[EventType],  # noqa: ARG002
    ) -> Iterable[Fault]:
        """Return the faults that only the matched assets and the known event types show."""
        return ()

    def variables_read(self, asset: Asset) -> frozenset[str]:
        """Return the variables of the asset whose values change an evaluation or an outcome."""
        return self.variables_evaluated(asset).union(self.problem.variables if self.problem else ())

    # the questions to which a definition of this kind is the answer
    starts: ClassVar[tuple[Start, ...]] = ()
    # dotted paths: one that is there gives a definition of the kind a model
    model_fields_at: ClassVar[tuple[str, ...]] = ()
    # by path of a field of another kind: what is written here instead
    written_instead: ClassVar[Mapping[str, str]] = {}
    # whether times in which the definition is suppressed are evaluated
    evaluates_suppressed: ClassVar[bool] = True

    def events_read(self) -> tuple[str, ...]:
        """Return the event types (with *) that change an evaluation or an outcome."""
        return (self.problem.event,) if self.problem and self.problem.event else ()

    def delay(self, asset: Asset) -> timedelta:  # noqa: ARG002
        """Return the availability delay: how long after its stamp a value that raises an episode is
        known."""
        return timedelta(0)

    def latency(self, asset: Asset, default: timedelta) -> timedelta:
        """Return how long an evaluation waits for readings of an asset: the latency of its slowest
        variable.

        A problem that is used for outcomes alone delays no evaluation. `default`: the platform's
        latency.
        """
        return max(
            (asset.latency(variable, default) for variable in self.variables_evaluated(asset)),
            default=default,
        )


class ModelDefinition(Definition):
    """A definition that is evaluated by a trained, registered and promoted model."""

    if TYPE_CHECKING:
        promotion: PromotionMode  # of each kind's own class, in the order of its fields

    @property
    @abstractmethod
    def families(self) -> tuple[str, ...]:
        """Return the candidates of a training."""

    @property
    @abstractmethod
    def learns_from(self) -> datetime | None:
        """Return the first instant of readings to learn from that the definition names, or None."""

    @property
    @abstractmethod
    def training_text(self) -> str:
        """Return what the model does, as a sentence for the page of its training."""

    @property
    @abstractmethod
    def longest_search(self) -> timedelta:
        """Return the longest time by the clock until a candidate's search begins its last trial."""

    @property
    @abstractmethod
    def needs(self) -> tuple[str, ...]:
        """Return the variables (with *) without which the model gives no answer."""

    @property
    def groups_by(self) -> tuple[str, ...]:
        """Return the category variables by which a training groups readings; each value is carried
        forward until the next one."""
        return ()

    @abstractmethod
    def question_fields(self) -> dict[str, Any]:
        """Return the fields of the question that a model answers, as plain values: once one of them
        has changed, no earlier model may answer."""


class TrainedDefinition(AlarmFields, ModelDefinition):
    """The groups of fields of a model that learns from problems."""

    problem: Problem = Field(description="The problem to prevent.")
    horizon: Duration = Field(
        description=(
            "Time ahead for which the problem is predicted, e.g. 30m. 0s: is the unit just "
            "made bad? Each row is then a unit, labelled at its own instant, and the "
            "problem's variable is no feature."
        )
    )
    gap: Duration = Field(
        timedelta(0),
        description="Least time needed to act; an earlier problem counts as announced too late.",
    )
    include: tuple[Tag, ...] = Field(
        ("*",), max_length=1000, description="Variables the model may see (with *)."
    )
    exclude: tuple[Tag, ...] = Field(
        (), max_length=1000, description="Variables the model may not see (with *)."
    )
    features: Features = Field(
        default_factory=Features, description="Computation of columns from readings."
    )
    periods: Periods = Field(
        default_factory=Periods, description="Split of history into training, validation and test."
    )
    learning: Learning = Field(default_factory=Learning, description="The search.")
    operating_point: OperatingPoint = Field(
        default_factory=OperatingPoint, description="Choice of the threshold."
    )
    feedback: FeedbackUse = Field(
        default_factory=FeedbackUse, description="Effect of operators' feedback on training."
    )
    promotion: Promotion = Field(
        default_factory=Promotion,
        description="When a challenger replaces the champion.",
    )
    recommendation: Recommendation = Field(
        default_factory=Recommendation, description="Advice on set-points."
    )

    def describe(self, variables: Variables, types: Titles = NO_TITLES) -> str:
        return prediction_phrase(self.problem, self.horizon, variables, types)

    @property
    def learns_from(self) -> datetime | None:
        return self.periods.first

    @property
    def training_text(self) -> str:
        return f"Predicts {describe_problem(self.problem)}, {format_duration(self.horizon)} ahead"

    @property
    def longest_search(self) -> timedelta:
        return self.learning.longest_by_clock

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.problem.variables, *self.include)

    def question_fields(self) -> dict[str, Any]:
        """Return problem (with the kind of its label), horizon, gap, assets, variables, stride, and
        how long an alarm lasts, as written; derived values are auto."""
        fields = {"problem", "horizon", "gap", "assets", "include", "exclude"}
        fields |= {"clear_at", "clear_for", "longest_time"}
        # without None, so that a field that is added later changes no hash
        written = self.model_dump(mode="json", include=fields, exclude_none=True)
        written["stride"] = self.model_dump(mode="json")["features"]["stride"] or "auto"
        return written

    @property
    def window(self) -> PredictionWindow:
        """Return the prediction window: from gap to gap + horizon; for the unit just made, the last
        stride."""
        return PredictionWindow(-self.stride, timedelta(0)) if self.is_of_unit else super().window

    @property
    def longest_alarm(self) -> timedelta:
        """Return the longest time for which an alarm lasts if its problem does not come."""
        return self.longest_time or LONGEST_HORIZONS * self.horizon

    @property
    def longest_window(self) -> timedelta:
        return super().longest_window + self.longest_alarm

    def leads(self, sampling: timedelta | None) -> tuple[timedelta, ...]:  # noqa: ARG002
        """Return the times ahead for which the model predicts values of the problem's variable;
        none if it predicts only the problem.

        `sampling`: the usual time between two values of it, None when unknown.
        """
        return ()

    def own_lags(self, sampling: timedelta | None) -> tuple[timedelta, ...]:  # noqa: ARG002
        """Return the lags of the problem's variable that the model sees beside `features.lags`."""
        return ()

    @property
    def life_ends(self) -> LifeEnds | None:
        """Return what ends a life of which the remaining time is estimated; None if it is not
        asked for."""
        return None

    @property
    def must_know(self) -> str | None:
        """Return the variable that needs a last value for an instant to be scored; None if any
        variable will do."""
        return None

    @property
    def sees_problem(self) -> bool:
        """Return whether the model may see the problem's variables; never for the unit just
        made."""
        variables = self.problem.variables
        return bool(variables) and not self.is_of_unit and all(map(self.may_see, variables))

    @property
    def mode_problems(self) -> Mapping[str, Problem]:
        """Return the problem of each mode by name; none if the problem has no modes."""
        return {}

    @property
    def _of_modes(self) -> frozenset[str]:
        return frozenset(v for mode in self.mode_problems.values() for v in mode.variables)

    def never_seen(self, asset: Asset) -> frozenset[str]:
        """Return the variables that are never a feature: those that only show the mode, for the
        unit just made also the problem's, and all that are computed from these."""
        shown = frozenset(self.problem.variables)
        hidden = self._of_modes | shown if self.is_of_unit else self._of_modes - shown
        return hidden.union(set(asset.computed_of(hidden)) - (shown - hidden))

    def may_see(self, variable: str) -> bool:
        """Return whether a variable matches `include` and not `exclude`."""
        return _matches(variable, self.include) and not _matches(variable, self.exclude)

    @property
    def stride(self) -> timedelta:
        """Return the time between two evaluations: as written, or, while none is derived, a sixth
        of the horizon.

        The sixth is rounded down to whole minutes, at least one minute.
        """
        return self.features.stride or timedelta(
            minutes=max(1, int(self.horizon.total_seconds() // 360))
        )

    @property
    def families(self) -> tuple[str, ...]:
        """Return the model families that a training tries; persistence only if the problem has one
        variable, a number, whose last value the model may see."""
        is_number = self.problem.variable is not None and not isinstance(self.problem.equals, str)
        persists = self.sees_problem and is_number and "last" in self.features.aggregations
        return (*((PERSISTENCE,) if persists else ()), *self.learning.candidates)

    def variables_evaluated(self, asset: Asset) -> frozenset[str]:
        """Return the variables that the model may see and, to tell whether the problem has begun,
        the problem's variables.

        For the unit just made, the problem's variables are left out.
        """
        seen = {v for v in asset.variables if self.may_see(v)}
        return frozenset(seen.union(self.problem.variables) - self.never_seen(asset))

    def variables_read(self, asset: Asset) -> frozenset[str]:
        return super().variables_read(asset) | self._of_modes

    def events_read(self) -> tuple[str, ...]:
        """Return the event types of the problem, of its modes and of the features."""
        of_modes = tuple(mode.event for mode in self.mode_problems.values() if mode.event)
        return super().events_read() + of_modes + self.features.events


def _matches(variable: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(variable, pattern) for pattern in patterns)


class Revision(Closed):
    """An immutable, numbered version of a definition."""

    name: Name
    number: int = Field(ge=1, le=LAST_NUMBER)
    hash: Tag
    author: Line
    at: Instant
    reason: str = Field(max_length=10_000)
    question: Tag | None = Field(None, description="Hash of the question of a trained definition.")
    definition: SerializeAsAny[Definition]


class AssetIndex:
    """Known assets by name. `faulty`: names of other assets, whose documents cannot be read.

    The index caches the matches of a pattern, because many definitions share one.
    """

    def __init__(self, assets: Iterable[Asset], faulty: Collection[str] = ()) -> None:
        self.faulty = frozenset(faulty)
        self._by_name = {
            asset.name: asset for asset in sorted(assets, key=lambda asset: asset.name)
        }
        self._names: dict[str, list[str]] = {}

    @property
    def assets(self) -> list[Asset]:
        """Return all assets, sorted by name."""
        return list(self._by_name.values())

    @property
    def names(self) -> list[str]:
        """Return all names, sorted."""
        return list(self._by_name)

    def __getitem__(self, name: str) -> Asset:
        return self._by_name[name]

    def ancestors(self, asset: Asset) -> tuple[str, ...]:
        """Return the names of the known ancestors of an asset, the nearest first."""
        names: list[str] = []
        parent = self._by_name.get(asset.parent or "")
        while parent is not None and parent.name not in (asset.name, *names):
            names.append(parent.name)
            parent = self._by_name.get(parent.parent or "")
        return tuple(names)

    def at_or_below(self, name: str) -> frozenset[str]:
        """Return the names of an asset and of all below it."""
        return frozenset(a.name for a in self.assets if name in (a.name, *self.ancestors(a)))

    def names_like(self, pattern: str) -> list[str]:
        """Return the names that equal a pattern or match it with *, sorted."""
        if "*" not in pattern:
            return [pattern] if pattern in self._by_name else []
        if pattern not in self._names:
            self._names[pattern] = [name for name in self._by_name if fnmatchcase(name, pattern)]
        return self._names[pattern]

    def find_matching(self, patterns: Sequence[str]) -> list[Asset]:
        """Return the assets that match any of these names or patterns, sorted by name."""
        if len(patterns) == 1:
            return [self._by_name[name] for name in self.names_like(patterns[0])]
        return [
            self._by_name[name]
            for name in sorted({name for pattern in patterns for name in self.names_like(pattern)})
        ]


def matching_assets(definition: Definition, assets: Sequence[Asset] | AssetIndex) -> list[Asset]:
    """Return the assets that a definition names directly or by a pattern, sorted by name."""
    return index_assets(assets).find_matching(definition.assets)


def names_asset(definition: Definition, asset: str) -> bool:
    """Return whether a definition names an asset directly or by a pattern, known or not."""
    return any(fnmatchcase(asset, pattern) for pattern in definition.assets)


def index_assets(assets: Sequence[Asset] | AssetIndex) -> AssetIndex:
    """Return an index of these assets, or the given index."""
    return assets if isinstance(assets, AssetIndex) else AssetIndex(assets)


SHARDS = 16
EVALUATION_PREFIX = "evaluate__"


@cache
def shard_of(definition: str, parts: int = 1) -> int:
    """Return the number of a definition's shard, below sixteen, or below sixteen times `parts`. The
    same name always gives the same number."""
    return crc32(definition.encode()) % (SHARDS * parts)


def state_parts(tasks: int) -> int:
    """Return the number of parts into which each sixteenth of the states is divided, so that no two
    tasks write the same document."""
    return -(-tasks // SHARDS)


def task_of(definition: str, slots: int) -> int:
    """Return the number of the task that evaluates a definition, below `slots`. Definitions whose
    states are stored together share a task."""
    return shard_of(definition, state_parts(slots)) % slots


def evaluation_dag(every: str) -> str:
    """Return the name of the DAG that evaluates at a cadence."""
    return f"{EVALUATION_PREFIX}{every}"


def fixed_threshold(definition: Definition) -> float | None:
    """Return the risk from which a definition raises alarms with any model; None where each
    training chooses it."""
    return (
        definition.operating_point.alarm_at if isinstance(definition, TrainedDefinition) else None
    )
