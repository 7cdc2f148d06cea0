"""The definition of kind `forecast`."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from math import ceil
from typing import Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from alerting.definitions.alert_definition import Problem, TrainedDefinition, describe_problem
from alerting.definitions.asset_documents import Asset, EventType, VariableName
from alerting.definitions.faults import Duration, Fault, format_duration, shown
from alerting.definitions.fields.definition_checks import feature_faults, training_faults
from alerting.definitions.fields.learning import MEAN, PERSISTENCE, SEASONAL, Learning
from alerting.definitions.fields.problem import NO_TITLES, Titles, Variables, variable_title
from alerting.definitions.fields.shared_fields import Start
from alerting.definitions.wording.language import Styled, translatable

_VARIABLE_NAME = TypeAdapter[str](VariableName)
# fields that say when an alarm is raised, how it ends, and what it costs
_OF_ALARMS = ("clear_at", "clear_for", "longest_time", "operating_point", "costs")
Forecaster = Literal["smoothing", "ridge", "boosted_trees"]
MOST_LEADS = 4  # times ahead for which values are predicted
# values before the last one from which smoothing and regressions see the course of the variable
OWN_LAGS = 8


class ForecastLearning(Learning):
    """The search for the best forecaster."""

    candidates: tuple[Forecaster, ...] = Field(
        ("smoothing", "ridge", "boosted_trees"),
        min_length=1,
        max_length=3,
        description=(
            "Forecasters to try. persistence and mean are always among them, with `season` "
            "seasonal_naive."
        ),
    )
    trials: int = Field(
        4,
        ge=1,
        le=1000,
        description="Parameter sets tried per forecaster; the first is its proven default.",
    )


class ForecastDefinition(TrainedDefinition):
    """A model predicts a value ahead, with its distribution, and the risk that the value leaves its
    limits."""

    starts: ClassVar[tuple[Start, ...]] = (
        Start(
            5,
            "A number with a limit, whose course tells where it goes",
            "to know before it reaches the limit",
            lambda variable, limit: {
                "problem": {"variable": variable, "above": limit},
                "horizon": "3h",
            },
        ),
        Start(
            6,
            "A number that is measured seldom, or known late",
            "its value in between, with an interval",
            lambda variable, _: {"variable": variable, "horizon": "3h"},
        ),
    )

    kind: Literal["forecast"] = Field(
        description="forecast: a model predicts a value, which may leave its limits."
    )
    variable: VariableName | None = Field(
        None,
        exclude_if=lambda variable: variable is None,
        description=(
            "Instead of a problem: the variable whose value is predicted. No alarm comes of it."
        ),
    )
    problem: Problem = Field(
        Problem(),
        exclude_if=lambda problem: not problem.has_condition,
        description="The variable that is predicted, and its limits; not with variable.",
    )
    season: Duration | None = Field(
        None,
        description=("Time after which values repeat, e.g. 24h."),
    )
    learning: ForecastLearning = Field(default_factory=ForecastLearning, description="The search.")

    @model_validator(mode="before")
    @classmethod
    def _predict_variable(cls, document: Any) -> Any:
        """Return the document of a forecast without an alarm with a problem that names its variable
        and has no limit."""
        if not isinstance(document, dict) or document.get("problem") is not None:
            return document
        try:
            variable = _VARIABLE_NAME.validate_python(document.get("variable"))
        except ValidationError:  # a fault of this field, or of a problem that is missing
            return document
        return {**document, "problem": {"variable": variable}}

    @property
    def has_alarm(self) -> bool:
        return self.variable is None

    def describe(self, variables: Variables, types: Titles = NO_TITLES) -> str:
        if self.has_alarm:
            return super().describe(variables, types)
        ahead = Styled(self.horizon.total_seconds(), "duration")
        title = variable_title(self.variable, variables)
        # training finds out how rare the results are, and so which of both
        return translatable(
            "value of {variable}: of now between rare results, else up to {duration} ahead",
            variable=title,
            duration=ahead,
        )

    @property
    def training_text(self) -> str:
        limits = f" ({describe_problem(self.problem)})" if self.has_alarm else ""
        return f"Predicts {self.problem.variable}{limits}, {format_duration(self.horizon)} ahead"

    @property
    def families(self) -> tuple[str, ...]:
        return (PERSISTENCE, MEAN, *((SEASONAL,) if self.season else ()), *self.learning.candidates)

    def question_fields(self) -> dict[str, Any]:
        """Return the question fields of every trained definition, and the season, which adds a
        lag."""
        season = {} if self.season is None else {"season": format_duration(self.season)}
        value = {} if self.variable is None else {"variable": self.variable}
        return super().question_fields() | {"kind": self.kind, **season, **value}

    @property
    def must_know(self) -> str | None:
        """Return the predicted variable: without its last value the usual value would stand for a
        silent sensor."""
        return self.problem.variable

    def leads(self, sampling: timedelta | None) -> tuple[timedelta, ...]:
        """Return equal times ahead up to gap + horizon: four at most."""
        count = min(
            MOST_LEADS,
            max(1, self.horizon // max(sampling or self.stride, timedelta(milliseconds=1))),
        )
        return tuple(self.gap + self.horizon * number / count for number in range(1, count + 1))

    def own_lags(self, sampling: timedelta | None) -> tuple[timedelta, ...]:
        """Return the lags of the variable's last values, and the lags one season before each
        lead."""
        step = self.lag_step(sampling)
        seasonal = [self.season_lag(lead) for lead in self.leads(sampling)]
        return (
            *(step * number for number in range(1, OWN_LAGS + 1)),
            *(lag for lag in seasonal if lag),
        )

    def lag_step(self, sampling: timedelta | None) -> timedelta:
        """Return the distance between lags, in whole strides: at least the sampling, and so long
        that `OWN_LAGS` lags span the horizon."""
        least = max(sampling or self.stride, self.horizon / OWN_LAGS)
        return ceil(least / self.stride) * self.stride

    def season_lag(self, lead: timedelta) -> timedelta | None:
        """Return how long ago the value one season before a lead lies; None without a season."""
        return None if not self.season else (ceil(lead / self.season) * self.season - lead) or None

    def faults(self) -> Iterable[Fault]:
        problem = self.problem
        if self.variable is not None:
            yield from self._faults_of_value()
        if problem.variable is None:
            yield Fault(
                "problem",
                "a forecast needs one variable with limits",
                "write problem: {variable: …, above: …}, or variable: … for its value alone"
                if problem.combination is None
                else (
                    "write problem: {variable: …, above: …}, or variable: … for its value alone; "
                    "for conditions of several choose kind: classifier"
                ),
            )
        elif not self.may_see(problem.variable):
            yield Fault(
                "exclude",
                f"a forecast of {shown(problem.variable)} must see its past",
                "let include and exclude leave it",
            )
        if problem.equals is not None:
            yield Fault(
                "problem.equals",
                "a forecast needs limits",
                "write above or below, or choose kind: classifier",
            )
        if problem.hold:
            yield Fault(
                "problem.for",
                "any sample outside of the limits counts",
                "remove for, or choose kind: classifier",
            )
        yield from self._faults_of_learning()

    def _faults_of_learning(self) -> Iterable[Fault]:
        """Return the faults of times, features and feedback."""
        if self.is_of_unit:
            yield Fault(
                "horizon",
                "must be longer than 0s",
                "write the time between two values, e.g. 1h",
            )
            return
        for field in ("avoided", "confirmed"):
            if getattr(self.feedback, field) != "exclude":
                yield Fault(
                    f"feedback.{field}",
                    "a forecast learns from values, which no answer changes",
                    "write exclude, or remove it: rows with answers are left out",
                )
        if "last" not in self.features.aggregations:
            yield Fault(
                "features.aggregations",
                "a forecast needs the last value",
                "add last",
            )
        if self.season is not None and self.season <= timedelta(0):
            yield Fault("season", "must be longer than 0s")
        yield from training_faults(self)

    def _faults_of_value(self) -> Iterable[Fault]:
        """Return the faults of fields that mean nothing without an alarm."""
        if self.problem.has_condition or self.problem.variable != self.variable:
            yield Fault(
                "variable",
                "is given beside a problem, whose variable is predicted",
                "keep one of them: variable for the value alone, problem for an alarm too",
            )
        fields = type(self).model_fields
        for name in _OF_ALARMS:
            if getattr(self, name) != fields[name].get_default(call_default_factory=True):
                yield Fault(
                    name,
                    "means nothing without an alarm",
                    "remove it, or write a problem",
                )

    def faults_on(
        self, targets: Sequence[Asset], event_types: Sequence[EventType]
    ) -> Iterable[Fault]:
        types = {name: v.type for a in targets for name, v in a.variables.items()}
        if types.get(self.problem.variable or "") == "boolean":
            yield Fault(
                "problem.variable",
                f"{shown(self.problem.variable)} is true or false; a forecast needs a number",
            )
        yield from feature_faults(self, targets, event_types)


DEFINITION = ForecastDefinition
