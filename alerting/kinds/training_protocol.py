"""The training of a kind with a model: the steps that differ from kind to kind.

Dataset, runs, registration and promotion are the same for all kinds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from alerting.definitions.alert_definition import ModelDefinition, TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.suppressed_intervals import IntervalsByAsset
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.trials import ReadTime
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.candidates import Candidate, FitFailed, final_fit
from alerting.learning.selection.challenger import ChallengerEvidence
from alerting.learning.selection.choice import ChanceTest
from alerting.learning.selection.decision import PromotionDecision
from alerting.learning.selection.promotion import ActedWindow
from alerting.learning.selection.value_test import ValueEvidence
from alerting.ports import Files, Progress, Readings
from alerting.readings.history import History, LongHistory

FittedT = TypeVar("FittedT")
T_contra = TypeVar("T_contra", bound=TrainedDefinition, contravariant=True)


class NoteTable(NamedTuple):
    """A table for people: `columns` are their titles, every row has a text for each."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Challenger:
    """The chosen candidate as a finished model, with its evidence: `ValueEvidence` if its values
    would serve without an alarm."""

    candidate: Candidate
    model: TrainedModel
    evidence: ChallengerEvidence | ValueEvidence


class KindTraining(Protocol[T_contra]):
    """Training of one kind. The candidates are the `families` of the definition."""

    def train(
        self,
        dataset: Dataset,
        definition: T_contra,
        family: str,
        progress: Progress,
        warm_start: Mapping[str, Any] | None,
        read_time: ReadTime | None = None,
    ) -> Candidate:
        """Search and fit one candidate. `warm_start`: the parameters of the champion's training;
        `read_time`: for the ceiling of the search, which has none without it."""

    def choose(
        self, dataset: Dataset, definition: T_contra, candidates: Sequence[Candidate]
    ) -> tuple[ChanceTest | None, Challenger | None]:
        """Choose and finish the challenger, None if no candidate exceeds chance; also return the
        test against chance, None if there is nothing to warn of."""

    def compare(
        self,
        definition: T_contra,
        challenger: TrainedModel,
        champion: TrainedModel | None,
        histories: Sequence[History],
        excluded: Sequence[ActedWindow],
        as_of: datetime,
        seed: int,
        suppressed: IntervalsByAsset,
    ) -> PromotionDecision:
        """Decide whether the challenger replaces the champion, on times that neither has seen,
        without the `excluded` times."""

    def refit(
        self, dataset: Dataset, twin: TrainedModel, definition: T_contra
    ) -> TrainedModel | None:
        """Return the model with a refit: its parameters fitted on all mature rows. None if there
        are no newer rows."""

    def save(self, model: TrainedModel) -> Files:
        """Return the files of a model, from which the kind loads it."""


@dataclass(frozen=True)
class TrainingSource:
    """The assets of a definition, and their readings that were known at `as_of`."""

    assets: Sequence[Asset]
    readings: Readings
    as_of: datetime


@dataclass(frozen=True)
class NormalTime:
    """Times to read: (start, cutoff] to learn from, the training cutoff at its end, and
    (cutoff, end], which is unseen.

    `normal_end`: up to when the unseen time counts false alarms; None: to its end.
    """

    start: datetime
    cutoff: datetime
    end: datetime
    normal_end: datetime | None = None


class VerdictInterval(NamedTuple):
    """An interval on which operators gave a verdict, trouble or false alarm: that of an episode, or
    the instant of a reported miss."""

    asset: str
    start: datetime
    end: datetime
    verdict: Literal["true_alarm", "false_alarm"]


@dataclass(frozen=True)
class LearningData:
    """Data of a training, read once for all its steps: readings of the evaluated variables in
    `period`, suppressed times, and verdicts."""

    histories: Sequence[LongHistory]
    suppressed: IntervalsByAsset
    period: NormalTime
    verdicts: Sequence[VerdictInterval] = ()

    @cached_property
    def whole_histories(self) -> Sequence[History]:
        """Return the histories with all readings in memory, for kinds that read a few variables."""
        return [history.load_all() for history in self.histories]


@dataclass(frozen=True)
class Estimated:
    """A model that was estimated from readings alone, with `notes` and `tables` for people, and
    counts.

    `used`: number of readings used; `left_out`: number of readings left out, by reason. `params`,
    `metrics`: for the page of the run.
    """

    model: Any
    used: int
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tables: tuple[NoteTable, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The decision on the candidate of a `family`. `model`: the model to register in place of the
    candidate."""

    family: str
    decision: PromotionDecision
    metrics: Mapping[str, float]
    model: Any | None = None


M_contra = TypeVar("M_contra", bound=ModelDefinition, contravariant=True)


class Estimation(Protocol[M_contra]):
    """Training of a kind that learns from readings alone. The candidates are the `families` of the
    definition.

    `in_pieces`: whether it reads histories piece by piece, and whole columns one at a time.
    """

    in_pieces: bool

    def period(self, definition: M_contra, source: TrainingSource) -> NormalTime:
        """Return the times to read. Raises UserError without readings."""

    def estimate(
        self, definition: M_contra, revision: int, family: str, data: LearningData
    ) -> Estimated:
        """Estimate the model of one family from the readings up to the cutoff. Raises UserError if
        that is not possible."""

    def compare(
        self,
        definition: M_contra,
        data: LearningData,
        candidates: Mapping[str, Any],
        champion: Any | None,
    ) -> Comparison:
        """Choose one of the candidates (by family), and decide whether it replaces the champion, if
        there is one."""

    def save(self, model: Any) -> Files:
        """Return the files of a model, from which the kind loads it."""


def fit_asset(name: str, fit: Callable[[], FittedT | str]) -> FittedT | str:
    """Return what a fit gives for an asset, or why it gives nothing: also for an exception, so that
    the other assets are learned."""
    try:
        with final_fit(name):
            return fit()
    except FitFailed as fault:
        return fault.message


def name_reasons(without: Mapping[str, str]) -> str:
    """Return by asset why nothing is learned."""
    reasons = (translatable("{name}: {text}", name=name, text=why) for name, why in without.items())
    return joined("; ", *reasons)
