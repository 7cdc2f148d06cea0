"""The definition of kind `threshold`."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Literal

from pydantic import Field

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.durations import Duration
from alerting.definitions.faults import Fault
from alerting.definitions.limits import severities
from alerting.definitions.model import Condition, Definition, Problem, Severity
from alerting.kinds.threshold.checks import faults_across_fields, faults_on_assets


class ThresholdDefinition(Condition, Definition):
    """A variable leaves its limits."""

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
        return frozenset({self.variable})

    def delay(self, asset: Asset) -> timedelta:
        variable = asset.variables.get(self.variable)
        return variable.delay if variable else timedelta(0)

    def severities(self) -> tuple[Severity, ...]:
        return severities(self)

    def faults(self) -> Iterable[Fault]:
        return faults_across_fields(self)

    def faults_on(self, targets: Sequence[Asset], event_types: Sequence[EventType]) -> Iterable[Fault]:
        return faults_on_assets(self, targets)


DEFINITION = ThresholdDefinition
