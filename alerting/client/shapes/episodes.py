"""Bodies and answers about episodes. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

from alerting.client.shapes.shared import Contribution, EpisodeSummary, Notification
from alerting.client.values import Instant

ActionView = TypedDict(
    "ActionView",
    {
        "action": str,
        "uses": int,
        "avoided": int,
        "came": int,
        "actors": list[str],
        "usual_minutes": float | None,
        "is_advice": bool,
    },
)
"""An action in similar episodes, with its uses, and how often the problem was avoided or came
after it. `is_advice`: used often enough, and mostly helpful."""

Change = TypedDict(
    "Change",
    {
        "variable": str,
        "before": float | str,
        "after": float | str,
        "unit": str | None,
        "takes": NotRequired[str | None],
    },
)
"""One change of a recommendation: of a set-point, a switch (0 or 1) or a category (text).
`takes`: time of the ramp, where the variable has a rate; None for a change at once."""

Alternative = TypedDict(
    "Alternative",
    {
        "changes": list[Change],
        "risk_after": float,
        "message": str,
        "effort": float,
        "unusual": NotRequired[float | None],
        "safety": NotRequired[Literal["aim", "threshold", "nominal"] | None],
        "moves": NotRequired[list[Change]],
    },
)
"""A further answer of the what-if, with more effort than the recommended one. `effort`,
`unusual`, `safety`, `moves`: as in RecommendationResult."""

EarlierAdvice = TypedDict(
    "EarlierAdvice",
    {
        "since": str,
        "until": str,
        "risk": float,
        "changes": list[Change],
        "message": str,
    },
)
"""Advice that another one has replaced: in force from `since` on, with the risk of the instant
at which it was replaced."""

Feedback = TypedDict(
    "Feedback",
    {
        "episode": str,
        "verdict": Literal["true_alarm", "false_alarm", "unsure"] | None,
        "acted": bool,
        "action": str | None,
        "comment": str | None,
        "actor": str,
        "at": str,
        "acted_at": NotRequired[str | None],
        "recommendation_taken": NotRequired[Literal["yes", "partly", "other", "no"] | None],
    },
)
"""An operator's feedback on an episode; never overwritten. `recommendation_taken`: whether the
operator changed what the recommendation said, in part, something else, or nothing."""

OutcomeRecord = TypedDict(
    "OutcomeRecord",
    {
        "outcome": Literal["hit", "avoided", "false_alarm", "undetermined"],
        "reason": str,
        "occurred": bool | None,
        "problem_at": str | None,
        "too_late": bool,
        "acted": bool,
        "rules": int,
    },
)
"""The derived outcome of an episode, with its reason and the version of the rules."""

LeverReport = TypedDict(
    "LeverReport",
    {
        "variable": str,
        "share": float,
        "settings": int,
        "reason": str,
    },
)
"""Account of one controllable variable in the search: its number of settings, and why it is not
part of the answer. `share`: contribution of the variable and of those that follow it, which
orders the search. `reason`: empty if it is used."""

RecommendationResult = TypedDict(
    "RecommendationResult",
    {
        "changes": list[Change],
        "risk_before": float,
        "risk_after": float,
        "helps": bool,
        "message": str,
        "effort": NotRequired[float | None],
        "unusual": NotRequired[float | None],
        "safety": NotRequired[Literal["aim", "threshold", "nominal"] | None],
        "moves": NotRequired[list[Change]],
        "alternatives": NotRequired[list[Alternative]],
        "search": NotRequired[Literal["least", "best_found"] | None],
        "scorings": NotRequired[int],
        "levers": NotRequired[list[LeverReport]],
        "background": NotRequired[str],
    },
)
"""Result of a model's what-if: the change, and the risk before and after; or why there is none.
`effort`: sum over changes of the share of the range, and 0.08 for changing it at all, times
the cost. `unusual`: share of the normal training rows that are less unusual than the line
after the change (0.95: as unusual as 1 in 20 of them); None if the model does not know.
`safety`: stays under the aimed score if each setting is missed by its tolerance (aim), under
the threshold (threshold), or only as set (nominal). `moves`: variables that follow the
change, with their last value. `alternatives`: up to two more answers, by effort. `search`:
no answer has less effort among the allowed settings (least), or the search was too large to
know (best_found). `scorings`: rows scored. `levers`: all controllable variables, in the
order of the search. `background`: what a reader may ask about the advice, and does not need
to follow it."""

PresentAdvice = TypedDict(
    "PresentAdvice",
    {
        "at": str,
        "since": str,
        "risk": float,
        "threshold": float | None,
        "model_version": int | None,
        "contributions": list[Contribution],
        "recommendation": RecommendationResult,
        "earlier": NotRequired[list[EarlierAdvice]],
        "advised_at": NotRequired[str | None],
    },
)
"""Reasons and advice of a prediction, computed again at its newest evaluated instant `at` while
the problem is expected. `since`: from when on the platform has given this same advice.
`earlier`: advice that it replaced, oldest first, bounded. `advised_at`: the instant of
reasons and advice, where `at` gave no advice and earlier ones stay; None: `at`."""

Transition = TypedDict(
    "Transition",
    {
        "kind": Literal[
            "raised",
            "severity",
            "revised",
            "happening",
            "closed",
            "feedback",
            "outcome",
            "corrected",
            "acknowledged",
            "confirmed",
            "commented",
            "assigned",
            "muted",
            "unmuted",
            "reminder",
            "severity_rose",
            "escalated",
            "repeated",
            "suppressed",
            "reopened",
            "maintenance",
        ],
        "at": str,
        "actor": str,
        "reason": str,
    },
)
"""A change of an episode, with time, actor and reason."""

EpisodeDetail = TypedDict(
    "EpisodeDetail",
    {
        "id": str,
        "definition": str,
        "revision": int,
        "kind": str,
        "asset": str,
        "title": str,
        "severity": Literal["low", "medium", "high", "critical"],
        "condition": Literal["open", "closed"],
        "phase": Literal["expected", "happening", "over"],
        "raised_at": str,
        "detected_at": str,
        "happening_at": str | None,
        "prediction_ended_at": str | None,
        "closed_at": str | None,
        "value": float | None,
        "threshold": float | None,
        "reason": str,
        "advice": str | None,
        "message": str,
        "outcome": Literal["hit", "avoided", "false_alarm", "undetermined"] | None,
        "outcome_reason": str | None,
        "model_version": int | None,
        "backfilled": bool,
        "withdrawn": bool,
        "late_data_status": Literal["found_late", "refuted"] | None,
        "condition_started_at": str | None,
        "valid_until": str | None,
        "continues": str | None,
        "inputs": dict[str, Any],
        "contributions": list[Contribution],
        "recommendation": RecommendationResult | None,
        "present": PresentAdvice | None,
        "guidance": dict[str, str],
        "transitions": list[Transition],
        "notifications": list[Notification],
        "feedback": list[Feedback],
        "outcome_record": OutcomeRecord | None,
    },
)
"""All details of one episode."""

EpisodePage = TypedDict(
    "EpisodePage",
    {
        "items": list[EpisodeSummary],
        "next": str | None,
    },
)
"""Episodes, newest first; `next` is the cursor of the page after this one, null on the last."""

SimilarView = TypedDict(
    "SimilarView",
    {
        "id": str,
        "asset": str,
        "raised_at": str,
        "likeness": float,
        "outcome": Literal["hit", "avoided", "false_alarm", "undetermined"] | None,
    },
)
"""An earlier episode, how much it is like the one asked for (1: the same), and its outcome."""

ExperienceView = TypedDict(
    "ExperienceView",
    {
        "similar": list[SimilarView],
        "answered": int,
        "is_enough": bool,
        "actions": list[ActionView],
        "contradicts": bool,
    },
)
"""Earlier episodes like one. `is_enough`: at least three of them were answered; below that no
action is listed. `contradicts`: following the recommendation mostly did not help."""

FeedbackBody = TypedDict(
    "FeedbackBody",
    {
        "verdict": NotRequired[Literal["true_alarm", "false_alarm", "unsure"] | None],
        "acted": NotRequired[bool],
        "action": NotRequired[str | None],
        "comment": NotRequired[str | None],
        "acted_at": NotRequired[Instant | None],
        "recommendation_taken": NotRequired[Literal["yes", "partly", "other", "no"] | None],
    },
)
"""Feedback of an operator: at least a verdict, an action, a comment, or whether the
recommendation was followed."""
