"""Answers of the API on models and trainings."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from alerting.adapters.platform import Platform
from alerting.console.api.plant_times import plant_times
from alerting.console.api.views import View
from alerting.definitions.model import Definition, TrainedDefinition
from alerting.ports import DecisionRecord, Training
from alerting.reporting.figures.operating_curve import operating_points
from alerting.usecases.registry.registration import ModelEvidence
from alerting.usecases.training.overview import ModelLine, ModelReport, ModelState
from alerting.usecases.training.runs import training_state


class ModelSummary(View):
    """State of the model of a definition.

    `version`: in service since `since`, null without one. `reason`: why a version waits, the last
    training failed, or it put nothing into service; empty otherwise. `advice`: what to do now,
    empty if nothing is.
    """

    definition: str
    title: str
    kind: str
    state: ModelState
    version: int | None
    since: datetime | None
    provisional: bool
    reason: str
    advice: str


class ModelVersion(View):
    """One registered model."""

    version: int
    aliases: list[str]
    tags: dict[str, str]


class ModelDecision(View):
    """One promotion decision. `summary`: its reason for people; `reason`: as it was recorded.
    `as_of`: the end of the readings of its training, null of a rollback."""

    at: datetime
    as_of: datetime | None
    revision: int
    challenger_version: int | None
    champion_version: int | None
    promoted: bool
    provisional: bool
    verdict: str
    summary: str
    reason: str
    evidence: dict[str, Any]
    run_id: str | None
    actor: str


class CandidateView(View):
    """A family of models that the last training tried, with means over the folds; `intervals`: of
    95 %, by metric."""

    family: str
    trials: int
    cut_short: bool
    ap: float | None = Field(description="Average precision.")
    roc_auc: float | None
    crps: float | None
    intervals: dict[str, tuple[float, float]]


class OperatingPointView(View):
    """A threshold, and what it would have found on the rows that chose one. `at_most`: the
    `operating_point.false_alarms_per_week` that chooses it, null where its time in alarm is beyond
    the limit."""

    threshold: float
    chosen: bool
    problems_found: int | None
    problems: int | None
    share_found: float
    false_alarms_per_week: float = Field(description="On each asset.")
    time_in_alarm: float
    precision: float | None
    at_most: float | None


class EffectView(View):
    """The change of the problem's variable for one unit of a set-point, and its standard error."""

    set_point: str
    variable: str
    effect: float
    error: float


class EvidenceView(View):
    """Evidence of the version that waits, else of the one in service, as its training measured it.

    `reliability`: mean score and observed share of problems, in bins of rows of the test period.
    `importance`: by variable. `test`: metrics of the test period.
    """

    version: int
    points: list[OperatingPointView]
    reliability: list[dict[str, float]]
    importance: dict[str, float]
    effects: list[EffectView]
    test: dict[str, Any]


class WaitingView(View):
    """A version that waits for a person. `run`: its training, to be named with the answer."""

    run: str
    version: int
    champion: int | None
    reason: str


class ModelDetail(ModelSummary):
    """The models of a definition: what waits, the candidates of the last training, the evidence,
    all registered versions, and every decision, oldest first.

    `unreadable`: why the registry of models cannot be read; its parts are then empty.
    """

    waiting: WaitingView | None
    leaderboard: list[CandidateView]
    evidence: EvidenceView | None
    versions: list[ModelVersion]
    decisions: list[ModelDecision]
    unreadable: str | None


class TrainingView(View):
    """The newest training of one question of a definition.

    `present`: of the question that the definition asks now. `failure`: why it ended without a
    decision.
    """

    id: str
    revision: int
    present: bool
    state: Literal["requested", "under way", "failed", "cancelled", "ended"]
    started_at: datetime
    ended_at: datetime | None
    requested_by: str | None
    requested_at: datetime | None
    cancelled_by: str | None
    attempts: int
    failure: str | None


class TrainingsView(View):
    """State of the trainings of a definition, as in its models, and the newest of each question."""

    definition: str
    state: ModelState
    reason: str
    advice: str
    items: list[TrainingView]


class DecidedView(View):
    """A decision on a version. `promoted`: whether it is in service now."""

    definition: str
    version: int | None
    promoted: bool
    verdict: str
    reason: str


def summary_view(line: ModelLine, platform: Platform) -> ModelSummary:
    """Return the view of the state of a model."""
    return ModelSummary(**_summary(line, platform))


def _summary(line: ModelLine, platform: Platform) -> dict[str, Any]:
    names = ("title", "kind", "state", "version", "since", "provisional", "advice")
    return {
        "definition": line.name,
        "reason": plant_times(line.reason, platform.zone),
        **{name: getattr(line, name) for name in names},
    }


def detail_view(report: ModelReport, definition: Definition, platform: Platform) -> ModelDetail:
    """Return the view of all that is known of a definition's models."""
    waiting = report.waiting
    return ModelDetail(
        **_summary(report.line, platform),
        waiting=None
        if waiting is None
        else WaitingView(
            run=waiting.run_id,
            version=waiting.refreshed_version or waiting.challenger_version or 0,
            champion=waiting.champion_version,
            reason=plant_times(waiting.reason, platform.zone),
        ),
        leaderboard=[
            CandidateView.model_validate(one, from_attributes=True) for one in report.leaderboard
        ],
        evidence=None if report.evidence is None else evidence_view(report.evidence, definition),
        versions=[_version(version) for version in report.history["versions"]],
        decisions=[
            decision_view(one, row["summary"])
            for one, row in zip(report.decisions, report.history["decisions"], strict=True)
        ],
        unreadable=report.history["unreadable"],
    )


def evidence_view(evidence: ModelEvidence, definition: Definition) -> EvidenceView:
    """Return the view of the evidence of a version."""
    limit = (
        definition.operating_point.max_time_in_alarm
        if isinstance(definition, TrainedDefinition)
        else 1.0
    )
    points = [
        OperatingPointView(
            threshold=p.threshold,
            chosen=p.chosen,
            problems_found=p.found,
            problems=p.problems,
            share_found=p.recall,
            false_alarms_per_week=p.false_alarms,
            time_in_alarm=p.time_in_alarm,
            precision=p.precision,
            at_most=p.at_most,
        )
        for p in operating_points(evidence.curve, limit)
    ]
    return EvidenceView(
        version=evidence.version,
        points=points,
        reliability=[dict(row) for row in evidence.reliability],
        importance=dict(evidence.importance),
        effects=[EffectView.model_validate(effect) for effect in evidence.effects],
        test=dict(evidence.test),
    )


def decision_view(decision: DecisionRecord, summary: str) -> ModelDecision:
    """Return the view of a decision."""
    fields = {
        name: getattr(decision, name)
        for name in ModelDecision.model_fields.keys() - {"summary", "at"}
    }
    return ModelDecision(summary=summary, at=decision.acted_at, **fields)


def _version(row: dict[str, Any]) -> ModelVersion:
    tags = {name: str(value) for name, value in row.items() if name not in ("version", "alias")}
    aliases = [alias for alias in row["alias"].split(", ") if alias]
    return ModelVersion(version=row["version"], aliases=aliases, tags=tags)


def training_view(one: Training, question: str | None, platform: Platform) -> TrainingView:
    """Return the view of a training. `question`: that the definition asks now."""
    names = ("revision", "started_at", "ended_at", "requested_by", "requested_at", "cancelled_by")
    return TrainingView(
        id=one.run,
        present=one.question == question,
        state=training_state(one, platform.clock.now()),
        attempts=one.attempts,
        failure=None if one.failure is None else plant_times(one.failure, platform.zone),
        **{name: getattr(one, name) for name in names},
    )
