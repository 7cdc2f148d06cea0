"""Input and result of an evaluation of one target, for every kind; and why the state of a target
with a model is unknown where no model was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from alerting.definitions.model import Condition, Definition, Revision, TrainedDefinition
from alerting.definitions.wording.language import translatable
from alerting.readings.history import History, Millis, from_millis
from alerting.readings.series import Series

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from alerting.deferred import pd
    from alerting.definitions.assets import Asset
    from alerting.detection.evaluation import Evaluation, ReadingInForce
    from alerting.detection.learned_limits import LearnedLimits
    from alerting.detection.problems import Scores
    from alerting.detection.suppression import SuppressedInterval
    from alerting.episodes.episode import Contribution, RecommendationResult
    from alerting.episodes.lifecycle import ConditionState, Step
    from alerting.kinds.protocol.shared_inputs import SharedInputs
    from alerting.learning.models.trained import TrainedModel
    from alerting.ports import KindPorts

# Reads the readings of a condition's variable after one instant and up to another.
Read = Callable[[Condition, datetime, datetime], Series]


class LoadedModels(Protocol):
    """Registered models, each of them loaded once."""

    def get(self, definition: Definition, version: int) -> TrainedModel:
        """Return a registered model. Raises ModelUnavailable, also for damaged files."""


@dataclass(frozen=True)
class VersionInterval:
    """An interval of event time (start, end] with one revision and one champion in force; None
    where there was none.

    `by_twin`: the champion's refit has given way to its twin. `is_new`: another revision evaluated
    before it. `awaited`: number of the newer revision in force, whose question has no champion yet.
    """

    start: datetime
    end: datetime
    revision: Revision | None
    model_version: int | None
    by_twin: bool = False
    is_new: bool = False
    awaited: int | None = None


def never_suppressed(
    definition: Definition,  # noqa: ARG001
    start: datetime,  # noqa: ARG001
    end: datetime,  # noqa: ARG001
) -> Sequence[SuppressedInterval]:
    """Return no times, for any definition."""
    return ()


@dataclass(frozen=True)
class EvaluationSources:
    """Sources of an evaluation on one asset. `read`: readings of one variable, which may be fetched
    already.

    `shared`: what models read and compute, kept for the next model on the same asset. `suppressed`:
    the times between two instants in which a definition is suppressed by design on this asset.
    """

    platform: KindPorts
    models: LoadedModels
    asset: Asset
    read: Read
    shared: SharedInputs
    suppressed: Callable[[Definition, datetime, datetime], Sequence[SuppressedInterval]] = (
        never_suppressed
    )


@dataclass(frozen=True)
class RaiseEvidence:
    """Content of a new episode: the evaluation at its raise, the values used, contributions and
    advice.

    `is_prediction`: it is raised before its problem.
    """

    evaluation: Evaluation
    is_prediction: bool = False
    inputs: dict[str, float | str | None] = field(default_factory=dict)
    contributions: tuple[Contribution, ...] = ()
    recommendation: RecommendationResult | None = None


@dataclass(frozen=True)
class Raise:
    """Values at the instant of a raise. `reading` only for thresholds; the others but `value` only
    for model kinds.

    `shared`: keeps explanations for other definitions with the same model. `content`: of the
    episode, of kinds that know it when they evaluate. `evidence`: what has been computed of these
    values, by asset and step, so that an evaluation whose write met a conflict is composed again
    without another search.
    """

    value: float | None
    reading: ReadingInForce | None = None
    row: pd.DataFrame | None = None
    model: TrainedModel | None = None
    model_version: int | None = None
    history: History | None = None
    shared: SharedInputs | None = None
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
    """A sentence on how a model did in service, and what is wrong with it, None if nothing is.
    `share`: the figure alone."""

    sentence: str
    fault: str | None
    share: float


@dataclass(frozen=True)
class Refresh:
    """The newest scored instant of a prediction after its raise, at which its reasons and advice
    are computed again."""

    at: datetime
    values: Raise
    definition: TrainedDefinition


@dataclass(frozen=True)
class ScoredRows:
    """Scores of one asset at evaluated instants (ms); NaN where unknown, with the reason in
    `unknown` ("" where known).

    `twin`: scores of the twin in shadow, at the instants that its refit scored; NaN elsewhere.
    `model`: as it is in force, without a refit that has given way. `limit`: with which scores are
    compared, where that is not the model's threshold. `facts`: sentences on the last of them.
    `values`: those that a forecast predicts (rows x times ahead x low, median, high), NaN where
    unknown; `leads_ms`: these times. `has_alarm`: otherwise all scores are NaN.
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

    @property
    def threshold(self) -> float:
        """Return the threshold in force, the same for twin and refit; NaN without an alarm."""
        if not self.has_alarm:
            return float("nan")
        return self.model.threshold if self.limit is None else self.limit

    @property
    def last_model(self) -> TrainedModel:
        """Return the model that gave the last score: the refit or its twin."""
        return self.model.serving(from_millis(int(self.at[-1])))


@dataclass(frozen=True)
class TargetEvaluation:
    """Result for one target: the state after, the steps on the way, the values at each raise, and
    why a severity changed.

    `unreadable`: why the model cannot be read. Evaluation stops there; nothing after it counts as
    evaluated. `refreshes`, `valid_until`: of predictions that were open in it, by the instant of
    their raise; the latter is the end of the prediction window. `learned`: the learned limits in
    force at its end. `has_model`: False after a part in which nothing could be asked: without a
    model, or a definition in service.
    """

    state: ConditionState
    steps: list[tuple[Step, VersionInterval]] = field(default_factory=list)
    raises: dict[datetime, Raise] = field(default_factory=dict)
    changes: dict[datetime, str] = field(default_factory=dict)
    scores: list[ScoredRows] = field(default_factory=list)
    unknown: str | None = None
    unreadable: str | None = None
    history: History | None = None
    refreshes: dict[datetime, Refresh] = field(default_factory=dict)
    learned: LearnedLimits | None = None
    valid_until: Mapping[datetime, datetime] = field(default_factory=dict)
    has_model: bool = True


OUT_OF_SERVICE = translatable("the definition is not in service")
NO_MODEL = translatable("no model is in service yet")
NO_LIMITS = translatable("no limits are in service yet")
NO_LEARNED_LIMITS = translatable("no learned limits are in service yet")
NOT_ASKED = translatable("the model has just gone into service and has not given a score yet")
WITHOUT_MODEL = frozenset({NO_MODEL, NO_LIMITS, NO_LEARNED_LIMITS})
"""The reasons that no longer hold once there is a champion, whatever an evaluation of before has
stored."""


def carried_reason(before: TargetEvaluation) -> str | None:
    """Return why the state is unknown with a model that was asked at no instant of its part: as it
    was, but not that there was no model, or no definition in service."""
    if not before.has_model:
        return NOT_ASKED
    if before.scores:
        return before.unknown
    reason = before.state.unknown_reason
    return NOT_ASKED if reason in WITHOUT_MODEL | {OUT_OF_SERVICE} else reason
