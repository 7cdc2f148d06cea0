"""Pages of imports: choose a file, see what was recognised, choose, write, follow the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import ValidationError

from alerting.adapters.files.stamps.formats import FORMATS, ISO, ORDERS
from alerting.console.access import Person, confirms
from alerting.console.api.api import Engineer
from alerting.console.api.parameters import FormField, FormText, Id
from alerting.console.imports.import_answers import (
    LABELS,
    ChoicesBody,
    ImportView,
    asked_choices,
    name_choices,
)
from alerting.console.imports.import_api import CSV, OwnImports
from alerting.console.imports.receiving import Fields, receive_form
from alerting.console.language import language_of
from alerting.console.web.forms import submitted_by
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.fault_messages import fault_of
from alerting.definitions.wording.language import Language, translatable
from alerting.ports import ImportChoices, ImportJob
from alerting.usecases.explain.selected import LONGEST_SELECTED
from alerting.usecases.ingestion.upload_descriptions import text_from_document
from alerting.usecases.ingestion.uploads import MOST_BYTES, list_imports

pages = APIRouter(include_in_schema=False)
FormEngineer = Annotated[Person, Depends(submitted_by("configure"))]
SEVERAL = Annotated[list[str], Form(max_length=200)]
MOST_OFFERED = 500
COLUMNS_SHOWN = 100
VARIABLES_DRAWN = 4
_OTHER_SESSION = translatable(
    "this form belongs to another session; open the page again and repeat"
)
FIRST = ("what", "asset", "zone", "time_format", "time")
"""Choices that are offered at once; the others after a tap, unless a refusal asks for them."""
OTHERS = (
    "asset_column",
    "separator",
    "decimal",
    "encoding",
    "missing",
    "duplicates",
    "skip_bad",
    "take_back",
)
OF_EVENTS = ("event_type", "type_column", "end_column", "duration")
"""Choices of a file of events alone."""
CHOICES = (*FIRST, *OF_EVENTS, *OTHERS)
WHAT: Mapping[str, Literal["readings", "events"]] = {"readings": "readings", "events": "events"}


@pages.get("/import", response_class=HTMLResponse)
def start_page(request: Request, imports: OwnImports) -> str:
    """Return the page to choose a file, with the imports of the last day."""
    return _start_page(request, imports)


@pages.post("/import", response_class=HTMLResponse)
async def send_file(request: Request, person: Engineer, imports: OwnImports) -> Response:
    """Take a file from the form, and lead to what is recognised in it."""
    admitted: list[ImportJob] = []
    typed: Fields = {}

    def admit(fields: Fields, name: str) -> Path:
        if not confirms(person, fields.get("csrf", "")) or person.device is not None:
            raise HTTPException(403, _OTHER_SESSION)
        asset = fields.get("asset", "").strip()[:200] or None
        what = WHAT.get(fields.get("what", ""))
        size = int(request.headers.get("content-length", "0"))
        admitted.append(imports.admit(name, size, ImportChoices(asset=asset, what=what)))
        return imports.files.file(admitted[0].id)

    try:
        await receive_form(request, typed, admit, imports.require_space)
        job = await run_in_threadpool(imports.check, admitted[0], admitted[0].choices)
    except BaseException as fault:
        for job in admitted:
            await run_in_threadpool(imports.abandon, job)
        if isinstance(fault, UserError):
            page = await run_in_threadpool(_start_page, request, imports, fault.message, typed)
            return HTMLResponse(page, 422)
        if isinstance(fault, HTTPException) and fault.status_code == 429:
            page = await run_in_threadpool(_start_page, request, imports, fault.detail, typed)
            return HTMLResponse(page, 429, fault.headers)
        raise
    return _to(job)


@pages.get("/import/{id}", response_class=HTMLResponse)
def import_page(id: Id, request: Request, imports: OwnImports) -> str:
    """Return the page of an import."""
    return _import_page(request, imports, id)


@pages.get("/import/{id}/rejects", response_class=StreamingResponse)
def send_rejects(id: Id, request: Request, imports: OwnImports) -> StreamingResponse:
    """Send the bad lines that an import left out, with the reasons in the reader's language."""
    files = imports.files
    job = imports.find(id)
    if not files.rejects_file(job.id).exists():
        raise NotFound(translatable("this import rejected no line"))
    language = language_of(request)
    name = f"rejects-{job.id}.csv"
    return StreamingResponse(
        files.translated_rejects(job.id, language),
        media_type=CSV,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@pages.post("/import/{id}/check", response_class=HTMLResponse)
def check_again(
    id: Id,
    request: Request,
    imports: OwnImports,
    _: FormEngineer,
    asset: FormField = "",
    asset_column: FormField = "",
    time: FormField = "",
    time_format: FormField = "",
    zone: FormField = "",
    separator: FormField = "",
    decimal: FormField = "",
    encoding: FormField = "",
    missing: FormText = "",
    duplicates: FormField = "refuse",
    skip_bad: FormField = "",
    what: FormField = "",
    event_type: FormField = "",
    type_column: FormField = "",
    end_column: FormField = "",
    duration: FormField = "",
    take_back: FormField = "",
    title: SEVERAL = [],  # noqa: B006 - FastAPI copies it
    name: SEVERAL = [],  # noqa: B006
    before: SEVERAL = [],  # noqa: B006
) -> Response:
    """Check the file again with the choices of the form."""
    given = {
        "asset": asset, "asset_column": asset_column, "time": time, "time_format": time_format,
        "zone": zone, "separator": separator, "decimal": decimal, "encoding": encoding,
        "duplicates": duplicates, "what": what, "event_type": event_type,
        "type_column": type_column, "end_column": end_column, "duration": duration,
    }  # fmt: skip
    job = imports.find(id)
    try:
        body = ChoicesBody.model_validate(
            {
                **{key: value for key, value in given.items() if value.strip()},
                "rename": dict(job.choices.rename) | _renamed(title, name, before),
                "only": job.choices.only,
                "missing": [line.strip() for line in missing.splitlines() if line.strip()],
                "skip_bad": skip_bad == "yes",
                "take_back": take_back == "yes",
            }
        )
        imports.check(job, body.choices())
    except ValidationError as fault:
        refusal = "; ".join(str(fault_of(error)) for error in fault.errors()[:5])
        return HTMLResponse(_import_page(request, imports, id, refusal), 422)
    except UserError as fault:
        return HTMLResponse(_import_page(request, imports, id, fault.message), 422)
    return _to(job)


@pages.post("/import/{id}/write", response_class=HTMLResponse)
def write_file(id: Id, request: Request, imports: OwnImports, _: FormEngineer) -> Response:
    """Begin to write the readings of a file, or go on."""
    try:
        return _to(imports.write(id))
    except UserError as fault:
        return HTMLResponse(_import_page(request, imports, id, fault.message), 422)


@pages.post("/import/{id}/take-back", response_class=HTMLResponse)
def take_back(id: Id, request: Request, imports: OwnImports, _: FormEngineer) -> Response:
    """Check which lines of an imported file are stored, before they are removed."""
    return _check_again(id, request, imports, take_back=True)


@pages.post("/import/{id}/read-again", response_class=HTMLResponse)
def read_again(id: Id, request: Request, imports: OwnImports, _: FormEngineer) -> Response:
    """Check a file whose lines were removed, to import it rightly."""
    return _check_again(id, request, imports, take_back=False)


def _check_again(id: str, request: Request, imports: OwnImports, *, take_back: bool) -> Response:
    job = imports.find(id)
    try:
        return _to(imports.check(job, replace(job.choices, take_back=take_back)))
    except UserError as fault:
        return HTMLResponse(_import_page(request, imports, id, fault.message), 422)


@pages.post("/import/{id}/delete", response_class=HTMLResponse)
def delete_import(id: Id, imports: OwnImports, _: FormEngineer) -> RedirectResponse:
    """Delete an import; one under way stops."""
    imports.remove(id)
    return RedirectResponse("/import", 303)


def _to(job: ImportJob) -> RedirectResponse:
    return RedirectResponse(f"/import/{job.id}", 303)


def _renamed(titles: Sequence[str], names: Sequence[str], before: Sequence[str]) -> dict[str, str]:
    """Return the names that a person changed, by title."""
    rows = zip(titles, names, before, strict=False)
    return {title: name.strip() for title, name, old in rows if name.strip() not in ("", old)}


def _start_page(
    request: Request, imports: OwnImports, refusal: str = "", typed: Mapping[str, str] | None = None
) -> str:
    """Return the page to choose a file. `typed`: the fields of a form that was refused."""
    typed = typed or {}
    names = sorted(asset.name for asset in imports.platform.assets.all())
    return render(
        "import.html",
        request,
        found=[imports.view(job) for job in list_imports(imports.jobs)],
        assets=names[:MOST_OFFERED],
        only_these=not imports.may_add_assets,
        most_gib=MOST_BYTES >> 30,
        refusal=refusal,
        typed={name: typed.get(name, "") for name in ("what", "asset")},
    )


def _import_page(request: Request, imports: OwnImports, id: str, refusal: str = "") -> str:
    job = imports.find(id)
    view = imports.view(job)
    zone = zone_of(request)
    language = language_of(request)
    notes = view.understood.notes if view.understood else []
    asked = asked_choices(job.fault) | asked_choices(" ".join(notes))
    labels = {field: language.say("“{name}”", name=label) for field, label in LABELS.items()}

    def show(english: str, document: Mapping[str, Any] | None) -> str:
        text = language.translate(text_from_document(document, english))
        return name_choices(text, labels)

    def show_all(english: Sequence[str], documents: Sequence[Any] | None) -> list[str]:
        return [show(*pair) for pair in zip_longest(english, (documents or ())[: len(english)])]

    def local(instant: datetime) -> str:
        return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")

    def exact(value: object) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return language.digits(f"{value:.15g}") if is_number else str(value)

    is_event = (view.understood.what if view.understood else view.choices.what) == "events"
    first = (*FIRST, *OF_EVENTS) if is_event else FIRST
    headline, *details = show(job.fault or "", job.fault_text).split("\n")
    understood = job.understood or {}
    columns = understood.get("columns", ())
    return render(
        "import_job.html",
        request,
        job=view,
        labels=LABELS,
        first_choices=[f for f in CHOICES if f in asked or f in first],
        other_choices=[f for f in OTHERS if f not in asked],
        asked=asked,
        options=_options(view, job.fault or "", language),
        offered=_offered(view, imports),
        fault=headline,
        is_event=is_event,
        has_file=imports.files.has_file(id),
        fault_details=[line.strip().removeprefix("- ") for line in details],
        notes=show_all(notes, understood.get("note_texts")),
        first_bad={c["title"]: show_all(c["first_bad"], c.get("first_bad_texts")) for c in columns},
        columns_shown=COLUMNS_SHOWN,
        drawn=_drawn(view),
        local=local,
        exact=exact,
        now=datetime.now(UTC),
        refusal=refusal,
    )


def _options(view: ImportView, fault: str, language: Language) -> dict[str, list[tuple[str, str]]]:
    """Return the options of each choice from a list: its value and text; what a refusal names, or
    was chosen, is first."""
    form = dict(view.understood.form) if view.understood else {}
    say: Callable[[str], str] = language.translate
    detected = say(translatable("as recognised"))

    def offer(field: str, found: str | None, values: Sequence[str]) -> list[tuple[str, str]]:
        chosen = getattr(view.choices, field)
        usual = ("", detected if chosen or not found else f"{found} ({detected})")
        named = [value for value in values if value in fault]
        rest = [value for value in values if value not in named]
        ordered = [*named, *([chosen] if chosen and chosen not in named else []), *rest]
        return [usual, *((value, value) for value in dict.fromkeys(ordered))]

    return {
        "zone": offer("zone", form.get("zone"), _zones()),
        "time_format": offer("time_format", form.get("time_format"), _formats()),
        "separator": offer("separator", form.get("separator"), (";", ",", "tab", "|")),
        "decimal": offer("decimal", form.get("decimal"), (".", ",")),
        "encoding": offer(
            "encoding", form.get("encoding"), ("utf-8", "cp1252", "iso-8859-15", "utf-16")
        ),
        "what": [
            ("", say(translatable("as recognised"))),
            ("readings", say(translatable("readings"))),
            ("events", say(translatable("events"))),
        ],
        "duration": [
            ("", say(translatable("lasting if there are ends, else instant"))),
            ("lasting", say(translatable("lasting"))),
            ("instant", say(translatable("instant"))),
        ],
        "take_back": [
            ("", say(translatable("store them"))),
            ("yes", say(translatable("remove those that are stored exactly so"))),
        ],
        "duplicates": [
            ("refuse", say(translatable("refuse them if their values differ"))),
            ("last", say(translatable("the last value counts"))),
            ("mean", say(translatable("the mean counts"))),
        ],
        "skip_bad": [
            ("", say(translatable("refuse the file"))),
            ("yes", say(translatable("leave them out"))),
        ],
    }


def _offered(view: ImportView, imports: OwnImports) -> dict[str, list[str]]:
    """Return what is offered while a name is typed."""
    columns = [column.title for column in view.understood.columns] if view.understood else []
    times = list(view.understood.form.time_columns) if view.understood else []
    assets = sorted(asset.name for asset in imports.platform.assets.all())
    return {
        "asset": assets[:MOST_OFFERED],
        "asset_column": columns[:MOST_OFFERED],
        "time": [*times, *columns][:MOST_OFFERED],
        "type_column": columns[:MOST_OFFERED],
        "end_column": columns[:MOST_OFFERED],
        "event_type": [one.name for one in imports.platform.assets.event_types()][:MOST_OFFERED],
    }


def _drawn(view: ImportView) -> tuple[str, list[str], str, str]:
    """Return the asset, the variables and the time, at most a year, that the link to the data
    shows."""
    result = view.result
    if result is None or result.first is None or result.last is None:
        return "", [], "", ""
    numbers = [name for name, kind in result.variables.items() if kind == "number"]
    end = result.last + timedelta(minutes=1)  # which shows the last reading, too
    start = max(result.first, end - LONGEST_SELECTED)
    names = (numbers or [*result.variables])[:VARIABLES_DRAWN]
    return (result.assets or [""])[0], names, start.isoformat(), end.isoformat()


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(name for name in available_timezones() if "/" in name or name == "UTC"))


@cache
def _formats() -> tuple[str, ...]:
    orders = [one.name for both in ORDERS.values() for one in both]
    return tuple(dict.fromkeys([ISO, *(found.name for found in FORMATS), *orders]))
