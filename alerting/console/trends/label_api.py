"""REST API, version 1: labels of times of an asset, as people draw them on its trend."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from alerting.console.api.api import MAY_CONFLICT, MAY_NAME_NOTHING, Engineer, Served, Viewer
from alerting.console.api.parameters import (
    Cursor,
    Id,
    Instant,
    NameQuery,
    NameText,
    Short,
    SomeShort,
)
from alerting.console.api.views import View, read_cursor
from alerting.readings.instants import to_millis
from alerting.readings.interval_labels import MOST_LABELLED_VARIABLES, LabelKind
from alerting.usecases.labels.overlay import (
    LabelPosition,
    list_labels,
    mark_interval,
    undo_label,
)

router = APIRouter(prefix="/api/v1", tags=["trends"])


class LabelBody(BaseModel):
    """A time to label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asset: NameText
    variables: Annotated[list[NameText], Field(max_length=MOST_LABELLED_VARIABLES)] = Field(
        [], description="Variables that are concerned; empty for all of the asset."
    )
    start: Instant = Field(description="First instant of the time.")
    end: Instant = Field(description="End of the time, which is not part of it; at most a year on.")
    kind: LabelKind = Field(
        description="bad: the values count as of bad quality. not_to_learn_from: no model learns "
        "from the time, or is measured by it."
    )
    reason: SomeShort = Field(description="Why, for those who look at this time later.")


class UndoBody(BaseModel):
    """Why a label is undone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Short = ""


class LabelView(View):
    """A label of a time. It is in force until `undone_at` (null while nobody has undone it)."""

    id: str
    asset: str
    variables: list[str]
    start: datetime
    end: datetime
    kind: LabelKind
    reason: str
    author: str
    made_at: datetime
    undone_at: datetime | None
    undone_by: str | None


class LabelPage(View):
    """Labels, those made last first; `next` is the cursor of the page after this one, null on the
    last."""

    items: list[LabelView]
    next: str | None


@router.get("/labels", operation_id="list_marks", openapi_extra=MAY_NAME_NOTHING)
def show_labels(
    platform: Served,
    _: Viewer,
    asset: NameQuery,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor | None = None,
) -> LabelPage:
    """List the labels of an asset, undone ones among them, page by page."""
    before = LabelPosition(*read_cursor(cursor)) if cursor else None
    found = list_labels(platform, asset, limit + 1, before)
    items = [LabelView.model_validate(one) for one in found[:limit]]
    last = items[-1] if len(found) > limit else None
    return LabelPage(items=items, next=last and f"{to_millis(last.made_at)}_{last.id}")


@router.post("/labels", openapi_extra=MAY_NAME_NOTHING | MAY_CONFLICT, operation_id="mark_time")
def label(body: LabelBody, platform: Served, person: Engineer) -> LabelView:
    """Label a time of an asset. Idempotent: the same label in force is returned as it is. Role:
    engineer."""
    made = mark_interval(
        platform,
        platform.audit,
        body.asset,
        body.variables,
        body.start,
        body.end,
        body.kind,
        body.reason,
        person.name,
        platform.clock.now(),
    )
    return LabelView.model_validate(made)


@router.post("/labels/{id}:undo", operation_id="undo_mark")
def undo(id: Id, platform: Served, person: Engineer, body: UndoBody | None = None) -> LabelView:
    """Undo a label; its document stays. Idempotent. Role: engineer."""
    reason = body.reason if body else ""
    undone = undo_label(platform, platform.audit, id, person.name, platform.clock.now(), reason)
    return LabelView.model_validate(undone)
