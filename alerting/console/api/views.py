"""Responses and request bodies of the API: a contract with programs, so written out. Times in their
sentences are the plant's; fields keep instants in UTC.

Most responses are dataclasses: a text in them keeps its template until `translate_texts`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from operator import is_not
from typing import Any, Generic, Literal, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic.config import JsonDict
from pydantic_core import to_jsonable_python

from alerting.console.api.parameters import Instant, NameText, Short, SomeShort, Text
from alerting.console.rendering import address_of
from alerting.definitions.alert_definition import Severity
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import ENGLISH, Language, Translatable
from alerting.episodes.episode import (
    Condition,
    Contribution,
    Episode,
    Feedback,
    Outcome,
    OutcomeRecord,
    Phase,
    PresentAdvice,
    RecommendationResult,
    RecommendationTaken,
    Transition,
    Verdict,
)
from alerting.episodes.lifecycle import ReportedMiss
from alerting.episodes.mode_shares import ModeShare
from alerting.episodes.remaining_life import RemainingLife
from alerting.episodes.touched_production import TouchedProduction
from alerting.notifications.notification import Notification
from alerting.ports import Document, Platform, ReportHead
from alerting.readings.history import from_millis, to_millis
from alerting.reporting import sentences

Row = TypeVar("Row")
T = TypeVar("T")
_WITHOUT_TEXT = frozenset({type(None), str, bool, int, float, datetime, timedelta})
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


class ReasonBody(Body):
    """Why, for those who look at it later."""

    reason: Short = ""


class StatedReasonBody(Body):
    """Why; required, for those who look at it later."""

    reason: SomeShort


class View(BaseModel):
    """A response."""

    model_config = ConfigDict(ser_json_inf_nan="null")


def reader_of(platform: Platform) -> Language:
    """Return the language of answers: English, with the plant's clock."""
    return ENGLISH.with_clock(platform.zone)


def translate_texts(value: T, reader: Language) -> T:
    """Return a value with its texts in the words of a reader, at every depth of dataclasses, lists,
    tuples and mappings."""
    return cast(T, _translate_texts(value, reader))


def _translate_texts(value: Any, reader: Language) -> Any:
    kind = type(value)
    if kind in _WITHOUT_TEXT:
        return value
    if kind is Translatable:
        return reader.translate(value)
    if kind in (tuple, list):
        items = [_translate_texts(item, reader) for item in value]
        return kind(items) if _differ(items, value) else value
    if isinstance(value, Mapping):
        members = {key: _translate_texts(member, reader) for key, member in value.items()}
        return members if _differ(members.values(), value.values()) else value
    if not is_dataclass(kind):
        return value
    different = {}
    for name in _field_names(kind):
        before = getattr(value, name)
        after = _translate_texts(before, reader)
        if after is not before:
            different[name] = after
    return replace(value, **different) if different else value


def _differ(some: Iterable[Any], before: Iterable[Any]) -> bool:
    return any(map(is_not, some, before))


@cache
def _field_names(model: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(model) if field.init)


@dataclass(frozen=True, kw_only=True)
class EpisodeSummary:
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
    outcome: Outcome | None
    model_version: int | None
    backfilled: bool
    withdrawn: bool
    late_data_status: Literal["found_late", "refuted"] | None
    condition_started_at: datetime | None
    outcome_reason: str | None
    advice: str | None
    message: str

    @classmethod
    def from_domain(cls, episode: Episode, reader: Language) -> Self:
        """Return the summary of an episode in the words of a reader."""
        current = episode.current
        ended = episode.outcome_record
        advice = sentences.advice_shown(episode)
        summary = cls(
            id=episode.id,
            definition=episode.definition,
            revision=episode.revision,
            kind=episode.kind,
            asset=episode.asset,
            title=episode.title,
            severity=episode.severity,
            condition=episode.condition,
            phase=episode.phase,
            raised_at=episode.raised_at,
            detected_at=episode.detected_at,
            happening_at=episode.happening_at,
            prediction_ended_at=episode.prediction_ended_at,
            closed_at=episode.closed_at,
            value=current.value,
            threshold=current.threshold,
            reason=current.reason,
            outcome=ended.outcome if ended else None,
            model_version=episode.model_version,
            backfilled=episode.backfilled,
            withdrawn=episode.withdrawn,
            late_data_status=episode.late_data_status,
            condition_started_at=episode.condition_started_at,
            outcome_reason=ended.reason if ended else None,
            advice=advice.message if advice else None,
            message=sentences.message(episode, reader),
        )
        return translate_texts(summary, reader)


def summarise_episodes(episodes: Iterable[Episode], platform: Platform) -> list[EpisodeSummary]:
    """Return the summaries of episodes."""
    reader = reader_of(platform)
    return [EpisodeSummary.from_domain(episode, reader) for episode in episodes]


@dataclass(frozen=True, kw_only=True)
class EpisodeDetail(EpisodeSummary):
    """All details of one episode."""

    valid_until: datetime | None
    announced_until: datetime | None
    continues: str | None
    inputs: dict[str, Any]
    contributions: tuple[Contribution, ...]
    recommendation: RecommendationResult | None
    present: PresentAdvice | None
    modes: tuple[ModeShare, ...]
    remaining_life: RemainingLife | None
    guidance: dict[str, str]
    transitions: tuple[Transition, ...]
    feedback: tuple[Feedback, ...]
    outcome_record: OutcomeRecord | None
    notifications: tuple[Notification, ...]
    block: TouchedProduction | None


class RowPage(View, Generic[Row]):
    """Rows, newest first; `next` is the cursor of the page after this one, null on the last."""

    next: str | None
    items: list[Row]


def page_of(
    rows: Sequence[Row], limit: int, at: Callable[[Row], datetime]
) -> tuple[Sequence[Row], str | None]:
    """Return the rows of a page, and the cursor of the page after it, None on the last. `at`:
    returns the instant by which rows are sorted, then by `id`."""
    items = rows[:limit]
    return items, cursor_of(at(items[-1]), items[-1]) if len(rows) > limit else None


def cursor_of(at: datetime, row: Any) -> str:
    """Return the cursor of the page after a row: opaque to callers, without expiry."""
    return f"{to_millis(at)}_{row.id}"


class EpisodePage(RowPage[EpisodeSummary]):
    """Episodes, newest first; `next` is the cursor of the page after this one, null on the last."""


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


@dataclass(frozen=True, kw_only=True)
class ReportSummary:
    """A performance report; `definition` is null for the plant's, `url` is its page. `period`: its
    calendar period, null for an interval that a person chose; `at`: the instant of its
    point-in-time view."""

    id: str
    definition: str | None
    period: str | None
    unseen: bool
    start: datetime
    end: datetime
    trust: str
    headline: str
    sentences: tuple[str, ...]
    key_metrics: Mapping[str, str]
    at: datetime
    url: str

    @classmethod
    def from_domain(cls, head: ReportHead) -> "ReportSummary":
        """Return the summary of a report."""
        return ReportSummary(
            id=head.id,
            definition=head.definition,
            period=head.period,
            unseen=head.unseen,
            start=head.start,
            end=head.end,
            trust=head.trust,
            headline=head.headline,
            sentences=head.sentences,
            key_metrics=head.key_metrics,
            at=head.as_of,
            url=address_of(f"/api/v1/reports/{head.id}"),
        )


@dataclass(frozen=True, kw_only=True)
class ReportDetail(ReportSummary):
    """A report with all its metrics, and the names of its tables."""

    metrics: Document
    tables: list[str]


@dataclass(frozen=True, kw_only=True)
class TableView:
    """A table of a report: one object for each row, by column."""

    name: str
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]


class MissBody(Body):
    """A problem without an alert: "you should have told me"."""

    definition: NameText = Field(description="The definition that should have raised an alert.")
    asset: NameText = Field(description="The asset on which the problem happened.")
    at: Instant = Field(description="When the problem happened, or began.")
    comment: Text = Field("", description="What happened.")


@dataclass(frozen=True, kw_only=True)
class MissView:
    """A reported miss. `missed_at`: when the problem happened; `at`: when it was reported."""

    id: str
    definition: str
    asset: str
    missed_at: datetime
    comment: str
    actor: str
    at: datetime

    @classmethod
    def from_domain(cls, miss: ReportedMiss) -> Self:
        """Return the answer on a miss."""
        return cls(
            id=miss.id,
            definition=miss.definition,
            asset=miss.asset,
            missed_at=miss.missed_at,
            comment=miss.comment,
            actor=miss.actor,
            at=miss.at,
        )


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the position in a cursor that `cursor_of` wrote.

    Raises UserError for any other text.
    """
    try:
        millis, id = cursor.split("_")
        return from_millis(int(millis)), id
    except (ValueError, OverflowError) as fault:
        raise UserError(
            "cursor: not a cursor of this API; take it from `next` of the page before"
        ) from fault


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
