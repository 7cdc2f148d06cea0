"""Bodies and answers about models. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

ApprovalBody = TypedDict(
    "ApprovalBody",
    {
        "run": NotRequired[str | None],
    },
)
"""The proposal that is approved; `run` as in `waiting`: if another one waits by now, the answer
is refused."""

CancelBody = TypedDict(
    "CancelBody",
    {
        "reason": str,
    },
)
"""Why a training is cancelled, recorded with it and in the audit."""

CandidateView = TypedDict(
    "CandidateView",
    {
        "family": str,
        "trials": int,
        "cut_short": bool,
        "ap": float | None,
        "roc_auc": float | None,
        "crps": float | None,
        "intervals": dict[str, list[float]],
    },
)
"""A family of models that the last training tried, with means over the folds; `intervals`: of
95 %, by metric."""

DecidedView = TypedDict(
    "DecidedView",
    {
        "definition": str,
        "version": int | None,
        "promoted": bool,
        "verdict": str,
        "reason": str,
    },
)
"""A decision on a version. `promoted`: whether it is in service now."""

EffectView = TypedDict(
    "EffectView",
    {
        "set_point": str,
        "variable": str,
        "effect": float,
        "error": float,
    },
)
"""The change of the problem's variable for one unit of a set-point, and its standard error."""

OperatingPointView = TypedDict(
    "OperatingPointView",
    {
        "threshold": float,
        "chosen": bool,
        "problems_found": int | None,
        "problems": int | None,
        "share_found": float,
        "false_alarms_per_week": float,
        "time_in_alarm": float,
        "precision": float | None,
        "at_most": float | None,
    },
)
"""A threshold, and what it would have found on the rows that chose one. `at_most`: the
`operating_point.false_alarms_per_week` that chooses it, null where its time in alarm is
beyond the limit."""

EvidenceView = TypedDict(
    "EvidenceView",
    {
        "version": int,
        "points": list[OperatingPointView],
        "reliability": list[dict[str, float]],
        "importance": dict[str, float],
        "effects": list[EffectView],
        "test": dict[str, Any],
    },
)
"""Evidence of the version that waits, else of the one in service, as its training measured it.
`reliability`: mean score and observed share of problems, in bins of rows of the test period.
`importance`: by variable. `test`: metrics of the test period."""

ModelDecision = TypedDict(
    "ModelDecision",
    {
        "at": str,
        "as_of": str | None,
        "revision": int,
        "challenger_version": int | None,
        "champion_version": int | None,
        "promoted": bool,
        "provisional": bool,
        "verdict": str,
        "summary": str,
        "reason": str,
        "evidence": dict[str, Any],
        "run_id": str | None,
        "actor": str,
    },
)
"""One promotion decision. `summary`: its reason for people; `reason`: as it was recorded.
`as_of`: the end of the readings of its training, null of a rollback."""

ModelVersion = TypedDict(
    "ModelVersion",
    {
        "version": int,
        "aliases": list[str],
        "tags": dict[str, str],
    },
)
"""One registered model."""

WaitingView = TypedDict(
    "WaitingView",
    {
        "run": str,
        "version": int,
        "champion": int | None,
        "reason": str,
    },
)
"""A version that waits for a person. `run`: its training, to be named with the answer."""

ModelDetail = TypedDict(
    "ModelDetail",
    {
        "definition": str,
        "title": str,
        "kind": str,
        "state": Literal[
            "waiting", "training", "requested", "failed", "cancelled", "due", "refused", "serving"
        ],
        "version": int | None,
        "since": str | None,
        "provisional": bool,
        "reason": str,
        "advice": str,
        "waiting": WaitingView | None,
        "leaderboard": list[CandidateView],
        "evidence": EvidenceView | None,
        "versions": list[ModelVersion],
        "decisions": list[ModelDecision],
        "unreadable": str | None,
    },
)
"""The models of a definition: what waits, the candidates of the last training, the evidence,
all registered versions, and every decision, oldest first. `unreadable`: why the registry of
models cannot be read; its parts are then empty."""

ModelSummary = TypedDict(
    "ModelSummary",
    {
        "definition": str,
        "title": str,
        "kind": str,
        "state": Literal[
            "waiting", "training", "requested", "failed", "cancelled", "due", "refused", "serving"
        ],
        "version": int | None,
        "since": str | None,
        "provisional": bool,
        "reason": str,
        "advice": str,
    },
)
"""State of the model of a definition. `version`: in service since `since`, null without one.
`reason`: why a version waits, the last training failed, or it put nothing into service;
empty otherwise. `advice`: what to do now, empty if nothing is."""

RejectionBody = TypedDict(
    "RejectionBody",
    {
        "run": NotRequired[str | None],
        "reason": str,
    },
)
"""Why a version does not go into service, recorded with the decision."""

RollbackBody = TypedDict(
    "RollbackBody",
    {
        "reason": str,
        "to": NotRequired[int | None],
    },
)
"""Why an earlier version goes back into service; `to`: which, the one before if left out."""

TrainingBody = TypedDict(
    "TrainingBody",
    {
        "reason": NotRequired[str],
    },
)
"""Why a training is wanted, recorded in the audit."""

TrainingView = TypedDict(
    "TrainingView",
    {
        "id": str,
        "revision": int,
        "present": bool,
        "state": Literal["requested", "under way", "failed", "cancelled", "ended"],
        "started_at": str,
        "ended_at": str | None,
        "requested_by": str | None,
        "requested_at": str | None,
        "cancelled_by": str | None,
        "attempts": int,
        "step": str,
        "step_number": int | None,
        "steps": int | None,
        "failure": str | None,
        "verdict": str | None,
        "summary": str,
        "run": str | None,
        "page": str | None,
    },
)
"""The newest training of one question of a definition. `present`: of the question that the
definition asks now. `step`: number `step_number` of `steps` while it is under way.
`failure`: why it ended without a decision. `verdict`, `summary`: of its decision. `page`: of
its run in the registry; null with a scope."""

TrainingsView = TypedDict(
    "TrainingsView",
    {
        "definition": str,
        "state": Literal[
            "waiting", "training", "requested", "failed", "cancelled", "due", "refused", "serving"
        ],
        "reason": str,
        "advice": str,
        "items": list[TrainingView],
    },
)
"""State of the trainings of a definition, as in its models, and the newest of each question."""
