"""The definition of kind `anomaly`."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from pydantic import Field

from alerting.definitions.alert_definition import Problem
from alerting.definitions.asset_documents import Asset, Closed, EventType, Tag, VariableName
from alerting.definitions.faults import Duration, Fault
from alerting.definitions.fields.condition_checks import category_faults
from alerting.definitions.fields.learning import PromotionMode
from alerting.definitions.fields.names_and_times import Number
from alerting.definitions.fields.problem import NO_TITLES, Titles, Variables
from alerting.definitions.fields.shared_fields import SEVERITIES, Severity, Start
from alerting.definitions.wording.language import translatable
from alerting.kinds.normal_definition import USUAL_PERIOD, NormalDefinition, NormalPeriod

Statistic = Literal["mean", "std", "min", "max", "slope"]
USUAL_STATISTICS: tuple[Statistic, ...] = ("mean", "std")
DETECTOR = "detector"
_DAY = timedelta(days=1)
_USUAL_FALSE_ALARMS = 1.0


class ScoreEscalation(Closed):
    """Escalation to a worse severity, by how far the score lies beyond its threshold, or by how
    often it lay beyond it."""

    severity: Severity = Field(description="Severity from then on: low, medium, high, critical.")
    score: Number | None = Field(
        None,
        gt=1,
        le=1000,
        description="How far: the score is at least this many times its threshold, e.g. 2.",
    )
    share: Number | None = Field(
        None,
        gt=0,
        le=1,
        description=(
            "Instead, how often: the score was beyond its threshold in this share of the time "
            "`over`."
        ),
    )
    over: Duration | None = Field(None, description="With share: the time that counts, e.g. 1h.")


class AnomalyThreshold(Closed):
    """Choice of the threshold from the scores of normal time that the model has not seen."""

    false_alarms_per_week: Number | None = Field(
        None,
        gt=0,
        le=10_000,
        description=(
            "False alarm episodes a week and asset that the threshold allows; 1 when no other way "
            "is given."
        ),
    )
    time_in_alarm: Number | None = Field(
        None,
        gt=0,
        lt=0.5,
        description=(
            "Instead: share of normal time in which the score lies beyond the threshold, e.g. 0.01."
        ),
    )


class AnomalyDefinition(NormalDefinition):
    """Something is unlike normal: a detector, learned from unlabelled history of normal
    operation."""

    starts: ClassVar[tuple[Start, ...]] = (
        Start(
            7,
            "Several variables and mostly normal weeks, and no recorded problem",
            "to know when they no longer fit together",
            lambda _, __: {},
        ),
    )

    kind: Literal["anomaly"] = Field(
        description="anomaly: the readings together are unlike normal operation."
    )
    include: tuple[Tag, ...] = Field(
        ("*",), min_length=1, max_length=1000, description="Variables the model may see (with *)."
    )
    exclude: tuple[Tag, ...] = Field(
        (), max_length=1000, description="Variables the model may not see (with *)."
    )
    by: VariableName | None = Field(
        None,
        exclude_if=lambda name: name is None,
        description="A category, e.g. the recipe: readings are compared with normal operation of "
        "their own. A window over a change is unknown.",
    )
    normal: NormalPeriod = Field(
        USUAL_PERIOD,
        description="History of normal operation: the last days before a training, of which the "
        "newest fifth only counts false alarms, or {from, to}. Problems, suppressed "
        "times and episodes with the verdict true_alarm do not count.",
    )
    surroundings: Duration = Field(
        timedelta(hours=1),
        description=("Time around these that is not normal either."),
    )
    contamination: Number = Field(
        0.05,
        ge=0,
        le=0.3,
        description="Largest share of it that is left out as far from the rest; never episodes "
        "with the verdict false_alarm.",
    )
    windows: tuple[Duration, ...] | None = Field(
        None,
        min_length=1,
        max_length=10,
        description="Windows over which readings are described; one of 10 usual intervals of "
        "readings when left out, at least two strides.",
    )
    aggregations: tuple[Statistic, ...] | None = Field(
        None,
        min_length=1,
        max_length=5,
        description="Statistics of each variable and window; mean and std when left out, of a "
        "single variable the mean.",
    )
    stride: Duration | None = Field(
        None,
        description="Time between two evaluations; the usual interval of readings when left out, "
        "or longer, for about 10,000 rows.",
    )
    threshold: AnomalyThreshold = Field(
        default_factory=AnomalyThreshold, description="How often it may be wrong."
    )
    hold: Duration = Field(
        timedelta(0),
        alias="for",
        description="On-delay.",
    )
    clear_for: Duration | None = Field(
        None,
        description="Off-delay: the score must be usual this long; the shortest window when left "
        "out, at least three strides.",
    )
    escalation: tuple[ScoreEscalation, ...] = Field(
        (),
        max_length=6,
        description=(
            "Worse severities, by how far or how often the score is beyond its threshold."
        ),
    )
    promotion: PromotionMode = Field(
        default_factory=PromotionMode,
        description="Decision on a new model. Always by a person where evidence is missing, or "
        "it raises more false alarms on unseen normal time than allowed, or finds "
        "less than the one in service.",
    )

    problem: Problem | None = Field(
        None,
        description="The problem behind the anomalies, if data can confirm it. It is never "
        "learned: its times are not normal, a new model is compared by it, and it "
        "determines the outcome.",
    )

    @property
    def families(self) -> tuple[str, ...]:
        return (DETECTOR,)

    def describe(self, variables: Variables, types: Titles = NO_TITLES) -> str:
        return translatable("variables that no longer fit together")

    @property
    def training_text(self) -> str:
        return "Learns normal operation, and warns of what is unlike it"

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.include, *self.groups_by)

    @property
    def groups_by(self) -> tuple[str, ...]:
        return (self.by,) if self.by else ()

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Return the statistics of each variable and window."""
        return USUAL_STATISTICS if self.aggregations is None else self.aggregations

    def statistics_of(self, variables: int) -> tuple[Statistic, ...]:
        """Return the statistics for a number of variables: of a single one its spread is not looked
        at unless it is stated, because it adds only false peaks."""
        return ("mean",) if self.aggregations is None and variables == 1 else self.statistics

    @property
    def false_alarms_per_week(self) -> float:
        """Return the allowed false alarms a week and asset, if they set the threshold."""
        return self.threshold.false_alarms_per_week or _USUAL_FALSE_ALARMS

    def may_see(self, variable: str) -> bool:
        """Return whether a variable matches `include` and not `exclude`."""
        matches = [
            any(fnmatchcase(variable, pattern) for pattern in patterns)
            for patterns in (self.include, self.exclude)
        ]
        return matches[0] and not matches[1]

    def question_fields(self) -> dict[str, Any]:
        """Return the fields that decide a model's scores, without those on the use of the threshold
        and on severities."""
        fields = {
            "assets",
            "by",
            "include",
            "exclude",
            "windows",
            "stride",
            "hold",
            "threshold",
        }
        written = self.model_dump(mode="json", include=fields, exclude_none=True)
        return written | {"aggregations": [*self.statistics]}

    def variables_evaluated(self, asset: Asset) -> frozenset[str]:
        return self.numbers_of(asset).union(self.groups_by)

    def numbers_of(self, asset: Asset) -> frozenset[str]:
        """Return the variables of the asset that the model may see: numbers, and those that are
        true or false."""
        return frozenset(
            name
            for name, variable in asset.variables.items()
            if variable.type != "category" and self.may_see(name)
        )

    def severities(self) -> tuple[Severity, ...]:
        reached = {self.severity, *(step.severity for step in self.escalation)}
        return tuple(name for name in SEVERITIES if name in reached)

    def faults(self) -> Iterable[Fault]:
        threshold = self.threshold
        if threshold.false_alarms_per_week is not None and threshold.time_in_alarm is not None:
            yield Fault(
                "threshold",
                "states both false_alarms_per_week and time_in_alarm",
                "keep one of them",
            )
        for field in ("aggregations", "windows"):
            values = getattr(self, field) or ()
            if len(set(values)) < len(values):
                yield Fault(field, "names a value twice")
        yield from self._escalation_faults()
        yield from self._time_faults()

    def _escalation_faults(self) -> Iterable[Fault]:
        for number, step in enumerate(self.escalation):
            at = f"escalation.{number}"
            if SEVERITIES.index(step.severity) <= SEVERITIES.index(self.severity):
                yield Fault(
                    f"{at}.severity",
                    f"{step.severity} is not worse than the severity {self.severity}",
                )
            if (step.score is None) == (step.share is None):
                yield Fault(at, "needs either score (how far) or share and over (how often)")
            elif (step.share is None) != (step.over is None):
                yield Fault(
                    at,
                    "share and over belong together",
                    "write for example share: 0.5, over: 1h",
                )
            elif step.over is not None and not timedelta(0) < step.over <= 7 * _DAY:
                yield Fault(f"{at}.over", "must be longer than 0s and at most 7d")

    def _time_faults(self) -> Iterable[Fault]:
        yield from self.period_faults()
        yield from self.negative_faults("surroundings", "for", "clear_for")
        for field, values in (
            ("windows", self.windows or ()),
            ("stride", () if self.stride is None else (self.stride,)),
        ):
            if any(value < timedelta(milliseconds=1) for value in values):
                yield Fault(field, "must be longer than 0s")

    def faults_on(
        self, targets: Sequence[Asset], event_types: Sequence[EventType]
    ) -> Iterable[Fault]:
        del event_types
        for asset in targets:
            if not self.numbers_of(asset):
                yield Fault(
                    "include",
                    f"matches no number of {asset.name} without exclude",
                    "widen include; categories do not count",
                )
        if self.by is not None:
            yield from category_faults("by", self.by, targets)


DEFINITION = AnomalyDefinition
