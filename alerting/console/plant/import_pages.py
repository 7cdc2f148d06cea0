"""Pages of imports: choose a file, see what was recognised, choose, write, follow the result."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Annotated
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from alerting.adapters.files.times.stamp_formats import FORMATS, ISO, ORDERS
from alerting.console.access import Engineer, Served, confirms, part_of_app
from alerting.console.api.parameters import Id
from alerting.console.plant.import_jobs import (
    MOST_BYTES,
    SHOWN_LINES,
    Choices,
    Fields,
    Import,
    Imports,
    read_stated,
    receive_form,
)
from alerting.console.rendering import FormEngineer, render, zone_of
from alerting.definitions.faults import NotFound, UserError, legible, storable
from alerting.definitions.file_form import FORM_FIELDS, FileForm, read_form
from alerting.definitions.form_fields import BY_COLUMN
from alerting.definitions.wording.fault_messages import fault_of
from alerting.definitions.wording.language import ENGLISH
from alerting.ports import EventRow
from alerting.usecases.explain import LONGEST_SELECTED
from alerting.usecases.ingestion.tables import name_options

pages = APIRouter(include_in_schema=False)
MOST_OFFERED = 500
LONGEST_LINE = 200  # characters shown of a line of the file
_LISTS = frozenset({"title", "before", "name", "column_type"})
LABELS: Mapping[str, str] = {
    "what": "What the lines are",
    **{name: field.label for name, field in FORM_FIELDS.items() if field.kind not in BY_COLUMN},
    "duration": "Duration of new types",
    "skip_bad": "Bad lines",
    "take_back": "What becomes of the lines",
}
"""The choices, in their order."""
_FIRST = frozenset({"what"}) | {name for name, field in FORM_FIELDS.items() if field.is_first}
"""Choices that are offered at once; the others after a tap, unless a refusal asks for them."""
_OF_EVENTS = frozenset({"duration"}) | {
    name for name, field in FORM_FIELDS.items() if "readings" not in field.what
}
"""Choices of a file of events alone, at once."""
_OPTIONS: Mapping[str, str] = {
    **{field.option: name for name, field in FORM_FIELDS.items() if name in LABELS},
    "--skip-bad": "skip_bad",
    "--take-back": "take_back",
    "--lasting": "duration",
    "--instant": "duration",
}
"""The choice that does what an option of the command does, which messages of the import name."""
_OF_COLUMNS = [f.option for f in FORM_FIELDS.values() if f.kind in BY_COLUMN]
_OPTION = re.compile(r"--[a-z][a-z-]*")
_NAMES = {f.option: f"“{f.label}”" for f in FORM_FIELDS.values()} | {
    option: f"“{LABELS[choice]}”" for option, choice in _OPTIONS.items()
}
_FIXED: Mapping[str, Sequence[tuple[str, str]]] = {
    "what": (
        ("", "as recognised"),
        ("readings", "readings"),
        ("events", "events"),
    ),
    "duration": (
        ("", "lasting if there are ends, else instant"),
        ("lasting", "lasting"),
        ("instant", "instant"),
    ),
    "take_back": (
        ("", "store them"),
        ("yes", "remove those that are stored exactly so"),
    ),
    "duplicates": (
        ("refuse", "refuse them if their values differ"),
        ("last", "the last value counts"),
        ("mean", "the mean counts"),
    ),
    "skip_bad": (("", "refuse the file"), ("yes", "leave them out")),
    "is_wide": (("", "as recognised"), ("yes", "one column for each variable")),
}
_NAMING = (
    *("asset_column", "type_column", "end_column", "variable_column", "value_column"),
    *("quality", "only"),
)
"""Choices that name a column."""


async def read_choices(request: Request) -> Choices:
    """Return the choices of a form. Raises HTTPException 422 for what is none."""
    form = await request.form()
    fields = {
        key: form.getlist(key) if key in _LISTS else form[key]
        for key in form
        if form[key] or key in _LISTS
    }
    if "tapped_line" in fields:
        fields["header_line"] = fields.pop("tapped_line")
    try:
        return Choices.model_validate(fields | {"stated": read_stated(fields)})
    except ValidationError as fault:
        faults = map(fault_of, fault.errors()[:5])
        message = "; ".join(f.message if f.path == "stated" else str(f) for f in faults)
        raise HTTPException(422, name_options(message, _NAMES)) from fault


TheImports = Annotated[
    Imports, Depends(part_of_app("import_files", "this server takes no imports"))
]


@pages.get("/import", response_class=HTMLResponse)
def start_page(request: Request, platform: Served, _: Engineer, imports: TheImports) -> str:
    """Return the page to choose a file, with the imports of the last day."""
    return _start_page(request, platform, imports)


@pages.post("/import", response_class=HTMLResponse)
async def send_file(
    request: Request, platform: Served, person: Engineer, imports: TheImports
) -> Response:
    """Take a file from the form, and lead to what is recognised in it."""
    admitted: list[Import] = []
    typed: Fields = {}

    def admit(fields: Fields, name: str) -> Path:
        if not confirms(person, fields.get("csrf", "")) or person.device is not None:
            raise HTTPException(
                403, "this form belongs to another session; open the page again and repeat"
            )
        size = int(request.headers.get("content-length", "0"))
        try:
            stated = {"stated": read_stated(fields), "what": fields.get("what") or None}
            choices = Choices.model_validate(stated)
        except ValidationError as fault:
            raise UserError("the form is not one of this page") from fault
        admitted.append(imports.admit(name, person.name, size, choices))
        return admitted[0].file

    try:
        await receive_form(request, typed, admit, imports.require_space)
        await run_in_threadpool(imports.check, platform, admitted[0], admitted[0].choices)
    except BaseException as fault:
        for job in admitted:
            await run_in_threadpool(imports.remove, job)
        is_full = isinstance(fault, HTTPException) and fault.status_code == 429
        if not is_full and not isinstance(fault, UserError):
            raise
        why = fault.message if isinstance(fault, UserError) else fault.detail  # type: ignore[attr-defined]
        page = await run_in_threadpool(_start_page, request, platform, imports, why, typed)
        headers = {"retry-after": "60"} if is_full else None
        return HTMLResponse(page, 429 if is_full else 422, headers)
    return await run_in_threadpool(_go_to, admitted[0])


@pages.get("/import/{id}", response_class=HTMLResponse)
def import_page(
    id: Id, request: Request, platform: Served, _: Engineer, imports: TheImports
) -> str:
    """Return the page of an import."""
    return _import_page(request, platform, imports.find(id))


@pages.get("/import/{id}/rejects", response_class=FileResponse)
def send_rejects(id: Id, _: Engineer, imports: TheImports) -> FileResponse:
    """Send the bad lines that an import left out, with their reasons, as CSV."""
    job = imports.find(id)
    if not job.rejects.exists():
        raise NotFound("this import rejected no line")
    return FileResponse(job.rejects, media_type="text/csv", filename=f"rejects-{job.id}.csv")


@pages.post("/import/{id}/check", response_class=HTMLResponse)
def check_again(
    id: Id,
    request: Request,
    platform: Served,
    _: FormEngineer,
    imports: TheImports,
    choices: Annotated[Choices, Depends(read_choices)],
) -> Response:
    """Check the file again with the choices of the form."""
    job = imports.find(id)
    return _begin(request, platform, job, partial(imports.check, platform, job, choices))


@pages.post("/import/{id}/take-back", response_class=HTMLResponse)
def take_back(
    id: Id, request: Request, platform: Served, _: FormEngineer, imports: TheImports
) -> Response:
    """Check which lines of an imported file are stored, before they are removed. After the removal,
    check how the file is imported correctly."""
    job = imports.find(id)
    choices = job.choices.model_copy(update={"take_back": not job.choices.take_back})
    return _begin(request, platform, job, partial(imports.check, platform, job, choices))


@pages.post("/import/{id}/write", response_class=HTMLResponse)
def write_file(
    id: Id, request: Request, platform: Served, person: FormEngineer, imports: TheImports
) -> Response:
    """Begin to write the lines of a file, or to remove them."""
    job = imports.find(id)
    return _begin(request, platform, job, partial(imports.write, platform, job, person.name))


@pages.post("/import/{id}/delete", response_class=HTMLResponse)
def delete_import(id: Id, _: FormEngineer, imports: TheImports) -> RedirectResponse:
    """Delete an import; one under way stops."""
    imports.remove(imports.find(id))
    return RedirectResponse("/import", 303)


def _begin(request: Request, platform: Served, job: Import, act: Callable[[], None]) -> Response:
    """Begin work on a file, and lead to its page, which says why if it cannot begin."""
    try:
        act()
    except UserError as fault:
        return HTMLResponse(_import_page(request, platform, job, fault.message), 422)
    return _go_to(job)


def _go_to(job: Import) -> RedirectResponse:
    """Return a redirect to the page of an import, after a moment in which short work ends."""
    job.over.wait(1)
    return RedirectResponse(f"/import/{job.id}", 303)


def _start_page(
    request: Request,
    platform: Served,
    imports: Imports,
    refusal: str = "",
    typed: Fields | None = None,
) -> str:
    """Return the page to choose a file. `typed`: the fields of a form that was refused."""
    names = sorted(asset.name for asset in platform.assets.all())
    return render(
        "import.html",
        request,
        found=imports.all(),
        assets=names[:MOST_OFFERED],
        most_gib=MOST_BYTES >> 30,
        refusal=refusal,
        typed={name: (typed or {}).get(name, "") for name in ("what", "asset")},
    )


def _import_page(request: Request, platform: Served, job: Import, refusal: str = "") -> str:
    zone = zone_of(request)
    understood = job.checked.understood if job.checked else None
    messages = " ".join([job.fault, *(understood.notes if understood else ())])
    if job.note:
        messages = messages.replace(job.note, "")
    requested = {_OPTIONS[option] for option in _OPTION.findall(messages) if option in _OPTIONS}
    is_event = job.choices.what == "events" or isinstance(next(iter(job.rows), None), EventRow)
    first = (
        _FIRST | requested | job.choices.stated.keys() | (_OF_EVENTS if is_event else frozenset())
    )

    def show(text: str) -> str:
        english = ENGLISH.with_clock(zone).translate(text)
        return name_options(storable(english.replace(str(job.file), job.name)), _NAMES)

    def local(instant: datetime) -> str:
        return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")

    def exact(value: object) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value:.15g}" if is_number else str(value)[:200]

    headline, *details = show(job.fault).split("\n")
    return render(
        "import_job.html",
        request,
        job=job,
        u=understood,
        rows=job.rows,
        lines=_mark_lines(job.lines, understood.form if understood else job.head),
        columns_asked=[*job.titles] if any(option in messages for option in _OF_COLUMNS) else [],
        hints={name: field.hint for name, field in FORM_FIELDS.items()},
        labels=LABELS,
        first_choices=[f for f in LABELS if f in first],
        other_choices=[f for f in LABELS if f not in first | _OF_EVENTS],
        asked=requested,
        chosen_values=job.choices.texts(),
        stated=read_form(job.choices.stated),
        options=_options(job),
        offered=_names_to_offer(job, platform),
        fault=headline,
        is_event=is_event,
        has_file=job.file.exists(),
        fault_details=[line.strip().removeprefix("- ") for line in details],
        show=show,
        columns_shown=100,
        drawn=_find_shown_data(job),
        local=local,
        exact=exact,
        refusal=refusal,
    )


def _mark_lines(lines: Sequence[str], form: FileForm) -> list[dict[str, object]]:
    """Return the first lines of a file, cut, each with what it was taken for; an empty text if
    nobody knows."""
    first = form.first_line
    last = SHOWN_LINES if first is None else max(SHOWN_LINES, first + 2)
    marked = []
    for number, text in enumerate(lines[:last], 1):
        mark = "" if first is None else "not read"
        if number in form.title_lines:
            mark = "titles"
        elif number == form.unit_line:
            mark = "units"
        elif first is not None and number >= first and text.strip():
            mark = "row"
        shown = legible(text.expandtabs(4), LONGEST_LINE)
        marked.append({"number": number, "text": shown, "mark": mark})
    return marked


def _options(job: Import) -> dict[str, list[tuple[str, str]]]:
    """Return the options of each choice from a list: its value and text. An option that a refusal
    names, or that was chosen, comes first."""
    lists = {
        **({"sheet": job.sheets} if job.sheets else {}),
        "zone": _zones(),
        "time_format": _formats(),
        "separator": (";", ",", "tab", "|"),
        "encoding": ("utf-8", "cp1252", "iso-8859-15", "utf-16"),
        **{name: field.values for name, field in FORM_FIELDS.items() if field.values},
    }
    chosen = job.choices.stated
    options = {}
    for field, values in lists.items():
        named = [value for value in values if value in job.fault]
        ordered = dict.fromkeys([*named, *chosen.get(field, ()), *values])
        options[field] = [("", "as recognised"), *((value, value) for value in ordered)]
    return options | {field: [*fixed] for field, fixed in _FIXED.items()}


def _names_to_offer(job: Import, platform: Served) -> dict[str, list[str]]:
    """Return, by field, the names offered while a person types."""
    understood = job.checked.understood if job.checked else None
    columns = [column.title for column in understood.columns] if understood else [*job.titles]
    offered = {
        **dict.fromkeys(_NAMING, columns),
        "time": [*([understood.form.time or ""] if understood else []), *columns],
        "asset": sorted(asset.name for asset in platform.assets.all()),
        "event_type": [type.name for type in platform.assets.event_types()],
    }
    return {field: names[:MOST_OFFERED] for field, names in offered.items()}


def _find_shown_data(job: Import) -> tuple[str, list[str], str, str]:
    """Return the asset, the variables, and the start and end of at most a year, for the link to the
    data."""
    result = job.result
    if result is None or result.first is None or result.last is None:
        return "", [], "", ""
    numbers = [name for name, kind in result.variables.items() if kind == "number"]
    end = result.last + timedelta(minutes=1)  # which shows the last reading, too
    start = max(result.first, end - LONGEST_SELECTED)
    names = (numbers or [*result.variables])[:4]
    return (result.assets or ("",))[0], names, start.isoformat(), end.isoformat()


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(name for name in available_timezones() if "/" in name or name == "UTC"))


@cache
def _formats() -> tuple[str, ...]:
    orders = [order.name for pair in ORDERS.values() for order in pair]
    return tuple(dict.fromkeys([ISO, *(known_format.name for known_format in FORMATS), *orders]))
