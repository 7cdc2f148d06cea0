"""Shared parts of all commands: open the platform, show progress, read and write files, answer an
error with a message, and print sentences and tables that fit the screen, or with --json one
document."""

import getpass
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta, tzinfo
from functools import wraps
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple, ParamSpec, TextIO

import typer
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment
from rich.text import Text

from alerting import wiring
from alerting.adapters.mongo.running import running
from alerting.cli.options import Json
from alerting.definitions.alert_definition import Definition
from alerting.definitions.faults import UserError, format_duration, require_order
from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.language import ENGLISH, Translatable, commands_of, in_english
from alerting.ports import AUDIT_ORIGIN, Platform
from alerting.ports import Progress as ProgressPort
from alerting.reporting import phrases
from alerting.settings.environment import UTC, read_settings
from alerting.settings.home_folder import find_home
from alerting.settings.logs import configure_logging
from alerting.usecases.definitions.faults_and_platform_alerts import warnings_of
from alerting.usecases.definitions.next_steps import clock_times

P = ParamSpec("P")


@contextmanager
def platform(service: bool = False) -> Iterator["Platform"]:
    """Open the running platform, or start its database for the duration of this command.

    `service`: as in `open_platform`. Names the platform on standard error if neither the folder nor
    ALERTING_HOME does. Raises DatabaseDown, with the cause if it is known, if the database does not
    answer.
    """
    from alerting.adapters.mongo.mongo import DatabaseDown, NoAnswer

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
        from alerting.adapters.mongo.shared_mongod import data_folder, describe_unresponsive

        if settings.mongodb_uri is not None:
            raise
        is_silent = isinstance(down, NoAnswer)
        if is_silent and (silence := describe_unresponsive(settings.home)) is not None:
            raise DatabaseDown(silence) from down
        folder = data_folder(settings.home)
        if (why := cause(folder / LOG, folder)) is not None:
            raise DatabaseDown(f"the embedded database has stopped: {why}") from down
        raise


def is_served() -> bool:
    """Return whether `alerting up` runs on this home, or the settings name an external database."""
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
    """Turn a use case into a `command` that ends with the name of the written database on standard
    error, except after a dry run, or if it has written nothing."""
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
                answer = function(*args, **kwargs)
                if isinstance(answer, Output):
                    print_output(answer, as_json)
                if ends and not kwargs.get("dry_run") and answer.has_written:
                    errors.print(f"written to {read_settings(os.environ).location}")
            except UserError as refusal:
                refused = "\n".join([say(refusal.message), *commands_below(refusal.message)])
                errors.print(Text.assemble(("refused:", "red"), f" {readable(refused)}"))
                print_refusal_as_json(refused)
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
        if isinstance(answer, Output) and answer.is_failure:
            raise typer.Exit(1)

    if signature.return_annotation is Output:
        as_json = inspect.Parameter(
            "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json
        )
        parameters = [*signature.parameters.values(), as_json]
        run.__dict__["__signature__"] = signature.replace(parameters=parameters)
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
        raise UserError(
            in_english(
                "{option} {start} lies in the future; it is {now}",
                option=option,
                start=start,
                now=now,
            )
        )
    if start is not None and end is not None:
        require_order(start, end)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file that the user has named. Raises UserError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); name another file or folder"
        ) from error


@contextmanager
def progress() -> Iterator["ProgressPort"]:
    """Show a progress bar on standard error, if that is a screen."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    shown = errors.is_interactive  # elsewhere it would print empty lines
    with Progress(*columns, console=errors, transient=True, disable=not shown) as bar:
        task = bar.add_task("starting", total=None)

        def report_progress(step: str, done: int, total: int | None) -> None:
            bar.update(task, description=step, completed=done, total=total)

        yield report_progress


def require_file(out: Path, example: str) -> None:
    """Raise UserError if a file cannot be written at this path."""
    if not out.parent.is_dir():
        raise UserError(f"{out}: folder {out.parent} does not exist; make it first")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file, for example {out / example}")


def definition_notes(
    platform: "Platform", definitions: "Iterable[Definition]"
) -> dict[str, dict[str, list[str]]]:
    """Return, by name, notes for an engineer on valid definitions before they are in service."""
    return {
        d.name: {"warnings": warnings_of(platform, d), "clock_times": clock_times(d)}
        for d in definitions
    }


def lines_of_notes(notes: Mapping[str, Mapping[str, Any]]) -> Iterator["Line"]:
    """Yield the notes of definitions."""
    for name, texts in notes.items():
        for key, style in {"derived": "", "clock_times": "", "warnings": "yellow"}.items():
            yield from (colored(f"{name}: {say(text)}", style) for text in texts.get(key, ()))


_GAP = 2
_LEAST_TEXT = 28  # a column of text narrower than this is hard to read
_INDENT = "    "


class _Plain(Console):
    """Printer of plain text: brackets and colons are no markup; the terminal wraps lines. It passes
    its own colours and cursor movements, and removes colours and cursor movements from the text."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print with the plant's times, and control characters escaped for the terminal."""
        super().print(*(readable(o) if isinstance(o, str) else o for o in objects), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return the printed segments with cleaned text."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else clean_text(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)


def say(text: str) -> str:
    """Return a text of the platform as commands say it: in English, with times of the plant. A text
    that becomes part of a line is said first: an f-string would take its times in UTC."""
    return ENGLISH.with_clock(zone()).translate(text)


def readable(text: str) -> str:
    """Return a text as commands say it, with control characters escaped."""
    return clean_text(say(text), visible=True)


console = _Plain()
errors = _Plain(stderr=True)


@dataclass
class _Command:
    """Output state of the running command. `document`: standard output while it may carry only
    JSON.

    `line_clock`: the clock of a simulated line, for the end of the sentence that names the zone.
    """

    document: TextIO | None = None
    printed: bool = False
    zone: tzinfo | None = None
    zone_shown: bool = False
    line_clock: str = ""


_running = _Command()


@contextmanager
def printing(as_json: bool) -> Iterator[None]:
    """Set up the output of one command. With `as_json` only `print_json` reaches standard output:
    all other output of this process, even of C libraries, goes to standard error."""
    global _running  # noqa: PLW0603 - one command runs in a process at a time
    before = _running
    _running = _Command()
    try:
        if as_json:
            with _descriptor() as document, redirect_stdout(sys.stderr):
                _running.document = document
                yield
        else:
            yield
    finally:
        _running = before


@contextmanager
def _descriptor() -> Iterator[TextIO]:
    stream = sys.stdout
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):  # a test has replaced standard output
        yield stream
        return
    stream.flush()
    original = os.dup(number)
    os.dup2(2, number)
    try:
        with os.fdopen(
            os.dup(original), "w", encoding=stream.encoding, errors=stream.errors
        ) as copy:
            yield copy
    finally:
        os.dup2(original, number)
        os.close(original)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    stream = _running.document or sys.stdout
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(plain(value), indent=2, allow_nan=False)
    stream.write(text + "\n")
    stream.flush()
    _running.printed = True


def print_refusal_as_json(message: str) -> None:
    """Print a refusal's reason as the JSON document, unless one was printed already."""
    if _running.document is not None and not _running.printed:
        print_json({"refused": message})


def prints_json() -> bool:
    """Return whether the running command prints one JSON document."""
    return _running.document is not None


def plain(value: Any) -> Any:
    """Return a value in JSON types: times in ISO 8601, durations in seconds, dataclasses and models
    as objects.

    NaN and infinity become null. Texts of the platform are as commands say them, also those in
    dataclasses, models and sets.
    """
    return to_jsonable_python(
        _translate_all(value),
        timedelta_mode="float",
        inf_nan_mode="null",
        fallback=lambda number: number.item(),  # of numpy
    )


def _translate_all(value: Any) -> Any:
    match value:
        case Translatable():
            return say(value)
        case Mapping():
            return {_translate_all(key): _translate_all(part) for key, part in value.items()}
        case list() | tuple() | AbstractSet():
            return [_translate_all(part) for part in value]
        case BaseModel():
            return _translate_all(value.model_dump(by_alias=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _translate_all(getattr(value, field.name)) for field in fields(value)}
    return value


class OutputTable(NamedTuple):
    """Rows for people, with the columns to show. `empty`: the text if there are no rows."""

    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[str]
    empty: str = ""


Line = str | Text | OutputTable


class Output(NamedTuple):
    """The result of a command: its value, which --json prints, and the same value in lines for
    people, or in a text for other programs, e.g. YAML, exactly as it is."""

    value: Any
    lines: Iterable[Line] = ()
    is_failure: bool = False
    text: str = ""
    has_written: bool = True


def table_output(
    rows: Sequence[Any], columns: Sequence[str], empty: str = "", *, is_failure: bool = False
) -> Output:
    """Return an output that is a single table."""
    return Output(rows, [OutputTable(rows, columns, empty)], is_failure)


def print_output(answer: Output, as_json: bool) -> None:
    """Print an answer as JSON, or its lines."""
    if as_json:
        print_json(answer.value)
        return
    print_lines(answer.lines)
    sys.stdout.write(answer.text)
    sys.stdout.flush()


def commands_below(text: Line) -> list[str]:
    """Return a line for each command that a text carries."""
    return [f"  `{command}`" for command in commands_of(text)]


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines, and tables as wide as the screen."""
    for line in lines:
        if not isinstance(line, OutputTable):
            console.print(line)
            print_lines(commands_below(line))
        elif not line.rows:
            console.print(line.empty)
        else:
            for row in table_lines(line.rows, line.columns, console.width):
                console.print(row)


def with_instants(row: Mapping[str, Any], *columns: str) -> Mapping[str, Any]:
    """Return a row of a document in JSON with the instants of these columns."""
    written = {name: row[name] for name in columns if row.get(name)}
    return {**row, **{name: datetime.fromisoformat(text) for name, text in written.items()}}


def colored(text: str, style: str) -> Text:
    """Return a line in a colour or a weight."""
    return Text(readable(text), style=style)


# --- tables
# --------------------------------------------------------------------------------------------------


def table_lines(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], width: int
) -> Iterator[Text]:
    """Return the lines of a table of at most this width: ids, times and numbers stay whole, and
    columns that do not fit stand below their row."""
    titles = [column.replace("_", " ") for column in columns]
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    right = [_all_numbers([row.get(column) for row in rows]) for column in columns]
    times = {
        i for i, c in enumerate(columns) if any(isinstance(row.get(c), datetime) for row in rows)
    }
    beside = _fit([titles, *cells], width, times)
    yield Text(_line(titles, beside, right), style="bold")
    for row in cells:
        yield Text(_line(row, beside, right))
        below = [f"{titles[i]}: {text}" for i, text in enumerate(row) if text and i not in beside]
        joined = ", ".join(below)
        for text in [joined] if cell_len(joined) + len(_INDENT) <= width else below:
            yield from map(Text, _wrap_indented(text, width))
    if times and not _running.zone_shown:
        yield Text(f"times: {zone()}{_running.line_clock}", style="dim")
        _running.zone_shown = True


def _fit(cells: Sequence[Sequence[str]], width: int, times: Collection[int]) -> dict[int, int]:
    """Return the columns that fit side by side, with their widths: first empty columns are left
    out, then the widest. A column with text of several lines never fits."""
    columns = dict(enumerate(zip(*cells, strict=True)))
    beside = {
        i: max(map(cell_len, column))
        for i, column in columns.items()
        if not any("\n" in text for text in column)
    }
    if _used_width(beside) > width:
        beside = {i: w for i, w in beside.items() if i == 0 or any(columns[i][1:])}
    while _used_width(beside) > width and len(beside) > 1:
        del beside[max(list(beside)[1:], key=lambda i: (i not in times, beside[i]))]
    return beside


def _used_width(beside: Mapping[int, int]) -> int:
    return sum(beside.values()) + _GAP * (len(beside) - 1)


def _wrap_indented(text: str, width: int) -> list[str]:
    return [
        f"{_INDENT}{part}"
        for line in text.split("\n")
        for part in wrap(
            line,
            max(width - len(_INDENT), _LEAST_TEXT),
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def _line(parts: Sequence[str], beside: Mapping[int, int], right: Sequence[bool]) -> str:
    padded = []
    for column, width in beside.items():
        space = " " * max(width - cell_len(parts[column]), 0)
        padded.append(space + parts[column] if right[column] else parts[column] + space)
    return (" " * _GAP).join(padded).rstrip()


def _all_numbers(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in present
    )


def cell(value: Any) -> str:
    """Return a value as it stands in a table: times in the plant's zone, no text for none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return phrases.instant(value, zone())
    if isinstance(value, timedelta):
        value = format_duration(value)
    return readable(value if isinstance(value, str) else str(value))


# --- times
# --------------------------------------------------------------------------------------------------


def note_line_clock(speed: float | None) -> None:
    """Name a simulated line's clock where the time zone is named; `messages.line_clock`."""
    described = phrases.line_clock(speed)
    _running.line_clock = f", {described}" if described else ""


def zone() -> tzinfo:
    """Return the plant's time zone from `ALERTING_TIMEZONE`."""
    if _running.zone is None:
        try:
            _running.zone = read_settings(os.environ).timezone
        except UserError:  # the command itself reports the fault in the settings
            _running.zone = UTC
    return _running.zone


def short(value: datetime | None) -> str:
    """Return an instant to the minute in the plant's zone: `2026-01-05 07:00 CET`."""
    return "" if value is None else phrases.moment(value, zone())
