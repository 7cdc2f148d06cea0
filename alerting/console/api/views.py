"""Responses and request bodies of the API: a contract with programs, so written out. Times in their
sentences are the plant's; fields keep instants in UTC."""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import cache
from inspect import getattr_static
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StrictBool,
    create_model,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import core_schema, to_jsonable_python

from alerting.console.api.parameters import Instant, NameText, Short, SomeShort, Text
from alerting.console.rendering import address_of
from alerting.definitions.faults import UserError
from alerting.episodes.episode import Episode, RecommendationTaken, Verdict
from alerting.episodes.lifecycle import ReportedMiss
from alerting.episodes.touched_production import TouchedProduction
from alerting.notifications.notification import Notification
from alerting.ports import Document, ReportContent, ReportHead
from alerting.readings.history import from_millis, to_millis
from alerting.reporting import sentences
from alerting.reporting.estimates import Table
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


class ReasonBody(Body):
    """Why, for those who look at it later."""

    reason: Short = ""


class StatedReasonBody(Body):
    """Why; required, for those who look at it later."""

    reason: SomeShort


class View(BaseModel):
    """A response."""

    model_config = ConfigDict(ser_json_inf_nan="null", from_attributes=True)


class ShownAs:
    """The fields of a domain value in answers, as metadata of its type: an `Annotated[Miss,
    ShownAs("MissView", "A missed problem.", "id asset.title")]` is answered as `{"id", "title"}`.

    `fields`: paths of attributes, whose last names are those of the fields; null where a part of
    the path is None. `more`: fields by other paths, or by their type with a path or a function of
    the value. Types and names follow from the domain class, so that both change together.
    """

    def __init__(
        self,
        name: str,
        description: str,
        fields: str = "",
        /,
        **more: str | tuple[Any, str | Callable[[Any], Any]],
    ) -> None:
        self.name = name
        self._description = description
        paths = {path.rpartition(".")[2]: path for path in fields.split()}
        self._fields: dict[str, Any] = {**paths, **more}
        self._model: type[View] | None = None
        self._sources: dict[str, str | Callable[[Any], Any]] = {}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        if self._model is None:  # once, so that all operations refer to the same schema
            types: dict[str, Any] = {}
            for name, field in self._fields.items():
                typed = field if isinstance(field, tuple) else (_type_at(source, field), field)
                types[name] = (typed[0], ...)
                self._sources[name] = typed[1]
            self._model = create_model(self.name, __base__=View, __doc__=self._description, **types)
        inner = handler.generate_schema(self._model)
        return core_schema.no_info_before_validator_function(self._values, inner)

    def _values(self, shown: Any) -> dict[str, Any]:
        return {
            name: _value_at(shown, field) if isinstance(field, str) else field(shown)
            for name, field in self._sources.items()
        }


def _value_at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def _type_at(model: Any, path: str) -> Any:
    """Return the type of an attribute or property at a path, with None if a part of it may be."""
    is_optional = False
    for name in path.split("."):
        parts = [model] if get_origin(model) not in (Union, UnionType) else [*get_args(model)]
        is_optional |= NoneType in parts
        owner = next(part for part in parts if part is not NoneType)
        found_in = getattr_static(get_origin(owner) or owner, name, None)
        hints = get_type_hints(found_in.fget if isinstance(found_in, property) else owner)
        model = hints["return" if isinstance(found_in, property) else name]
    return model | None if is_optional else model


def _advice(episode: Episode) -> str | None:
    advice = sentences.advice_shown(episode)
    return advice.message if advice else None


_SUMMARY = (
    "id definition revision kind asset title severity condition phase raised_at detected_at "
    "happening_at prediction_ended_at closed_at current.value current.threshold "
    "current.reason outcome_record.outcome model_version backfilled withdrawn late_data_status "
    "condition_started_at"
)
_DETAILS = (
    "valid_until announced_until continues inputs contributions recommendation present modes "
    "remaining_life guidance transitions feedback outcome_record"
)
EpisodeSummary = Annotated[
    Episode,
    ShownAs(
        "EpisodeSummary",
        "One episode as lists show it. `message`: the whole message in one line; `outcome` is null "
        "until it is determined.",
        _SUMMARY,
        outcome_reason="outcome_record.reason",
        advice=(str | None, _advice),
        message=(str, sentences.message),
    ),
]


class EpisodeWithMessages(NamedTuple):
    """An episode, the notifications of it, and the production that it touches."""

    episode: Episode
    notifications: tuple[Notification, ...]
    block: TouchedProduction | None


EpisodeDetail = Annotated[
    EpisodeWithMessages,
    ShownAs(
        "EpisodeDetail",
        "All details of one episode.",
        " ".join(f"episode.{path}" for path in f"{_SUMMARY} {_DETAILS}".split()),
        notifications="notifications",
        block="block",
        outcome_reason="episode.outcome_record.reason",
        advice=(str | None, lambda shown: _advice(shown.episode)),
        message=(str, lambda shown: sentences.message(shown.episode)),
    ),
]


Row = TypeVar("Row")


class RowPage(NamedTuple, Generic[Row]):
    """Rows, newest first; `next` is the cursor of the page after this one, None on the last."""

    items: Sequence[Row]
    next: str | None


def page_of(rows: Sequence[Row], limit: int, at: Callable[[Row], datetime]) -> RowPage[Row]:
    """Return the first rows. `at`: returns the instant by which rows are sorted, then by `id`."""
    items = rows[:limit]
    return RowPage(items, cursor_of(at(items[-1]), items[-1]) if len(rows) > limit else None)


def cursor_of(at: datetime, row: Any) -> str:
    """Return the cursor of the page after a row: opaque to callers, without expiry."""
    return f"{to_millis(at)}_{row.id}"


EpisodePage = Annotated[
    RowPage[Episode],
    ShownAs(
        "EpisodePage",
        "Episodes, newest first; `next` is the cursor of the page after this one, null on the "
        "last.",
        next=(str | None, "next"),
        items=(list[EpisodeSummary], "items"),
    ),
]


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


_REPORT = "id definition period unseen start end trust headline sentences key_metrics"
ReportSummary = Annotated[
    ReportHead,
    ShownAs(
        "ReportSummary",
        "A performance report; `definition` is null for the plant's, `url` is its page. `period`: "
        "its calendar period, null for an interval that a person chose; `at`: the instant of its "
        "point-in-time view.",
        _REPORT,
        at="as_of",
        url=(str, lambda head: address_of(f"/api/v1/reports/{head.id}")),
    ),
]


class StoredReport(NamedTuple):
    """A report and its content."""

    head: ReportHead
    content: ReportContent


ReportDetail = Annotated[
    StoredReport,
    ShownAs(
        "ReportDetail",
        "A report with all its metrics, and the names of its tables.",
        " ".join(f"head.{path}" for path in _REPORT.split()),
        at="head.as_of",
        url=(str, lambda report: address_of(f"/api/v1/reports/{report.head.id}")),
        metrics=(
            Document,
            lambda report: to_jsonable_python(
                report.content.metrics, fallback=str, inf_nan_mode="null"
            ),
        ),
        tables=(list[str], lambda report: list(report.content.tables)),
    ),
]


TableView = Annotated[
    Table,
    ShownAs(
        "TableView",
        "A table of a report: one object for each row, by column.",
        name=(str, "name"),
        columns=(list[str], "columns"),
        rows=(list[dict[str, Any]], lambda table: table.to_records()),
    ),
]


class MissBody(Body):
    """A problem without an alert: "you should have told me"."""

    definition: NameText = Field(description="The definition that should have raised an alert.")
    asset: NameText = Field(description="The asset on which the problem happened.")
    at: Instant = Field(description="When the problem happened, or began.")
    comment: Text = Field("", description="What happened.")


MissView = Annotated[
    ReportedMiss,
    ShownAs(
        "MissView",
        "A reported miss. `missed_at`: when the problem happened; `at`: when it was reported.",
        "id definition asset missed_at comment actor at",
    ),
]


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
