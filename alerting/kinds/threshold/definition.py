"""The definition of kind `threshold`."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Literal

from pydantic import ConfigDict, Field

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.checks.combinations import combination_faults, combination_faults_on
from alerting.definitions.checks.conditions import faults_across_fields, faults_on_assets
from alerting.definitions.durations import Duration
from alerting.definitions.faults import Fault
from alerting.definitions.fields.conditions import Conditions
from alerting.definitions.limits import severities
from alerting.definitions.model import Definition, Problem, Severity


class ThresholdDefinition(Conditions, Definition):
    """A variable leaves its limits, or any or all of several do."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [name]} for name in ("variable", "any", "all")]})

    kind: Literal["threshold"] = Field(description="threshold: a variable leaves its limits.")
    problem: Problem | None = Field(
        None,
        description="The problem of which the alert warns, if it differs from the condition; data then determine the outcome.",
    )
    horizon: Duration = Field(
        timedelta(minutes=30), description="With a problem: time after the raise within which the problem counts as predicted."
    )
    gap: Duration = Field(timedelta(0), description="With a problem: least time needed to act.")

    def variables_evaluated(self, asset: Asset) -> frozenset[str]:
        combination = self.combination
        return frozenset({self.variable} if combination is None else {leaf.variable for leaf in combination.leaves()})

    def delay(self, asset: Asset) -> timedelta:
        return max(asset.delay(name) for name in self.variables_evaluated(asset))

    def severities(self) -> tuple[Severity, ...]:
        return severities(self)

    def faults(self) -> Iterable[Fault]:
        return faults_across_fields(self) if self.combination is None else combination_faults(self)

    def faults_on(self, targets: Sequence[Asset], event_types: Sequence[EventType]) -> Iterable[Fault]:
        return faults_on_assets(self, targets) if self.combination is None else combination_faults_on(self, targets)


DEFINITION = ThresholdDefinition
