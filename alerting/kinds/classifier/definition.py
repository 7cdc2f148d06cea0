"""The definition of kind `classifier`."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import Fault
from alerting.definitions.fields.definition_checks import feature_faults, training_faults
from alerting.definitions.fields.shared_fields import Start


class ClassifierDefinition(TrainedDefinition):
    """A trained model that predicts whether the problem occurs within the horizon."""

    starts: ClassVar[tuple[Start, ...]] = (
        Start(
            4,
            "A problem that happened some ten times, and variables that may announce it",
            "a warning before it comes, with reasons and advice",
            lambda variable, limit: {
                "problem": {"variable": variable, "above": limit, "for": "5m"},
                "horizon": "30m",
            },
        ),
    )

    kind: Literal["classifier"] = Field(description="classifier: a model predicts the problem.")

    def faults(self) -> Iterable[Fault]:
        return training_faults(self)

    def faults_on(
        self, targets: Sequence[Asset], event_types: Sequence[EventType]
    ) -> Iterable[Fault]:
        return feature_faults(self, targets, event_types)


DEFINITION = ClassifierDefinition
