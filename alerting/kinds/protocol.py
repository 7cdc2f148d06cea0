"""The protocol of a kind: its methods for evaluation, outcomes, explanations, charts, reports and
scores; input and result of the evaluation of one target; and why the state of a target with a model
is unknown at instants that no model has scored.

A kind is one package with two modules. `definition` holds `DEFINITION`, the class of its documents,
from which schema, validator and reference page are made; the class states the variables that a
definition reads and its faults, and the module loads no library of frames. `kind` holds `KIND`, an
object with the methods below. A kind with a model has a third one: `training` holds `TRAINING`
(`alerting.kinds.training_protocol`), with libraries that no evaluation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from alerting.deferred import np
from alerting.definitions.alert_definition import Condition, Definition, Revision, TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import first_line
from alerting.definitions.wording.language import in_english, translatable
from alerting.detection.evaluation_results_and_texts import UNKNOWN, Evaluation, Status
from alerting.detection.suppressed_intervals import IntervalsByAsset, SuppressedInterval
from alerting.detection.threshold_batch import BatchLimits
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.episodes.mode_shares import ModeShare
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files, KindPorts, ModelUnavailable, WantedHistory
from alerting.readings.buckets import HOUR
from alerting.readings.history import History, Millis, from_millis
from alerting.readings.variable_series import Series, series_of
from alerting.reporting.variable_charts import ChartLevel, Fan, MovingLevel, Panel

if TYPE_CHECKING:
    import numpy.typing as npt

    from alerting.deferred import pd
    from alerting.detection.learned_limits import LearnedLimits
    from alerting.detection.problem_occurrences import Scores
    from alerting.episodes.episode import Contribution, RecommendationResult
    from alerting.episodes.remaining_life import RemainingLife
    from alerting.kinds.shared_inputs import SharedInputs
    from alerting.learning.features.plan import FeaturePlan
    from alerting.ports import Predicted

D_contra = TypeVar("D_contra", bound=Definition, contravariant=True)
Gap = tuple[datetime, datetime]
Verdict = Literal["open", "pending", "normal", "unknown", "not evaluated"]


class Inputs(NamedTuple):
    """Data to fetch for the evaluation of one target; a batch fetches them once for all definitions
    on the asset.

    `variable`: the variable whose readings are evaluated, None if the kind reads its data itself.
    `lookback`: how far before the watermark readings are needed. `stale_after`: how long a reading
    counts without a next one. `limits`: as numbers, None if each reading must be evaluated by
    itself.
    """

    variable: str | None = None
    lookback: timedelta = timedelta(0)
    stale_after: timedelta = timedelta(0)
    limits: BatchLimits | None = None


class Statistic(NamedTuple):
    """A statistic: how the scores of a model are drawn if they are no risk, with a name, a unit and
    levels."""

    name: str
    unit: str | None
    levels: tuple[ChartLevel, ...]


class Charted(NamedTuple):
    """Content of the chart of an episode: a variable with its levels, and the scores of a model.

    `stale_after`: time without a reading after which the line breaks; None: derived from the
    readings. `scored`: whether scores are drawn as a risk; `statistic`: how they are drawn
    otherwise. `others`: further variables, each with its levels. `fan`: the forecast of the
    variable as it was at the raise.
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

    `verdict`: the evaluation of the readings at the instant. `episode`: the stored episode that
    covers the instant. `pending_since`, `due_at`: since when a pending condition is true, and when
    it will have been true long enough; for a raise that is not allowed yet after a problem, only
    `due_at`: when it will be.
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

    def answer_unknown(self, reason: str, state: ConditionState) -> Why:
        """Return the answer for an unknown state."""
        is_open = "; the open episode stays open" if state.raised_at else ""
        answer = in_english("cannot tell: {reason}{is_open}", reason=reason, is_open=is_open)
        return replace(self, verdict="unknown", answer=answer)

    def answer_open(
        self, raised_at: datetime, clearing_since: datetime | None, clearing: str
    ) -> Why:
        """Return the answer for an open alarm. `clearing`: what is true while the alarm is
        clearing."""
        answer = in_english("open since {at}", at=raised_at)
        if clearing_since is not None:
            answer = in_english(
                "{open}; {clearing} since {since}",
                open=answer,
                clearing=clearing,
                since=clearing_since,
            )
        return replace(self, verdict="open", answer=answer)


@dataclass(frozen=True)
class WhyQuestion:
    """A question about one target at one instant. `blank`: the answer so far; `covering`: the
    episode that was open at the instant.

    `evaluate`: evaluates the target from a state up to the instant, by the versions in force, and
    writes nothing.
    """

    platform: KindPorts
    asset: Asset
    at: datetime
    covering: Episode | None
    blank: Why
    evaluate: Callable[[ConditionState], TargetEvaluation]

    def stored_state(self) -> ConditionState | None:
        """Return the stored state of the target; None if its watermark lies after the instant."""
        state = self.platform.states.load_many([(self.blank.definition, self.asset.name)]).state(0)
        return state if state is not None and state.watermark <= self.at else None


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
        """Evaluate one part of event time with one definition and model, continuing from the
        previous result."""

    def explain(
        self,
        definition: D_contra,
        asset: Asset,
        step: Step,
        at_raise: Raise,
        history: History | None,
    ) -> RaiseEvidence:
        """Return the content of a new episode. `history`: the readings of the evaluation, if
        available."""

    def outcome(self, definition: D_contra, asset: Asset) -> Literal["onset", "state"]:
        """Return what the data show of an episode's problem: its start in the prediction window, or
        any sample in that window that shows it."""

    def why(self, definition: D_contra, question: WhyQuestion) -> Why:
        """Explain why an alarm was or was not raised at an instant, from a new evaluation of the
        readings around it."""

    def chart(self, definition: D_contra, asset: Asset, episode: Episode) -> Charted:
        """Return the content of the chart of an episode."""

    def unevaluated_intervals(
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
        """Compare the statements of the models in service with the values that had come by `as_of`;
        None if there are too few yet."""


@runtime_checkable
class StrideScoringKind(Protocol[D_contra]):
    """Behaviour of a kind whose model gives a score at each stride at which the state is known."""

    def has_score_each_stride(self, definition: D_contra) -> bool:
        """Return whether each score gives the state until the next stride, so that a missing score
        means an unknown state."""


@runtime_checkable
class MovingKind(Protocol[D_contra]):
    """Behaviour of a kind whose limits change by themselves."""

    def moving_levels(
        self, definition: D_contra, sources: EvaluationSources, parts: Sequence[VersionInterval]
    ) -> Mapping[str, tuple[MovingLevel, ...]]:
        """Return, by variable, the limits that were in force in consecutive parts; none if limits
        do not change.

        Raises ModelUnavailable if a model in service cannot be read.
        """


@runtime_checkable
class ChartingKind(Protocol[D_contra]):
    """Behaviour of a kind whose model charts each reading against limits."""

    def chart_last_days(
        self, definition: D_contra, sources: EvaluationSources, version: int, end: datetime
    ) -> Panel | None:
        """Return the chart of the last days up to `end` with the limits of a model version; None
        for an asset without limits. Raises ModelUnavailable if the version cannot be read."""


class TrainedKind(Kind[D_contra], Protocol[D_contra]):
    """Behaviour of a kind with a model."""

    def load(self, files: Files) -> TrainedModel:
        """Return the model of these files. Raises any exception for files that it cannot read."""


class ScoreDetails(NamedTuple):
    """Contributions to a score, the largest first, and the predicted values, if the kind predicts
    any."""

    contributions: tuple[Contribution, ...] = ()
    forecast: tuple[Predicted, ...] = ()


@runtime_checkable
class ScoringKind(Protocol):
    """Methods of a kind whose score at an instant depends only on a window of readings, and not on
    earlier scores."""

    def plan_of(self, model: TrainedModel, asset: str) -> FeaturePlan | None:
        """Return the feature plan of an asset; None if the model has not learned from this
        asset."""

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the score of each row of features as a frame of one column with the same index.
        Raises UserError if columns are missing."""

    def details(
        self, asset: Asset, history: History, scored: ScoredRows, shared: SharedInputs
    ) -> ScoreDetails:
        """Explain the last of these scores. `history`: the readings from which it was computed."""


@runtime_checkable
class GraphKind(Protocol):
    """A kind whose model has an ONNX graph for each asset."""

    def graph(self, model: TrainedModel, asset: str | None) -> bytes:
        """Return the ONNX file of an asset's part of a model; without an `asset`, of the only one.
        Raises UserError if there is no such part or graph."""


# Returns readings of a condition's variable on an asset, after one instant and up to another, that
# were read already; None if they were not.
FindSeries = Callable[[Asset, Condition, datetime, datetime], Series | None]


class LoadedModels(Protocol):
    """Registered models, each of them loaded once."""

    def get(self, definition: Definition, version: int) -> TrainedModel:
        """Return a registered model. Raises ModelUnavailable, also for damaged files."""


@dataclass(frozen=True)
class VersionInterval:
    """An interval of event time (start, end] with one revision and one champion in force, or None
    of either.

    `by_twin`: the champion's refit has given way to its twin. `is_new`: another revision evaluated
    the time before the interval. `awaited`: number of a newer revision that is in force but whose
    question has no champion yet.
    """

    start: datetime
    end: datetime
    revision: Revision | None
    model_version: int | None
    by_twin: bool = False
    is_new: bool = False
    awaited: int | None = None


@dataclass(frozen=True)
class EvaluationSources:
    """Sources of an evaluation on one asset. `fetched`: readings that were read already.

    `shared`: readings and results of models, kept for the next model on the same asset.
    `suppressed`: returns the intervals between two instants in which a definition is suppressed by
    design on this asset.
    """

    platform: KindPorts
    models: LoadedModels
    asset: Asset
    fetched: FindSeries | None
    shared: SharedInputs
    suppressed: Callable[[Definition, datetime, datetime], Sequence[SuppressedInterval]] = (
        lambda *_: ()
    )

    def read(self, condition: Condition, start: datetime, end: datetime) -> Series:
        """Return readings of a condition's variable in (start, end]. Raises UserError for a stored
        value that is not of its variable's type."""
        series = self.fetched and self.fetched(self.asset, condition, start, end)
        return series or series_of(
            condition,
            self.platform.readings.load(
                WantedHistory(self.asset, start, end, [condition.variable], with_events=False)
            ),
        )


@dataclass(frozen=True)
class RaiseEvidence:
    """Content of a new episode: the evaluation at its raise, the values used, contributions and
    advice.

    `is_prediction`: the episode is raised before its problem. `modes`: as of `Episode`.
    """

    evaluation: Evaluation
    is_prediction: bool = False
    inputs: dict[str, float | str | None] = field(default_factory=dict)
    contributions: tuple[Contribution, ...] = ()
    recommendation: RecommendationResult | None = None
    modes: tuple[ModeShare, ...] = ()
    life: RemainingLife | None = None


@dataclass(frozen=True)
class Raise:
    """Values at the instant of a raise. Only kinds with a model have the other fields except
    `value`, its version and `content`.

    `shared`: keeps explanations for other definitions with the same model. `life`: the remaining
    life, where it is estimated. `content`: content of the episode, from kinds that know it when
    they evaluate. `evidence`: computed contents by asset and step, so that an evaluation whose
    write met a conflict is composed again without another search for advice.
    """

    value: float | None
    row: pd.DataFrame | None = None
    model: TrainedModel | None = None
    model_version: int | None = None
    history: History | None = None
    shared: SharedInputs | None = None
    life: RemainingLife | None = None
    content: RaiseEvidence | None = None
    evidence: dict[tuple[str, Step], RaiseEvidence] = field(
        default_factory=dict, compare=False, repr=False
    )


class Served(NamedTuple):
    """An interval (start, end] with one model in service."""

    start: datetime
    end: datetime
    model: TrainedModel


class ModelVerification(NamedTuple):
    """A sentence on how a model did in service, and its fault, None if there is none. `share`: the
    metric in the sentence."""

    sentence: str
    fault: str | None
    share: float


@dataclass(frozen=True)
class Refresh:
    """The newest scored instant of a prediction after its raise, for which its reasons and advice
    are computed again."""

    at: datetime
    values: Raise
    definition: TrainedDefinition


@dataclass(frozen=True)
class ScoredRows:
    """Scores of one asset at evaluated instants (ms); NaN where unknown, with the reason in
    `unknown` ("" where known).

    `twin`: scores of the twin in shadow, at the instants that its refit scored; NaN elsewhere.
    `model`: the model in force, without a refit that has given way. `limit`: limit of scores, if
    that is not the model's threshold. `facts`: sentences on the last score. `values`: values that a
    forecast predicts (rows x times ahead x low, median, high), NaN where unknown; `leads_ms`: these
    times ahead. `has_alarm`: False if the model has no alarm, and all scores are NaN. `lives`: the
    remaining life at each instant, None where unknown; empty if it is not estimated.
    """

    at: Millis
    score: Scores
    twin: Scores
    unknown: npt.NDArray[np.object_]
    model: TrainedModel
    model_version: int
    limit: float | None = None
    facts: tuple[str, ...] = ()
    values: npt.NDArray[np.float64] | None = None
    leads_ms: tuple[int, ...] = ()
    has_alarm: bool = True
    lives: tuple[RemainingLife | None, ...] = ()

    @property
    def interval(self) -> npt.NDArray[np.float64] | None:
        """Return low, median and high at each instant (rows x 3), NaN where unknown: of the nearest
        predicted value, or of the remaining life (hours); None if neither is estimated."""
        if self.values is not None:
            return self.values[:, 0]
        if not self.lives:
            return None
        times = [(None,) * 3 if life is None else life.times_ms[:3] for life in self.lives]
        return np.array(times, np.float64) / HOUR

    @property
    def threshold(self) -> float:
        """Return the threshold in force, which is the same for twin and refit; NaN without an
        alarm."""
        if not self.has_alarm:
            return float("nan")
        return self.model.threshold if self.limit is None else self.limit

    @property
    def last_model(self) -> TrainedModel:
        """Return the model that gave the last score: the refit or its twin."""
        return self.model.serving(from_millis(int(self.at[-1])))


@dataclass(frozen=True)
class TargetEvaluation:
    """Result for one target: the state afterwards, the steps, and the values at each raise.

    `unreadable`: why the model cannot be read. Evaluation stops there; nothing after it counts as
    evaluated. `refreshes`, `valid_until`: refreshed advice and end of the prediction window of the
    predictions that were open in the part, by raise. `learned`: the learned limits in force at its
    end. `has_model`: False if the part had no model, or no definition in service.
    """

    state: ConditionState
    steps: list[tuple[Step, VersionInterval]] = field(default_factory=list)
    raises: dict[datetime, Raise] = field(default_factory=dict)
    scores: list[ScoredRows] = field(default_factory=list)
    unknown: str | None = None
    unreadable: str | None = None
    history: History | None = None
    refreshes: dict[datetime, Refresh] = field(default_factory=dict)
    learned: LearnedLimits | None = None
    valid_until: Mapping[datetime, datetime] = field(default_factory=dict)
    has_model: bool = True

    def add_step(
        self,
        step: Step,
        part: VersionInterval,
        reason: str,
        value: float | None = None,
        limit: float | None = None,
    ) -> None:
        """Add a step; to a change of the severity or of the cause, add what the kind evaluated."""
        if step.kind in ("severity", "renewed"):
            status: Status = "unknown" if step.cause == UNKNOWN else "triggered"
            made = Evaluation(step.at, status, reason, value, limit, part.model_version, step.cause)
            step = replace(step, evaluation=made)
        self.steps.append((step, part))

    def stop(self, why: str) -> TargetEvaluation:
        """Return the result of a target whose evaluation ends here, because a model is
        unreadable."""
        return replace(self, unknown=why, unreadable=why)


@contextmanager
def confine_fault(message: str) -> Iterator[None]:
    """Raise ModelUnavailable instead of any fault of the model of one target, which is then
    unknown; the round continues."""
    try:
        yield
    except Exception as fault:
        raise ModelUnavailable(f"{message}: {first_line(fault)}") from fault


def state_for(before: TargetEvaluation, part: VersionInterval) -> ConditionState:
    """Return the state from which to evaluate a part. Another revision states anew why an open
    episode is open."""
    state = before.state
    return replace(state, cause=None) if part.is_new and state.cause != UNKNOWN else state


OUT_OF_SERVICE = translatable("the definition is not in service")
NO_MODEL = translatable("no model is in service yet")
NO_LIMITS = translatable("no limits are in service yet")
NO_LEARNED_LIMITS = translatable("no learned limits are in service yet")
NOT_ASKED = translatable("the model has just gone into service and has not given a score yet")
WITHOUT_MODEL = frozenset({NO_MODEL, NO_LIMITS, NO_LEARNED_LIMITS})
"""The reasons that no longer hold once there is a champion, whatever an evaluation of before has
stored."""


def carried_reason(before: TargetEvaluation) -> str | None:
    """Return why the state is unknown in a part with a model but without a scored instant: the
    earlier reason, unless that was a missing model or a definition out of service."""
    if not before.has_model:
        return NOT_ASKED
    if before.scores:
        return before.unknown
    reason = before.state.unknown_reason
    return NOT_ASKED if reason in WITHOUT_MODEL | {OUT_OF_SERVICE} else reason
