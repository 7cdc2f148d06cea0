"""Forms of a trend's page that mark a time, and undo a mark."""

from typing import Annotated, cast, get_args
from urllib.parse import parse_qs

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field

from alerting.console.api.api import Served
from alerting.console.api.parameters import NAME, FormField, Id
from alerting.console.trends.address import MOST_VARIABLES, Asked
from alerting.console.trends.marks import Typed
from alerting.console.trends.page import trend_page
from alerting.console.trends.shown_time import read_instant
from alerting.console.web.forms import FormEngineer
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.actions import NotAllowed
from alerting.readings.interval_labels import LabelKind
from alerting.usecases.labels.overlay import mark_interval, undo_label

pages = APIRouter(include_in_schema=False)
_PAGE = "/trends"
_ADDRESS = 4000
_FIELD = 200
Back = Annotated[str, Form(max_length=_ADDRESS)]
VariableFields = Annotated[
    list[Annotated[str, Field(max_length=NAME)]], Form(alias="variable", max_length=MOST_VARIABLES)
]


@pages.post("/trends/labels", response_class=HTMLResponse)
def mark(
    request: Request,
    platform: Served,
    person: FormEngineer,
    asset: FormField = "",
    variables: VariableFields = [],  # noqa: B006 - FastAPI copies it
    start: FormField = "",
    end: FormField = "",
    kind: FormField = "",
    whole: FormField = "",
    reason: FormField = "",
    back: Back = "",
) -> Response:
    """Mark a time, and go back to the trend; a refusal is shown on the same page."""
    typed = Typed(start, end, kind, bool(whole), reason)
    now = platform.clock.now()
    try:
        mark_interval(
            platform,
            platform.audit,
            asset,
            () if whole else variables,
            read_instant(request, start),
            read_instant(request, end),
            _kind(kind),
            reason,
            person.name,
            now,
        )
    except (NotFound, NotAllowed):
        raise
    except UserError as refusal:
        asked = _asked(back)._replace(asset=asset)
        return trend_page(request, platform, asked, typed._replace(refusal=refusal.message))
    return RedirectResponse(_address(back, asset), 303)


@pages.post("/trends/labels/{id}/undo", response_class=HTMLResponse)
def undo(
    id: Id, platform: Served, person: FormEngineer, reason: FormField = "", back: Back = ""
) -> Response:
    """Undo a mark, and go back to the trend."""
    undone = undo_label(
        platform, platform.audit, id, person.name, platform.clock.now(), reason.strip()
    )
    return RedirectResponse(_address(back, undone.asset), 303)


def _kind(text: str) -> LabelKind:
    if text not in get_args(LabelKind):
        raise UserError(translatable("choose what the mark means"))
    return cast(LabelKind, text)


def _address(back: str, asset: str) -> str:
    """Return the address of the trend from which a form was sent, rebuilt from its parameters."""
    return f"{_asked(back)._replace(asset=asset).address()}#marks"


def _asked(back: str) -> Asked:
    """Return what the address of a trend asks for."""
    given = parse_qs(back.partition("?")[2], max_num_fields=100)

    def field(name: str) -> str:
        return given.get(name, [""])[0][:_FIELD]

    return Asked(
        field("asset"),
        tuple(name[:NAME] for name in given.get("variable", ())[:MOST_VARIABLES]),
        *(field(name) for name in ("start", "end", "span", "find", "above", "below", "for")),
    )
