"""The alert definition: one closed, described model, the source of schema, validator and reference page.

Every field has an effect; `test_fields_are_honoured.py` proves it.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictBool, TypeAdapter

from alerting.definitions.assets import Closed, Instant, Line, Name, Tag, VariableName
from alerting.definitions.durations import Duration
from alerting.definitions.fields.common import SEVERITIES, AssetPattern, CommonFields, Severity
from alerting.definitions.fields.learning import (
    Features,
    FeedbackUse,
    Learning,
    OperatingPoint,
    Periods,
    Promotion,
    Recommendation,
)
from alerting.definitions.fields.limits import AtLeast, Band, FromAttribute, LevelLimits, Levels, Limit
from alerting.definitions.fields.problem import Problem

__all__ = [
    "DEFINITION",
    "LAST_NUMBER",
    "SEVERITIES",
    "AssetPattern",
    "Band",
    "ClassifierDefinition",
    "Definition",
    "FeedbackUse",
    "FromAttribute",
    "LevelLimits",
    "OperatingPoint",
    "Problem",
    "Revision",
    "Severity",
    "ThresholdDefinition",
]

LAST_NUMBER = 10**9  # of a revision


class ThresholdDefinition(CommonFields):
    """A variable leaves its limits."""

    kind: Literal["threshold"] = Field(description="threshold: a variable leaves its limits.")
    variable: VariableName = Field(description="Variable that is evaluated, reading by reading.")
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
        description="Evaluate the change of the value per this time instead of the value: the limits are rates. "
        "It is the change since the newest sound reading that is at least this much older, and by less than stale_after more; "
        "without such a reading it is unknown.",
    )
    at_least: AtLeast | None = Field(None, description="Triggered only by this many of the last readings, not by each one.")
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
        description="A sensor with the same value for this long is frozen, also across a gap in the data: "
        "its value counts as missing from then on.",
    )
    no_data: Literal["hold", "alert", "ignore"] = Field(
        "hold",
        description="Policy where data are missing, frozen, of bad quality, or outside the variable's engineering range. "
        "hold: the state is unknown, which neither raises nor closes an episode; alert: that is itself a reason to raise; "
        "ignore: each value counts, until the next one comes (for values that are sent only when they change); a value of bad "
        "quality is unknown nevertheless.",
    )
    problem: Problem | None = Field(
        None,
        description="The problem of which the alert warns, if it differs from the condition; data then determine the outcome.",
    )
    horizon: Duration = Field(
        timedelta(minutes=30), description="With a problem: time after the raise within which the problem counts as predicted."
    )
    gap: Duration = Field(timedelta(0), description="With a problem: least time needed to act.")


class ClassifierDefinition(CommonFields):
    """A trained model: will the problem occur within the horizon?"""

    kind: Literal["classifier"] = Field(description="classifier: a model predicts the problem.")
    problem: Problem = Field(description="The problem to prevent.")
    horizon: Duration = Field(description="Time ahead for which the problem is predicted, e.g. 30m.")
    gap: Duration = Field(timedelta(0), description="Least time needed to act; an earlier problem counts as announced too late.")
    include: tuple[Tag, ...] = Field(("*",), max_length=1000, description="Variables the model may see (with *).")
    exclude: tuple[Tag, ...] = Field((), max_length=1000, description="Variables the model may not see (with *).")
    features: Features = Field(default_factory=Features, description="Computation of columns from readings.")
    periods: Periods = Field(default_factory=Periods, description="Split of history into training, validation and test.")
    learning: Learning = Field(default_factory=Learning, description="The search for the best candidate.")
    operating_point: OperatingPoint = Field(default_factory=OperatingPoint, description="Choice of the threshold.")
    feedback: FeedbackUse = Field(default_factory=FeedbackUse, description="Effect of operators' feedback on training.")
    promotion: Promotion = Field(
        default_factory=Promotion, description="Conditions under which a challenger replaces the champion."
    )
    recommendation: Recommendation = Field(default_factory=Recommendation, description="Advice on set-points.")

    @property
    def stride(self) -> timedelta:
        """Return the time between two evaluations: as written, or a sixth of the horizon.

        The sixth is rounded down to whole minutes, at least one minute.
        """
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
