"""The definition of kind `classifier`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StrictBool, model_validator

from alerting.definitions.alert_definition import LifeEnds, Problem, TrainedDefinition
from alerting.definitions.asset_documents import Asset, EventType, Tag
from alerting.definitions.faults import Fault
from alerting.definitions.fields.definition_checks import feature_faults, training_faults
from alerting.definitions.fields.modes import (
    Modes,
    mode_faults,
    mode_faults_on,
    problems_of_modes,
    with_problem_of_modes,
)
from alerting.definitions.fields.names_and_times import LongerThanZero
from alerting.definitions.fields.shared_fields import Start


def _require_problem_or_modes(schema: dict[str, Any]) -> None:
    schema["required"].remove("problem")
    schema["anyOf"] = [{"required": [name]} for name in ("problem", "modes")]


class ClassifierDefinition(TrainedDefinition):
    """A trained model that predicts whether the problem occurs within the horizon."""

    model_config = ConfigDict(json_schema_extra=_require_problem_or_modes)

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
    remaining_life: StrictBool = Field(
        False,
        exclude_if=lambda value: not value,
        description="Also estimate how long the part still lasts, whose life the problem ends. The "
        "problem is then an event.",
    )
    replaced_every: LongerThanZero | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Age of the part at its planned replacement, since its last failure or "
        "replacement, e.g. 200h; advice against a replacement too early needs it.",
    )
    replaced_by: Tag | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Event type of planned replacements, e.g. replaced-*: they end a life without "
        "a failure.",
    )

    @property
    def life_ends(self) -> LifeEnds | None:
        if not self.remaining_life or self.problem.event is None:
            return None
        horizon, planned = (
            (length or timedelta(0)) // timedelta(milliseconds=1)
            for length in (self.horizon, self.replaced_every)
        )
        return LifeEnds(self.problem.event, horizon, self.replaced_by, planned)

    def events_read(self) -> tuple[str, ...]:
        return super().events_read() + ((self.replaced_by,) if self.replaced_by else ())

    modes: Modes | None = Field(
        None,
        exclude_if=lambda modes: modes is None,
        description=(
            "Named problems, of which an alarm says which one is probable: conditions on "
            "variables, or event types. The problem can then be left out: any of them."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _add_problem(cls, document: Any) -> Any:
        return with_problem_of_modes(document)

    @property
    def mode_problems(self) -> Mapping[str, Problem]:
        return problems_of_modes(self.modes or {}, self.problem)

    def action_of(self, mode: str | None) -> str | None:
        return self.modes[mode].action if self.modes and mode in self.modes else None

    def faults(self) -> Iterable[Fault]:
        yield from training_faults(self)
        yield from mode_faults(self.mode_problems, self.problem)
        if self.remaining_life and self.problem.event is None:
            yield Fault(
                "remaining_life",
                "needs a problem that is an event, since the age of a part is counted from its "
                "last event",
                "import failures or replacements as events, and write problem: {event: failure-*}",
            )
        yield from (
            Fault(name, "is about the life of a part", "write remaining_life: true")
            for name in ("replaced_every", "replaced_by")
            if not self.remaining_life and getattr(self, name) is not None
        )

    def faults_on(
        self, targets: Sequence[Asset], event_types: Sequence[EventType]
    ) -> Iterable[Fault]:
        yield from feature_faults(self, targets, event_types)
        yield from mode_faults_on(self.mode_problems, targets, event_types)


DEFINITION = ClassifierDefinition
