"""Options of commands; those of a file of rows are drawn from the fields of its form."""

import inspect
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alerting.definitions.faults import parse_duration
from alerting.definitions.file_form import (
    FORM_FIELDS,
    FileForm,
    FormFault,
    Stated,
    read_form,
    state_form,
)
from alerting.definitions.form_fields import FormField, as_texts
from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.cli.command import Output


def read_instant(text: str) -> datetime:
    """Return an ISO 8601 instant with zone. Raises a usage error (exit code 2)."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not an ISO 8601 time; write for example 2015-03-14T06:00Z"
        ) from error
    if value.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; add Z for UTC or an offset such as +01:00")
    return value.astimezone(UTC)


def read_duration(text: str) -> timedelta:
    """Return a duration such as `7d`. Raises a usage error."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


DefinitionName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a definition.")]
Start = Annotated[
    datetime | None,
    typer.Option("--from", parser=read_instant, help="Start, ISO 8601 with zone.", metavar="TIME"),
]
End = Annotated[
    datetime | None,
    typer.Option("--to", parser=read_instant, help="End, ISO 8601 with zone.", metavar="TIME"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan without applying it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


File = Annotated[
    Path,
    typer.Argument(
        help="CSV, also as .gz, .zst or .zip; a workbook such as .xlsx or .ods; Parquet.",
        metavar="FILE",
        readable=False,  # the reader says it, as of every file that cannot be read
    ),
]
Delay = Annotated[
    timedelta | None,
    typer.Option(
        "--delay",
        parser=read_duration,
        help="Time from the start of an event, and from its end, until it is known, e.g. 14d for "
        "complaints; it is stored with the type.",
        metavar="DURATION",
    ),
]
Afresh = Annotated[
    bool,
    typer.Option(
        "--afresh", help="Do not use the options with which the last file of this form was read."
    ),
]
TakeBack = Annotated[
    bool,
    typer.Option(
        "--take-back",
        help=(
            "Remove what is stored exactly as the lines of the file, instead of storing them: give "
            "the options of the import that was wrong. Try it with --dry-run."
        ),
    ),
]
CheckOnly = Annotated[
    bool,
    typer.Option("--dry-run", help="Check the file, print what was decided, and write nothing."),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad", help="Import the good lines, and write the bad ones to a rejects file."
    ),
]
Rejects = Annotated[
    Path | None,
    typer.Option(
        "--rejects", help="The rejects file; FILE.rejects.csv when left out.", metavar="FILE"
    ),
]
Lasting = Annotated[
    bool | None,
    typer.Option(
        "--lasting/--instant",
        help="Lasting events go on until their end is known, instant ones have none. Left out: as "
        "these types are stored already, else lasting if there is a column of ends.",
        show_default=False,
    ),
]


_TYPES: Mapping[str, Any] = {"line": int | None, "switch": bool} | dict.fromkeys(
    ("names", "texts", "by_title", "types"), list[str] | None
)
_REPEATED = {
    "names": " Separated by commas.",
    "texts": " May be repeated.",
    "by_title": " May be repeated.",
    "types": " As 'title=category'; may be repeated.",
}


def form_option(name: str, field: FormField) -> inspect.Parameter:
    """Return the option of a command that states a field of a file form."""
    shown: dict[str, Any] = {} if field.kind in ("choice", "switch") else {"metavar": field.metavar}
    shown |= {"min": 0} if field.kind == "line" else {}
    of_choice: Any = Literal[field.values or ("",)]
    kind = of_choice | None if field.kind == "choice" else _TYPES.get(field.kind, str | None)
    option = typer.Option(field.option, help=field.help + _REPEATED.get(field.kind, ""), **shown)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if field.kind == "switch" else None,
        annotation=Annotated[kind, option],
    )


def states_form(*chosen: str) -> "Callable[[Callable[..., Output]], Callable[..., Output]]":
    """Give a command an option for each chosen field of a file form, by its name or by the rows
    that have it, in place of its parameter `stated`, which takes their texts. Texts that state no
    value are a usage error."""
    options = [
        form_option(name, field)
        for name, field in FORM_FIELDS.items()
        if {name, *field.what} & {*chosen}
    ]

    def decorate(function: "Callable[..., Output]") -> "Callable[..., Output]":
        @wraps(function)
        def run(**values: Any) -> "Output":
            texts = {option.name: as_texts(values.pop(option.name)) for option in options}
            try:
                stated = state_form(read_form(texts))
            except FormFault as fault:
                hint = ", ".join(option for option, _ in fault.faults)
                why = "; ".join(why for _, why in fault.faults)
                raise typer.BadParameter(why, param_hint=hint) from fault
            return function(stated=stated, **values)

        signature = inspect.signature(function)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            by_name = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters += options if parameter.name == "stated" else [by_name]
        run.__dict__["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {
            "return": signature.return_annotation
        }
        return run

    return decorate


def file_form(stated: Stated) -> FileForm:
    """Return the form of a file as its options state it; ALERTING_TIMEZONE: of the plant."""
    from alerting.wiring import plant_zone

    zone = plant_zone(read_settings(os.environ), os.environ)
    return read_form(stated, FileForm(plant_zone=zone))
