"""The result of a training and the decision on it: its proposal, as it is stored on the run and
shown to people.

Objections are facts of a comparison. A kind states which objections hold; the first row of the
table whose objection holds gives the verdict. This module needs no library of frames or models: DAG
files and commands import it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, cast

import yaml
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    WrapValidator,
)

from alerting.definitions.alert_definition import ModelDefinition, TrainedDefinition
from alerting.definitions.faults import UserError, format_duration
from alerting.definitions.fields.names_and_times import NAME_LENGTH
from alerting.definitions.wording.language import (
    Translatable,
    Value,
    joined,
    read_template,
    template_document,
    translatable,
)
from alerting.learning.data.findings import Finding
from alerting.learning.selection.decision_rules import (
    ROWS,
    RULES,
    DecidedVerdict,
    Objection,
    Outcome,
    Verdict,
)

if TYPE_CHECKING:
    from alerting.learning.selection.candidates import Candidate


PROPOSAL = "proposal.json"  # in the folder `decision` of a run


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class CandidateSummary(_Frozen):
    """The search of one family: means over the folds, and 95 % confidence intervals by metric, if
    they can be known. `crps`: only of kinds that predict values.

    `trials_asked`: number of requested trials; `trials`: number done before a ceiling ended the
    search.
    """

    family: str
    trials: int
    trials_asked: int
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
    """The estimation of a model from readings alone: the number of readings, and sentences on
    them."""

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


Text = Annotated[
    str, WrapValidator(lambda text, check: text if isinstance(text, Translatable) else check(text))
]
_TEXTS = ("reason", "details")  # of a proposal, stored with their templates


class Proposal(_Frozen):
    """Proposal of a training; after `promote_run` with its decision.

    `approved_by`: the person who approved the promotion. `details`: what was counted, behind the
    reason. `promote`: whether a model goes into
    service: the challenger, or `refreshed_version`, the champion with a newer refit. `waiting`:
    only after a person approves. `test`: metrics of the challenger on the test period
    (`Evidence.summary`); `evidence`: champion against challenger. `importance`: share by raw
    variable. `answers`: the effect of operators' feedback on rows, empty without feedback.
    `failures`: sentences on trials that failed, and on families that are left out for it.
    """

    definition: str
    revision: int
    question: str
    run_id: str
    as_of: AwareDatetime
    verdict: DecidedVerdict
    promote: bool
    waiting: bool
    objection: str | None = None
    provisional: bool
    reason: Text
    details: Text = ""
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
    failures: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Return the proposal as its file, with the templates of its texts."""
        document = self.model_dump(mode="json")
        texts = ((name, getattr(self, name)) for name in _TEXTS)
        document["templates"] = {
            name: template_document(text) for name, text in texts if isinstance(text, Translatable)
        }
        return json.dumps(document, indent=1).encode()

    @staticmethod
    def from_json(data: bytes, run_id: str) -> "Proposal":
        """Read the file of a run's proposal. Raises UserError if it is damaged."""
        try:
            document = json.loads(data)
            if "templates" not in document:
                document |= _word_again(document)
            for name, stored in document.pop("templates", {}).items():
                document[name] = read_template(stored, document[name])
            return Proposal.model_validate(document)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as fault:
            raise UserError(
                translatable(
                    "the proposal of run {run} in the registry is damaged; train again", run=run_id
                )
            ) from fault


def _word_again(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return reason and details of a proposal with an objection that an earlier version stored: the
    text of the objection if it needs no values, and the stored text behind it, which says that a
    person decides."""
    if document.get("objection") not in ROWS:
        return {}
    rule = ROWS[document["objection"]]
    general = translatable("Whether it goes into service is for a person to decide.")
    return {
        "reason": general if rule.names else rule.fill({}),
        "details": document["reason"],
    }


PROMOTING = frozenset[DecidedVerdict]({"promote", "provisional", "refreshed", "gave_way"})


@dataclass(frozen=True, kw_only=True)
class PromotionDecision:
    """Verdict on a challenger, and its reason. `objection`: why a person must approve its
    promotion, None if it needs no approval.

    `details`: what was counted, for engineers. `provisional`: the model that serves then was not
    compared with another one. `evidence` is JSON-able.
    """

    verdict: Verdict
    reason: Translatable
    details: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    objection: Objection | None = None
    provisional: bool = False

    @property
    def by_person(self) -> bool:
        """Return whether a person must approve the promotion."""
        return self.objection is not None

    @property
    def promote(self) -> bool:
        """Return whether another model goes into service."""
        return self.verdict in PROMOTING

    def waits(self, definition: ModelDefinition) -> bool:
        """Return whether the promotion waits for a person: for this decision, or for any."""
        return self.promote and (self.by_person or definition.promotion.mode == "approval")

    def add_details(self, *details: str) -> "PromotionDecision":
        """Return the decision with more details behind those that it has."""
        return replace(self, details=joined(" ", self.details, *details))


def decide(
    objections: Mapping[Objection, bool],
    values: Mapping[str, Value] = MappingProxyType({}),
    accepted: Outcome = "better",
    evidence: Mapping[str, Any] = MappingProxyType({}),
    details: str = "",
    note: str = "",
) -> PromotionDecision:
    """Return the decision by the first row of the table whose objection holds.

    Without any objection the challenger is promoted by the row `accepted`. `values`: of the texts.
    `details`: what was counted. `note`: the end of the details of a promotion.
    """
    rows = (row for row in RULES if row.verdict and objections.get(cast(Objection, row.ground)))
    rule = next(rows, ROWS[accepted])
    return PromotionDecision(
        verdict=cast(Verdict, rule.verdict),
        reason=rule.fill(values),
        details=joined(" ", details, note if rule.verdict in PROMOTING else ""),
        evidence=evidence,
        objection=cast(Objection, rule.ground) if rule.by_person else None,
        provisional=rule.verdict == "provisional",
    )


def add_objection(
    decision: PromotionDecision,
    objection: Objection,
    values: Mapping[str, Value] = MappingProxyType({}),
    details: str = "",
    evidence: Mapping[str, Any] = MappingProxyType({}),
    remedy: str = "",
) -> PromotionDecision:
    """Return a promotion with an objection that its comparison could not know, behind its own
    reason. `evidence`: on the objection, JSON-able. `remedy`: what would help, behind it."""
    rule = ROWS[objection]
    return replace(
        decision,
        reason=joined(" ", rule.fill({**values, "reason": decision.reason}), remedy),
        objection=objection if rule.by_person else decision.objection,
        evidence={**decision.evidence, **({objection: dict(evidence)} if evidence else {})},
    ).add_details(details)


_ALERT_SUFFIX = "-at-limit"
_ALERT_FIELDS = ("assets", "severity", "owner", "tags", "guidance", "suppression", "notify")
_CONDITION_FIELDS = ("variable", "above", "below", "equals", "any", "all")


def threshold_alert(definition: TrainedDefinition) -> str:
    """Return the definition of a threshold that raises where the problem of a trained definition
    begins, as YAML; empty for a problem by events."""
    problem = definition.problem
    if problem.event is not None:
        return ""
    written = definition.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, include=set(_ALERT_FIELDS)
    )
    of_problem = problem.model_dump(mode="json", by_alias=True, exclude_none=True)
    document: dict[str, Any] = {
        "name": definition.name[: NAME_LENGTH - len(_ALERT_SUFFIX)] + _ALERT_SUFFIX,
        "kind": "threshold",
        **written,
        **{name: of_problem[name] for name in _CONDITION_FIELDS if name in of_problem},
    }
    if problem.clear is not None and problem.above is not None:
        document["clear_above_at"] = problem.clear_limits.above
    if problem.clear is not None and problem.below is not None:
        document["clear_below_at"] = problem.clear_limits.below
    if problem.hold:
        document["for"] = format_duration(problem.hold)
    if problem.merge_within:
        document["clear_for"] = format_duration(problem.merge_within)
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20))
