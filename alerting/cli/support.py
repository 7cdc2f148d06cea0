"""Helpers of all commands: options, platform, progress, files, messages for errors."""

import getpass
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from alerting import wiring
from alerting.adapters.mongo.running import running
from alerting.adapters.yaml_documents import read_yaml
from alerting.cli.output import (
    Line,
    Output,
    colored,
    errors,
    note_line_clock,
    print_output,
    print_refusal_as_json,
    printing,
    readable,
)
from alerting.definitions.alert_definition import Definition
from alerting.definitions.faults import UserError, parse_duration
from alerting.ports import AUDIT_ORIGIN, Platform
from alerting.ports import Progress as ProgressPort
from alerting.settings.environment import read_settings
from alerting.settings.home_folder import find_home
from alerting.settings.logs import configure_logging
from alerting.usecases.definitions.faults_and_alerts import warnings_of
from alerting.usecases.definitions.next_steps import clock_times

P = ParamSpec("P")


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


@contextmanager
def platform(service: bool = False) -> Iterator["Platform"]:
    """Open the running platform, or start its database for the duration of this command.
    `service`: as of `open_platform`.

    Says on standard error which one it is where neither the folder nor ALERTING_HOME says so.
    """
    from alerting.adapters.mongo.mongo import DatabaseDown

    settings = read_settings(os.environ)
    if (
        settings.mongodb_uri is None
        and find_home(os.environ, Path.cwd(), last=False) != settings.home
    ):
        errors.print(
            f"using the platform that ran last (ALERTING_HOME names another): {settings.home}",
            style="dim",
        )
    try:
        with wiring.open_platform(settings, service=service) as opened:
            note_line_clock(opened.line_speed())
            yield opened
    except DatabaseDown as down:
        from alerting.adapters.mongo.embedded_mongod import LOG, cause
        from alerting.adapters.mongo.shared_mongod import data_folder

        folder = data_folder(settings.home)
        if settings.mongodb_uri is None and (why := cause(folder / LOG, folder)) is not None:
            raise DatabaseDown(f"the embedded database has stopped: {why}") from down
        raise


def is_served() -> bool:
    """Return whether `alerting up` runs on this home; True for a database of one's own."""
    settings = read_settings(os.environ)
    return settings.mongodb_uri is not None or running(settings.home) is not None


def command(function: Callable[P, Any]) -> Callable[..., None]:
    """Turn a use case into a command, which prints the Output that it returns: as lines, or with
    --json its value. A UserError becomes its message and exit code 1, Ctrl-C exit code 130.

    With --json standard output is one JSON document: what the command prints, or `{"refused":
    why}`.
    """
    return _command(function, ends=False)


def writes(function: Callable[P, Any]) -> Callable[..., None]:
    """Turn a use case into a `command` that ends with the written database on standard error, but
    after a dry run, or if it has written nothing."""
    return _command(function, ends=True)


def _command(function: Callable[P, Any], *, ends: bool) -> Callable[..., None]:
    signature = inspect.signature(function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.pop("as_json", False))
        origin = AUDIT_ORIGIN.set("command")
        with printing(as_json):
            try:
                configure_logging(os.environ)
                found = function(*args, **kwargs)
                if isinstance(found, Output):
                    print_output(found, as_json)
                if ends and not kwargs.get("dry_run") and found.has_written:
                    errors.print(f"written to {read_settings(os.environ).location}")
            except UserError as refusal:
                errors.print(Text.assemble(("refused:", "red"), f" {readable(str(refusal))}"))
                print_refusal_as_json(str(refusal))
                raise typer.Exit(1) from refusal
            except typer.BadParameter as error:
                print_refusal_as_json(error.format_message())
                raise
            except KeyboardInterrupt:
                errors.print(
                    "interrupted; run the command again to continue: it neither loses nor repeats "
                    "data"
                )
                print_refusal_as_json("interrupted")
                raise typer.Exit(130) from None
            finally:
                AUDIT_ORIGIN.reset(origin)
        if isinstance(found, Output) and found.is_failure:
            raise typer.Exit(1)

    if signature.return_annotation is Output:
        as_json = inspect.Parameter(
            "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json
        )
        given = [*signature.parameters.values(), as_json]
        run.__dict__["__signature__"] = signature.replace(parameters=given)
        run.__annotations__ = function.__annotations__ | {"as_json": Json}
    return run


def user() -> str:
    """Return the name of the user who runs this command, for audit and revisions."""
    return getpass.getuser()


def require_past(
    now: datetime, start: datetime | None, end: datetime | None = None, option: str = "--from"
) -> None:
    """Check that an interval has begun and is not reversed. Raises UserError with the times."""
    if start is not None and start > now:
        raise UserError(f"{option} {start.isoformat()} lies in the future; it is {now.isoformat()}")
    if start is not None and end is not None and start >= end:
        raise UserError(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")


def write_file(path: Path, text: str) -> None:
    """Write a file that the user has named. Raises UserError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); name another file or folder"
        ) from error


def read_documents(files: Sequence[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the documents of YAML or JSON files, as written, and the file of each. Raises
    UserError for a file with none or other content."""
    found = [(document, str(file)) for file in files for document in _read_file(file)]
    return [document for document, _ in found], [file for _, file in found]


def read_document(file: Path) -> dict[str, Any]:
    """Return the one document of a file. Raises UserError for several, none, or other content."""
    documents = read_documents([file])[0]
    if len(documents) > 1:
        names = ", ".join(str(document.get("name")) for document in documents)
        raise UserError(f"{file}: holds {len(documents)} documents ({names}); write one")
    return documents[0]


def _read_file(file: Path) -> list[dict[str, Any]]:
    flat = [d for part in read_yaml(file) for d in (part if isinstance(part, list) else [part])]
    for document in flat:
        if not isinstance(document, dict):
            raise UserError(
                f"{file}: holds {type(document).__name__}, not a document; write `name: …`, "
                "`kind: …`"
            )
    if not flat:
        raise UserError(f"{file}: is empty")
    return flat


@contextmanager
def progress() -> Iterator["ProgressPort"]:
    """Show a progress bar on standard error."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report_progress(step: str, done: int, total: int | None) -> None:
            bar.update(task, description=step, completed=done, total=total)

        yield report_progress


def require_file(out: Path, example: str) -> None:
    """Raise UserError if a file cannot be written there."""
    if not out.parent.is_dir():
        raise UserError(f"{out}: folder {out.parent} does not exist; make it first")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file, for example {out / example}")


def definition_notes(
    platform: "Platform", definitions: "Iterable[Definition]"
) -> dict[str, dict[str, list[str]]]:
    """Return by name what an engineer should know of valid definitions before they serve."""
    return {
        d.name: {"warnings": warnings_of(platform, d), "clock_times": clock_times(d)}
        for d in definitions
    }


def lines_of_notes(notes: Mapping[str, Mapping[str, Any]]) -> Iterator[Line]:
    """Yield the notes of definitions."""
    for name, of in notes.items():
        for key, style in {"derived": "", "clock_times": "", "warnings": "yellow"}.items():
            yield from (colored(f"{name}: {text}", style) for text in of.get(key, ()))
