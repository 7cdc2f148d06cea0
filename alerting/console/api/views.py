"""Responses and request bodies of the API: a contract with programs, so written out. Times in their
sentences are the plant's; fields keep instants in UTC."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic.config import JsonDict
from pydantic_core import to_jsonable_python

from alerting.console.api.parameters import Instant, NameText, Short, Text
from alerting.console.rendering import address_of
from alerting.definitions.alert_definition import Severity
from alerting.definitions.faults import UserError
from alerting.episodes.episode import (
    Condition,
    Contribution,
    Episode,
    Feedback,
    LateDataStatus,
    Outcome,
    OutcomeRecord,
    Phase,
    PresentAdvice,
    RecommendationResult,
    RecommendationTaken,
    Transition,
    Verdict,
)
from alerting.episodes.remaining_life import RemainingLife
from alerting.notifications.notification import Notification
from alerting.ports import Document, ReportContent, ReportHead
from alerting.readings.history import from_millis, to_millis
from alerting.reporting import sentences
from alerting.reporting.phrases import moment

_ACTED: JsonDict = {"required": ["acted"], "properties": {"acted": {"const": True}}}
FEEDBACK_RULES: JsonDict = {
    "allOf": [
        {
            "anyOf": [
                _ACTED,
                {
                    "properties": {
                        "action": {
                            "anyOf": [{"type": "null"}, {"type": "string", "pattern": r"^\s*$"}]
                        },
                        "acted_at": {"type": "null"},
                        "recommendation_taken": {"enum": [None, "no"]},
                    }
                },
            ]
        },
        {
            "anyOf": [
                _ACTED,
                {"required": ["verdict"], "properties": {"verdict": {"type": "string"}}},
                {
                    "required": ["comment"],
                    "properties": {"comment": {"type": "string", "pattern": r"\S"}},
                },
                {
                    "required": ["recommendation_taken"],
                    "properties": {"recommendation_taken": {"type": "string"}},
                },
            ]
        },
    ]
}

MUTE_ENDS: JsonDict = {
    "anyOf": [
        {
            "required": ["until"],
            "properties": {"until": {"type": "string"}, "for": {"type": "null"}},
        },
        {"required": ["for"], "properties": {"until": {"type": "null"}, "for": {"type": "string"}}},
        {
            "required": ["until_event"],
            "properties": {
                "until": {"type": "null"},
                "for": {"type": "null"},
                "until_event": {"type": "object"},
            },
        },
        {
            "required": ["kind"],
            "properties": {
                "kind": {"const": "out_of_service"},
                "until": {"type": "null"},
                "for": {"type": "null"},
            },
        },
    ]
}


class Body(BaseModel):
    """A request body, without other fields than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """A response."""

    model_config = ConfigDict(ser_json_inf_nan="null", from_attributes=True)


class EpisodeSummary(View):
    """One episode as lists show it. `message`: the whole message in one line; `outcome` is null
    until it is determined."""

    id: str
    definition: str
    revision: int
    kind: str
    asset: str
    title: str
    severity: Severity
    condition: Condition
    phase: Phase
    raised_at: datetime
    detected_at: datetime
    happening_at: datetime | None
    prediction_ended_at: datetime | None
    closed_at: datetime | None
    value: float | None
    threshold: float | None
    reason: str
    advice: str | None
    message: str
    outcome: Outcome | None
    outcome_reason: str | None
    model_version: int | None
    backfilled: bool
    withdrawn: bool
    late_data_status: LateDataStatus | None
    condition_started_at: datetime | None


class EpisodeDetail(EpisodeSummary):
    """All details of one episode."""

    valid_until: datetime | None
    continues: str | None
    inputs: dict[str, Any]
    contributions: tuple[Contribution, ...]
    recommendation: RecommendationResult | None
    present: PresentAdvice | None
    remaining_life: RemainingLife | None
    guidance: dict[str, str]
    transitions: tuple[Transition, ...]
    notifications: tuple[Notification, ...]
    feedback: tuple[Feedback, ...]
    outcome_record: OutcomeRecord | None


class EpisodePage(View):
    """Episodes, newest first; `next` is the cursor of the page after this one, null on the last."""

    items: list[EpisodeSummary]
    next: str | None


class FeedbackBody(Body):
    """Feedback of an operator: at least a verdict, an action, a comment, or whether the
    recommendation was followed."""

    model_config = ConfigDict(json_schema_extra=FEEDBACK_RULES)

    verdict: Verdict | None = Field(None, description="Whether the alarm was right.")
    acted: StrictBool = Field(False, description="Whether the operator acted on it.")
    action: Short | None = Field(None, description="The action; only together with acted.")
    comment: Text | None = Field(None, description="A comment.")
    acted_at: Instant | None = Field(None, description="Time of the action; now when left out.")
    recommendation_taken: RecommendationTaken | None = Field(
        None,
        description="Whether the operator followed the recommendation: yes, partly, other (changed "
        "something else) or no. "
        "All but no go together with acted.",
    )

    @model_validator(mode="after")
    def _only_actor(self) -> Self:
        if self.recommendation_taken in ("yes", "partly", "other") and not self.acted:
            raise ValueError(
                f"recommendation_taken {self.recommendation_taken} goes together with acted: true"
            )
        if (self.action or self.acted_at) and not self.acted:
            raise ValueError("action and acted_at go together with acted: true")
        return self


class ReportSummary(View):
    """A performance report; `definition` is null for the plant's, `url` is its page.

    `period`: its calendar period, null for an interval that a person chose; `at`: the instant of
    its point-in-time view.
    """

    id: str
    definition: str | None
    period: str | None
    unseen: bool
    start: datetime
    end: datetime
    at: datetime
    trust: str
    headline: str
    sentences: tuple[str, ...]
    key_metrics: dict[str, str]
    url: str


class ReportDetail(ReportSummary):
    """A report with all its metrics, and the names of its tables."""

    metrics: Document
    tables: list[str]


class TableView(View):
    """A table of a report: one object for each row, by column."""

    name: str
    columns: list[str]
    rows: list[dict[str, Any]]


class MissBody(BaseModel):
    """A problem without an alert: "you should have told me"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    definition: NameText = Field(description="The definition that should have raised an alert.")
    asset: NameText = Field(description="The asset on which the problem happened.")
    at: Instant = Field(description="When the problem happened, or began.")
    comment: Text = Field("", description="What happened.")


class MissView(View):
    """A reported miss. `missed_at`: when the problem happened; `at`: when it was reported."""

    id: str
    definition: str
    asset: str
    missed_at: datetime
    comment: str
    actor: str
    at: datetime


def episode_summary(episode: Episode, zone: tzinfo = UTC) -> EpisodeSummary:
    """Return the view of an episode for lists. `zone`: of the times in its sentences."""
    return EpisodeSummary(**_fields(with_plant_times(episode, zone), EpisodeSummary))


def episode_detail(
    episode: Episode, notifications: tuple[Notification, ...], zone: tzinfo
) -> EpisodeDetail:
    """Return the view of an episode with all details. `zone`: of the times in its sentences."""
    fields = _fields(with_plant_times(episode, zone), EpisodeDetail)
    return EpisodeDetail(**fields, notifications=with_plant_times(notifications, zone))


def _fields(episode: Episode, view: type[View]) -> dict[str, Any]:
    """Return the fields of a view that are fields of the episode, and the derived fields."""
    determined = episode.outcome_record
    advice = sentences.advice_shown(episode)
    return {
        name: getattr(episode, name) for name in view.model_fields if hasattr(episode, name)
    } | {
        "value": episode.evaluation.value,
        "threshold": episode.evaluation.threshold,
        "reason": episode.evaluation.reason,
        "advice": advice.message if advice else None,
        "message": sentences.message(episode),
        "outcome": determined.outcome if determined else None,
        "outcome_reason": determined.reason if determined else None,
    }


def report_summary(head: ReportHead) -> ReportSummary:
    """Return the view of a stored report without its metrics."""
    return ReportSummary(**_report(head))


def report_detail(head: ReportHead, content: ReportContent) -> ReportDetail:
    """Return the view of a stored report with its metrics."""
    metrics = to_jsonable_python(content.metrics, fallback=str, inf_nan_mode="null")
    return ReportDetail(**_report(head), metrics=metrics, tables=list(content.tables))


def _report(head: ReportHead) -> dict[str, Any]:
    same = {name: getattr(head, name) for name in ReportSummary.model_fields if hasattr(head, name)}
    return {
        **same,
        "at": head.as_of,
        "key_metrics": dict(head.key_metrics),
        "url": address_of(f"/api/v1/reports/{head.id}"),
    }


def cursor_after(episode: Episode) -> str:
    """Return the cursor of the next page: opaque to callers, without expiry."""
    return f"{to_millis(episode.raised_at)}_{episode.id}"


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the position in a cursor that `cursor_after` wrote.

    Raises UserError for any other text.
    """
    try:
        millis, id = cursor.split("_")
        return from_millis(int(millis)), id
    except (ValueError, OverflowError) as fault:
        raise UserError(
            "cursor: not a cursor of this API; take it from `next` of the page before"
        ) from fault


T = TypeVar("T")
_SENTENCES = frozenset(
    {"reason", "message", "answer", "facts", "unknown", "why", "because", "step", "end_reason"}
)
"""Names of fields whose texts are sentences."""
_WITHOUT_TEXT = frozenset({type(None), bool, int, float, datetime, timedelta})
_STAMP = re.compile(
    r"(?<![\w'\"])(?<!example "
    r")\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)(?!\w)"
)
"""A stamp that the platform wrote: no example, and none of a request, which is shown in quotes as
it was sent."""


class FieldChange(View):
    """A field that differs; null where it is not written."""

    field: str
    before: Any
    after: Any


class DifferenceView(View):
    """The fields that differ between two revisions."""

    name: str
    start: int = Field(alias="from")
    end: int = Field(alias="to")
    changes: list[FieldChange]


def shown_document(document: Document) -> Document:
    """Return a document as stored, with values that JSON does not know as text."""
    content = {key: value for key, value in document.items() if not key.startswith("_")}
    shown: Document = to_jsonable_python(
        content, fallback=str, inf_nan_mode="strings", bytes_mode="base64"
    )
    return shown


def field_changes(changes: Any) -> list[FieldChange]:
    """Return the view of fields with their values before and after."""
    return [
        FieldChange(field=field, before=before, after=after)
        for field, (before, after) in changes.items()
    ]


def plant_times(text: str, zone: tzinfo) -> str:
    """Return a sentence with ISO stamps in the plant's zone: `2026-01-05 07:00 CET`."""
    if "T" not in text:
        return text
    return _STAMP.sub(lambda match: _local(match[0], zone), text)


def with_plant_times(value: T, zone: tzinfo) -> T:
    """Return a dataclass, or several, with the plant's times in sentences at every depth."""
    return _convert_sentences(value, zone, is_sentence=False)  # type: ignore[no-any-return]


def _convert_sentences(value: Any, zone: tzinfo, is_sentence: bool) -> Any:
    """Return a value in which sentences have the plant's times, at every depth of dataclasses."""
    if type(value) in _WITHOUT_TEXT:
        return value
    if isinstance(value, str):
        return plant_times(value, zone) if is_sentence else value
    if isinstance(value, tuple | list):
        return (
            type(value)(_convert_sentences(item, zone, is_sentence) for item in value)
            if type(value) in (tuple, list)
            else value
        )
    if not is_dataclass(value) or isinstance(value, type):
        return value
    different = {}
    for name in _field_names(type(value)):
        field_value = getattr(value, name)
        changed = _convert_sentences(field_value, zone, name in _SENTENCES)
        if changed is not field_value and changed != field_value:
            different[name] = changed
    return replace(value, **different) if different else value


@cache
def _field_names(model: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(model) if field.init)


def _local(stamp: str, zone: tzinfo) -> str:
    try:
        at = datetime.fromisoformat(stamp).astimezone(zone)
    except (ValueError, OverflowError):
        return stamp
    day, clock, name = moment(at, zone).split(" ", 2)
    return f"{day} {clock}{f':{at:%S}' if at.second else ''} {name}"
