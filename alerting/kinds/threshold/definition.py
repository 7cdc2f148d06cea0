"""The definition of kind `threshold`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, model_validator

from alerting.definitions.alert_definition import (
    SEVERITIES,
    Condition,
    Definition,
    ModelDefinition,
    Problem,
    Severity,
)
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import Duration, Fault
from alerting.definitions.fields.condition_checks import (
    combination_faults,
    combination_faults_on,
    faults_across_fields,
    faults_on_assets,
)
from alerting.definitions.fields.condition_fields import HOUR_OF_DAY, Conditions, Learned
from alerting.definitions.fields.learning import PromotionMode
from alerting.definitions.fields.problem import NO_TITLES, Titles, Variables, condition_phrase
from alerting.definitions.fields.shared_fields import Start
from alerting.definitions.threshold_limits import key_of, learned_limits, severities

FAMILY = "quantiles"
_GROUPS = (
    *(f"levels.{severity}." for severity in SEVERITIES),
    *("any.", "all.", "any.any.", "any.all.", "all.any.", "all.all."),
)


class ThresholdDefinition(Conditions, Definition):
    """A variable leaves its limits, or any or all of several variables leave theirs."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [name]} for name in ("variable", "event", "any", "all")]
        }
    )

    model_fields_at: ClassVar[tuple[str, ...]] = tuple(
        f"{prefix}{side}.learned" for prefix in ("", *_GROUPS) for side in ("above", "below")
    )

    written_instead: ClassVar[Mapping[str, str]] = {
        "escalation": (
            "write levels, e.g. levels: {low: {above: -15}, critical: {above: -15, for: 10m}}"
        ),
    }
    starts: ClassVar[tuple[Start, ...]] = (
        Start(
            1,
            "A limit that you can write down",
            "to know when a value is beyond it",
            lambda variable, limit: {"variable": variable, "above": limit, "for": "3m"},
        ),
        Start(
            2,
            "No limit, but the usual range of past weeks",
            "to know when a value is unusual",
            lambda variable, _: {"variable": variable, "above": {"learned": {"quantile": 0.999}}},
        ),
    )

    kind: Literal["threshold"] = Field(description="threshold: a variable leaves its limits.")
    problem: Problem | None = Field(
        None,
        description=(
            "The problem of which the alert warns, if it differs from the condition; data "
            "determine the outcome."
        ),
    )
    horizon: Duration = Field(
        timedelta(minutes=30),
        description=(
            "With a problem: time after the raise within which the problem counts as predicted."
        ),
    )
    gap: Duration = Field(timedelta(0), description="With a problem: least time needed to act.")
    promotion: PromotionMode = Field(
        default_factory=PromotionMode,
        exclude_if=lambda mode: mode == PromotionMode(),
        description=(
            "Of learned limits: decision on new ones. Always by a person where ten times as "
            "many readings as expected, or half of all, lay beyond those in service."
        ),
    )

    @model_validator(mode="wrap")
    @classmethod
    def _with_learned_limits(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        definition = read(value)
        if cls is not ThresholdDefinition or not any(
            learned_limits(condition) for condition in definition.conditions
        ):
            return definition
        fields = {name: getattr(definition, name) for name in cls.model_fields}
        return cast(
            "Self",
            LearnedThresholdDefinition.model_construct(definition.model_fields_set, **fields),
        )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions of single variables, in the order in which they are written."""
        combination = self.combination
        return (self,) if combination is None else tuple(combination.leaves())

    @property
    def learned(self) -> tuple[tuple[str, Learned], ...]:
        """Return every learned limit with its variable, each once."""
        limits = [
            (condition.variable, learned)
            for condition in self.conditions
            for _, learned in learned_limits(condition)
        ]
        return tuple(dict.fromkeys(limits))

    @property
    def groups_by(self) -> tuple[str, ...]:
        """Return the variables by which learned limits are grouped."""
        return tuple(
            dict.fromkeys(
                name for _, learned in self.learned for name in learned.by if name != HOUR_OF_DAY
            )
        )

    def describe(self, variables: Variables, types: Titles = NO_TITLES) -> str:
        return condition_phrase(self, self.combination, variables, types)

    def variables_evaluated(self, asset: Asset) -> frozenset[str]:
        return frozenset(c.variable for c in self.conditions if c.variable)

    def events_read(self) -> tuple[str, ...]:
        return (*super().events_read(), *(() if self.event is None else (self.event,)))

    def delay(self, asset: Asset) -> timedelta:
        names = self.variables_evaluated(asset)
        return max((asset.delay(name) for name in names), default=timedelta(0))

    def severities(self) -> tuple[Severity, ...]:
        return severities(self)

    def faults(self) -> Iterable[Fault]:
        yield from (
            faults_across_fields(self) if self.combination is None else combination_faults(self)
        )
        if "promotion" in self.model_fields_set and not self.learned:
            yield Fault(
                "promotion",
                "decides on learned limits, and this definition has none",
                "remove it",
            )

    def faults_on(
        self, targets: Sequence[Asset], event_types: Sequence[EventType]
    ) -> Iterable[Fault]:
        return (
            faults_on_assets(self, targets, event_types)
            if self.combination is None
            else combination_faults_on(self, targets)
        )


class LearnedThresholdDefinition(ThresholdDefinition, ModelDefinition):
    """A threshold with a learned limit: the estimates of its limits are its models."""

    def variables_evaluated(self, asset: Asset) -> frozenset[str]:
        return super().variables_evaluated(asset) | {*self.groups_by}

    @property
    def families(self) -> tuple[str, ...]:
        return (FAMILY,)

    @property
    def learns_from(self) -> datetime | None:
        return None

    @property
    def training_text(self) -> str:
        return (
            "Estimates limits of "
            f"{', '.join(dict.fromkeys(variable for variable, _ in self.learned))} from past "
            "readings"
        )

    @property
    def longest_search(self) -> timedelta:
        return timedelta(0)

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys([*(condition.variable for condition in self.conditions), *self.groups_by])
        )

    def question_fields(self) -> dict[str, Any]:
        """Return the fields that decide the estimated limits."""
        by_hour = any(HOUR_OF_DAY in limit.by for _, limit in self.learned)
        return {
            "assets": list(self.assets),
            "learned": [key_of(variable, limit) for variable, limit in self.learned],
            "timezone": self.schedule.timezone if by_hour else None,
        }


DEFINITION = ThresholdDefinition
