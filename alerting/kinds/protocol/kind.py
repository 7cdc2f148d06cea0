"""The protocol of a kind: its methods for evaluation, outcomes, explanations, charts, reports and
scores.

A kind is one package with two modules. `definition` holds `DEFINITION`, the class of its documents,
from which schema, validator and reference page are made; it states the variables that it reads and
its faults, and loads no library of frames. `kind` holds `KIND`, an object with the methods below. A
kind with a model has a third one: `training` holds `TRAINING` (`alerting.kinds.protocol.training`),
with libraries that no evaluation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition
from alerting.detection.suppression import SuppressedInterval
from alerting.detection.threshold_batch import BatchLimits
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.kinds.protocol.evaluation import (
    EvaluationSources,
    ModelVerification,
    Raise,
    RaiseEvidence,
    Served,
    TargetEvaluation,
    VersionInterval,
)
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files, KindPorts
from alerting.readings.history import History
from alerting.reporting.variable_charts import ChartLevel, Fan, MovingLevel

if TYPE_CHECKING:
    from alerting.deferred import pd
    from alerting.episodes.episode import Contribution
    from alerting.kinds.protocol.evaluation import ScoredRows
    from alerting.kinds.protocol.shared_inputs import SharedInputs
    from alerting.learning.features.plan import FeaturePlan
    from alerting.ports import Predicted

D_contra = TypeVar("D_contra", bound=Definition, contravariant=True)
Gap = tuple[datetime, datetime]
IntervalsByAsset = Mapping[str, Sequence[SuppressedInterval]]
Verdict = Literal["open", "pending", "normal", "unknown", "not evaluated"]


class Inputs(NamedTuple):
    """Data to fetch for the evaluation of one target in a batch, once for all definitions on the
    asset.

    `variable`: the one that is evaluated reading by reading, None if the kind reads for itself.
    `lookback`: how far before the watermark. `stale_after`: how long a reading counts without a
    next one. `limits`: as numbers, None where each reading must be evaluated by itself.
    """

    variable: str | None = None
    lookback: timedelta = timedelta(0)
    stale_after: timedelta = timedelta(0)
    limits: BatchLimits | None = None


class Statistic(NamedTuple):
    """How the scores of a model are drawn that are no risk: as a statistic with a name, a unit and
    levels."""

    name: str
    unit: str | None
    levels: tuple[ChartLevel, ...]


class Charted(NamedTuple):
    """Content of the chart of an episode: a variable with its levels, and the scores of a model.

    `stale_after`: after which time without a reading the line breaks; None: found from the
    readings. `scored`: scores are a risk; `statistic`: scores are a statistic. `others`: further
    variables, each with its levels. `fan`: the forecast of the variable as it was at the raise.
    """

    variable: str | None
    levels: tuple[ChartLevel, ...] = ()
    stale_after: timedelta | None = None
    scored: bool = False
    statistic: Statistic | None = None
    others: tuple[Charted, ...] = ()
    fan: Fan | None = None


@dataclass(frozen=True)
class Why:
    """The answer in one sentence, the facts behind it, and the values for programs.

    `verdict`: the evaluation of the readings at that instant. `episode`: the stored one that covers
    it. `pending_since`, `due_at`: for a pending condition, since when it is true, and when it will
    have been true long enough; of a raise that is held back after a problem, only until when.
    """

    definition: str
    asset: str
    at: datetime
    verdict: Verdict
    answer: str
    facts: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None
    pending_since: datetime | None = None
    due_at: datetime | None = None
    unknown: str | None = None
    score: float | None = None
    threshold: float | None = None
    model_version: int | None = None
    episode: str | None = None
    muted: bool = False


@dataclass(frozen=True)
class WhyQuestion:
    """A question about one target at one instant: `blank` is the answer so far, `covering` the
    episode that was open there.

    `evaluate`: evaluate the target from a state up to the instant, by the versions in force. It
    writes nothing.
    """

    platform: KindPorts
    asset: Asset
    at: datetime
    covering: Episode | None
    blank: Why
    evaluate: Callable[[ConditionState], TargetEvaluation]


class Kind(Protocol[D_contra]):
    """Behaviour of one kind of alert. Its fields are those of its definition."""

    def inputs(self, definition: D_contra, asset: Asset) -> Inputs:
        """Return the data to fetch for its evaluation on an asset."""

    def evaluate(
        self,
        definition: D_contra,
        sources: EvaluationSources,
        part: VersionInterval,
        before: TargetEvaluation,
    ) -> TargetEvaluation:
        """Evaluate one part of event time with one definition and model, going on from the result
        before it."""

    def explain(
        self,
        definition: D_contra,
        asset: Asset,
        step: Step,
        at_raise: Raise,
        history: History | None,
    ) -> RaiseEvidence:
        """Return the content of a new episode. `history`: the readings of the evaluation, if it
        returned them."""

    def outcome(self, definition: D_contra, asset: Asset) -> Literal["onset", "state"]:
        """Return the proof of an episode: the start of its problem in the prediction window, or any
        sample that shows it."""

    def why(self, definition: D_contra, question: WhyQuestion) -> Why:
        """Explain whether an alarm was raised at an instant, from a new evaluation of the readings
        around it."""

    def chart(self, definition: D_contra, asset: Asset, episode: Episode) -> Charted:
        """Return the content of the chart of an episode."""

    def data_gaps(
        self, definition: D_contra, history: History, start: datetime, end: datetime
    ) -> tuple[Gap, ...]:
        """Return the intervals in (start, end] that could not be evaluated, oldest first. `history`
        begins early enough."""


@runtime_checkable
class VerifyingKind(Protocol[D_contra]):
    """Behaviour of a kind whose model states something that later values confirm or refute."""

    def verify(
        self,
        definition: D_contra,
        served: Sequence[Served],
        histories: Iterable[History],
        as_of: datetime,
        suppressed: IntervalsByAsset,
    ) -> ModelVerification | None:
        """Compare what the models in service stated with what had come by `as_of`; None if that
        cannot be told yet."""


@runtime_checkable
class StrideScoringKind(Protocol[D_contra]):
    """Behaviour of a kind whose model gives a score each stride that it knows the state."""

    def has_score_each_stride(self, definition: D_contra) -> bool:
        """Return whether a score is the state until the next stride, and no score is none."""


@runtime_checkable
class MovingKind(Protocol[D_contra]):
    """Behaviour of a kind whose limits change by themselves."""

    def moving_levels(
        self, definition: D_contra, sources: EvaluationSources, parts: Sequence[VersionInterval]
    ) -> Mapping[str, tuple[MovingLevel, ...]]:
        """Return the limits that were in force in parts which follow one another, by variable; none
        if they do not change.

        Raises ModelUnavailable if a model in service cannot be read.
        """


class TrainedKind(Kind[D_contra], Protocol[D_contra]):
    """Behaviour of a kind with a model."""

    def load(self, files: Files) -> TrainedModel:
        """Return the model of these files. Raises any exception for files that it cannot read."""


class ScoreDetails(NamedTuple):
    """Contributions to a score, the largest first, and the predicted values of kinds that predict
    any."""

    contributions: tuple[Contribution, ...] = ()
    forecast: tuple[Predicted, ...] = ()


@runtime_checkable
class ScoringKind(Protocol):
    """Methods of a kind whose score at an instant depends on a window of readings alone, and not on
    the scores before it."""

    def plan_of(self, model: TrainedModel, asset: str) -> FeaturePlan | None:
        """Return the plan of the features of an asset; None if the model has learned nothing of
        this asset."""

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the score of each row of features, in one column, with their index. Raises
        UserError if columns are missing."""

    def details(
        self, asset: Asset, history: History, scored: ScoredRows, shared: SharedInputs
    ) -> ScoreDetails:
        """Explain the last of these scores. `history`: the readings from which it was computed."""
