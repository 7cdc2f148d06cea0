"""The result of a training and the decision on it: its proposal, as it is stored on the run and
shown to people; and the table of rules that decides.

Objections are facts of a comparison. A kind states which objections hold; the first row of the
table whose objection holds gives the verdict. This module needs no library of frames or models: DAG
files and commands import it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from alerting.definitions.alert_definition import ModelDefinition, TrainedDefinition
from alerting.definitions.faults import UserError, format_duration
from alerting.definitions.fields.names_and_times import NAME_LENGTH
from alerting.definitions.wording.language import translatable
from alerting.learning.data.findings import Finding

if TYPE_CHECKING:
    from alerting.learning.selection.candidates import Candidate


PROPOSAL = "proposal.json"  # in the folder `decision` of a run
Verdict = Literal[
    "promote", "keep", "refreshed", "cannot_tell", "provisional", "no_challenger", "gave_way"
]
DecidedVerdict = Verdict | Literal["rejected", "stale", "rollback"]


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


class Proposal(_Frozen):
    """Proposal of a training; after `promote_run` with its decision.

    `approved_by`: the person who approved the promotion. `promote`: whether a model goes into
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
    failures: tuple[str, ...] = ()

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


Objection = Literal[
    "not_above_chance", "same_model", "same_estimate", "unreadable_champion", "no_champion",
    "first_values",
    "no_mature_label", "too_few_problems", "one_class", "verdict_by_acted_rows", "not_better",
    "worse_forecasts", "lost_assets", "moved", "no_unseen_time", "champion_raises_too_many",
    "lasting_alarms", "too_many_alarms", "lasting_signals", "too_many_signals", "too_little_time",
    "too_few_points", "too_few_points_of_first", "fewer_problems", "no_synthetic_time",
    "fewer_synthetic", "too_many_on_new_assets", "finds_nothing", "nothing_to_find",
    "fixed_finds_nothing",
    "none_of_few_found", "found_by_chance", "chosen_out_of_fold", "worse_than_last",
    "finds_few", "last_value_serves", "finds_no_anomaly", "finds_no_problem", "constant",
]  # fmt: skip
PROMOTING = frozenset[Verdict]({"promote", "provisional", "refreshed", "gave_way"})
_APPROVED = "goes into service only if a person approves."
_APPROVED_ALL = "go into service only if a person approves."
_CONDITION = re.compile(r"go(?:es)? into service only if a person approves(: `[^`]*`)?")
_WAITS = re.compile(
    r"[.,:] (?:[Ss]o )?(?:a person decides|(?:[Ii]t|The [a-z ]+) go(?:es)? into service only if a "
    r"person approves)\."
)
_DECIDES = re.compile(r"a person decides( \(`[^`]*`\))?")


@dataclass(frozen=True, kw_only=True)
class PromotionDecision:
    """Verdict on a challenger, and its reason. `objection`: why a person must approve its
    promotion, None if it needs no approval.

    `provisional`: the model that serves then was not compared with another one. `evidence` is
    JSON-able.
    """

    verdict: Verdict
    reason: str
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


@dataclass(frozen=True)
class DecisionRule:
    """One row of the table. `sentence`: the reason, with the names of facts in braces.

    `verdict`: None where the objection is added to a promotion (`add_objection`), whose verdict
    stays.
    """

    objection: Objection
    verdict: Verdict | None
    by_person: bool
    sentence: str


RULES: tuple[DecisionRule, ...] = (
    DecisionRule("not_above_chance", "no_challenger", False, "{chance}{stays} {remedy}"),
    DecisionRule(
        "same_model", "keep", False,
        "The challenger is the same model as the champion; the champion stays.",
    ),
    DecisionRule("same_estimate", "keep", False, "The {subject} the same."),
    DecisionRule(
        "unreadable_champion", "provisional", True,
        "The champion, version {version}, cannot be read, so the comparison is impossible "
        f"({{fault}}). The challenger {_APPROVED}",
    ),
    DecisionRule(
        "no_champion", "provisional", False,
        "First model. It ranks better than chance.",
    ),
    DecisionRule(
        "first_values", "provisional", False,
        "First model. Its values serve, without an alarm, until a better one comes.",
    ),
    DecisionRule(
        "no_mature_label", "cannot_tell", False,
        "Cannot tell: no row after {start}, the first instant that neither model has used, has a "
        "mature label. The champion stays.",
    ),
    DecisionRule(
        "too_few_problems", "cannot_tell", False,
        "Cannot tell: {problems} {period}, {least} are needed. The champion stays.",
    ),
    DecisionRule(
        "one_class", "cannot_tell", False,
        "Cannot tell: the rows {period} are all of one class once acted-upon episodes are left "
        "out. The champion stays.",
    ),
    DecisionRule(
        "verdict_by_acted_rows", "cannot_tell", False,
        "Cannot tell: {summary}, but the answer depends on {acted} rows of acted-upon episodes: "
        "better in {positive} if they count as problems, in {negative} if not. The champion "
        "stays.",
    ),
    DecisionRule("not_better", "keep", False, "The champion stays: {summary}."),
    DecisionRule(
        "worse_forecasts", "keep", False,
        "The champion stays: the challenger warns better, but forecasts worse: {summary}.",
    ),
    DecisionRule(
        "lost_assets", "provisional", True,
        f"{{found}} It no longer watches {{lost}}. It {_APPROVED}",
    ),
    DecisionRule(
        "moved", "provisional", True, f"{{moved}}. The {{new}} limits {_APPROVED_ALL} {{found}}"
    ),
    DecisionRule(
        "constant", "provisional", True,
        "{found} {constant} never changes in these readings, so nothing shows what a usual value "
        f"is. The new limits {_APPROVED_ALL}",
    ),
    DecisionRule(
        "no_unseen_time", "provisional", True,
        "{found} There is no unseen normal time on which its false alarms could be counted. It "
        f"{_APPROVED}",
    ),
    DecisionRule(
        "champion_raises_too_many", "provisional", True,
        "{found} Those of the one in service are too many: normal operation has moved, or a fault "
        f"goes on. It {_APPROVED}",
    ),
    DecisionRule(
        "lasting_alarms", "provisional", True,
        "{found} It is in alarm for {in_alarm} of unseen normal time, and at most "
        f"{{most_in_alarm}} are allowed. It {_APPROVED}",
    ),
    DecisionRule(
        "too_many_alarms", "provisional", True,
        f"{{found}} These false alarms are too many. It {_APPROVED}",
    ),
    DecisionRule(
        "lasting_signals", "provisional", True,
        "{found} They last for {in_alarm} of these points, of which at most "
        f"{{most_in_alarm}} are allowed, so it {_APPROVED}",
    ),
    DecisionRule(
        "too_many_signals", "provisional", True,
        f"{{found}} These are too many, so it {_APPROVED}",
    ),
    DecisionRule(
        "too_little_time", "provisional", True,
        "{found} This is too little unseen normal time: {least_allowed:g} false alarms must be "
        f"allowed in it.{{alone}} It {_APPROVED}",
    ),
    DecisionRule(
        "finds_no_problem", "provisional", True,
        f"{{stays}}{{found}} Nothing shows yet that it finds a problem. It {_APPROVED}",
    ),
    DecisionRule("too_few_points", "provisional", True, f"{{stays}}{{found}} So it {_APPROVED}"),
    DecisionRule("too_few_points_of_first", "provisional", False, "{found}"),
    DecisionRule(
        "fewer_problems", "provisional", True,
        f"{{found}} It finds fewer of the problems than the one in service. It {_APPROVED}",
    ),
    DecisionRule(
        "no_synthetic_time", "provisional", True,
        f"{{found}} There is no unseen time for synthetic anomalies. It {_APPROVED}",
    ),
    DecisionRule(
        "fewer_synthetic", "provisional", True,
        f"{{found}} It finds fewer synthetic anomalies than the one in service. It {_APPROVED}",
    ),
    DecisionRule(
        "too_many_on_new_assets", "provisional", True,
        "{found} On assets that the one in service does not watch it raises {on_new_assets} false "
        f"alarms: too many. It {_APPROVED}",
    ),
    DecisionRule(
        "finds_no_anomaly", "provisional", True,
        f"{{found}} It finds nothing there, so nothing shows that it ever would. It {_APPROVED}",
    ),
    DecisionRule(
        "finds_nothing", None, True,
        "{reason} But no threshold finds a problem in {period} within the limits: a person "
        "decides.",
    ),
    DecisionRule(
        "fixed_finds_nothing", None, True,
        "{reason} But the threshold that the definition fixes finds no problem in {period}: a "
        "person decides.",
    ),
    DecisionRule(
        "nothing_to_find", None, True,
        "{reason} But no problem occurs in the validation period, so nothing shows that its "
        "threshold finds one: a person decides.",
    ),
    DecisionRule(
        "chosen_out_of_fold", None, False,
        "{reason} The validation period has no rows both with and without a problem ahead, so its "
        "threshold was chosen on {period}.",
    ),
    DecisionRule("worse_than_last", None, True, "{reason} {worse} So a person decides."),
    DecisionRule(
        "none_of_few_found", None, True,
        "{reason} But in the validation period its threshold finds {found} of {problems}: a person "
        "decides.",
    ),
    DecisionRule(
        "found_by_chance", None, True,
        "{reason} But of the problems in the validation period its threshold finds {found} of "
        "{problems}, and its scores before them are no higher than chance explains: a person "
        "decides.",
    ),
    DecisionRule(
        "finds_few", None, True,
        "{reason} {announced}{instead} So a person decides.",
    ),
    DecisionRule(
        "last_value_serves", None, True,
        "{reason} It is {repeated} alone: no other candidate is better beyond chance. "
        "{announced}{instead} So a person decides.",
    ),
)  # fmt: skip


def met_condition(reason: str) -> str:
    """Return the reason of a promotion that a person approved: why it needed approval, in the past
    tense."""
    reason = _DECIDES.sub("a person had to decide", reason)
    return _CONDITION.sub("could go into service only by approval", reason)


def without_condition(reason: str) -> str:
    """Return the reason of a promotion that waits without the sentences that a person decides,
    which its headline says."""
    return _WAITS.sub(".", reason)


def decide(
    objections: Mapping[Objection, bool],
    facts: Mapping[str, Any],
    accepted: str = "",
    evidence: Mapping[str, Any] = MappingProxyType({}),
    note: str = "",
) -> PromotionDecision:
    """Return the decision by the first row of the table whose objection holds.

    Without any objection the challenger is promoted for the reason `accepted`. `facts`: values for
    the sentences. `note`: the end of the reason of a promotion.
    """
    rule = next((row for row in RULES if row.verdict and objections.get(row.objection)), None)
    verdict = "promote" if rule is None or rule.verdict is None else rule.verdict
    reason = accepted if rule is None else rule.sentence.format_map(facts)
    return PromotionDecision(
        verdict=verdict,
        reason=reason + (note if verdict in PROMOTING else ""),
        evidence=evidence,
        objection=rule.objection if rule is not None and rule.by_person else None,
        provisional=verdict == "provisional",
    )


def add_objection(
    decision: PromotionDecision,
    objection: Objection,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> PromotionDecision:
    """Return a promotion with an objection that its comparison could not know. `facts`: values for
    the objection's sentence, which become evidence."""
    rule = next(row for row in RULES if row.objection == objection)
    return replace(
        decision,
        reason=rule.sentence.format(reason=decision.reason, **facts),
        objection=rule.objection if rule.by_person else decision.objection,
        evidence={**decision.evidence, **({objection: dict(facts)} if facts else {})},
    )


def describe_ready_alert(alert: str) -> str:
    """Return a sentence on the alert that is ready instead of a model; empty without one."""
    ready = " An alert at the limit shows each as it begins; its definition is ready."
    return ready if alert else ""


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
