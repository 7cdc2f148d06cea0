"""The proposal of a training: what its comparison found and offers, as it is stored on the run and
shown to people.

This module needs no library of frames or models: DAG files and commands import it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.learning.data.findings import Finding

if TYPE_CHECKING:
    from alerting.learning.search.candidates import Candidate

PROPOSAL = "proposal.json"  # in the folder `decision` of a run
Verdict = Literal[
    "promote", "keep", "refreshed", "cannot_tell", "provisional", "no_challenger", "gave_way"
]
DecidedVerdict = Verdict | Literal["rejected", "stale", "rollback"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class CandidateSummary(_Frozen):
    """The search of one family: means over the folds, and 95 % confidence intervals by metric where
    they can be known. `crps`: of kinds that predict values.

    `trials_asked`: of which a ceiling let `trials` be done; None in trainings of earlier versions.
    """

    family: str
    trials: int
    trials_asked: int | None = None
    cut_short: bool
    ap: float | None
    roc_auc: float | None
    intervals: dict[str, tuple[float, float]]
    crps: float | None = None

    @staticmethod
    def from_candidate(candidate: "Candidate") -> "CandidateSummary":
        """Return the summary of a candidate."""
        metrics = candidate.metrics
        return CandidateSummary(
            family=candidate.family,
            trials=candidate.trials,
            trials_asked=candidate.trials_asked,
            cut_short=candidate.cut_short,
            ap=metrics.get("ap"),
            roc_auc=metrics.get("roc_auc"),
            crps=metrics.get("crps"),
            intervals={
                k: (metrics[f"{k}_low"], metrics[f"{k}_high"])
                for k in ("ap", "roc_auc")
                if f"{k}_low" in metrics
            },
        )

    @property
    def title(self) -> str:
        """Return the family in words."""
        return self.family.replace("_", " ")


class EstimateSummary(_Frozen):
    """The estimation of a model from readings alone: their number, and sentences on them."""

    family: str
    used: int
    notes: tuple[str, ...]


class PartProfile(_Frozen):
    """The rows of one part of a dataset, those with a problem ahead, and its first and last
    instant."""

    rows: int
    positives: int
    start: AwareDatetime
    end: AwareDatetime


class DatasetProfile(_Frozen):
    """The composition of a dataset in numbers that a person can check. `dropped`: rows by reason;
    `notes`: findings by kind."""

    hash: str
    parts: dict[str, PartProfile]
    assets: int
    problems: int
    variables: int
    columns: int
    dropped: dict[str, int]
    notes: tuple[str, ...]


class Proposal(_Frozen):
    """Proposal of a training; after `promote_run` with its decision.

    `approved_by`: the person who put it into service. `promote`: the challenger goes into service,
    or `refreshed_version`, the champion with a newer refit. `waiting`: only if a person approves.
    `test`: metrics of the challenger on the test period (`Evidence.summary`); `evidence`: champion
    against challenger. `importance`: share by raw variable. `answers`: the effect of operators'
    feedback on rows, empty without feedback.
    """

    definition: str
    revision: int
    question: str | None = None
    run_id: str
    as_of: AwareDatetime
    verdict: DecidedVerdict
    promote: bool
    waiting: bool
    objection: str | None = None
    provisional: bool
    reason: str
    approved_by: str | None = None
    challenger_version: int | None
    champion_version: int | None
    refreshed_version: int | None = None
    leaderboard: tuple[CandidateSummary, ...] = ()
    test: Mapping[str, Any] = Field(default_factory=dict)
    evidence: Mapping[str, Any]
    importance: Mapping[str, float] = Field(default_factory=dict)
    dataset: DatasetProfile
    findings: tuple[Finding, ...] = ()
    answers: str = ""

    @model_validator(mode="before")
    @classmethod
    def _drop_earlier_fields(cls, document: Any) -> Any:
        """Leave out the comparison with a model without feedback, which trainings of earlier
        versions stored."""
        return (
            {k: v for k, v in document.items() if k != "answers_difference"}
            if isinstance(document, dict)
            else document
        )

    def to_json(self) -> bytes:
        """Return the proposal as its file."""
        return self.model_dump_json(indent=1).encode()

    @staticmethod
    def from_json(data: bytes, run_id: str) -> "Proposal":
        """Read the file of a run's proposal. Raises UserError if it is damaged."""
        try:
            return Proposal.model_validate_json(data)
        except ValidationError as fault:
            raise UserError(
                translatable(
                    "the proposal of run {run} in the registry is damaged; train again", run=run_id
                )
            ) from fault
