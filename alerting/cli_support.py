"""What all commands share: the platform, progress, tables or JSON, times, and messages instead of tracebacks."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from alerting.definitions.faults import Refused

if TYPE_CHECKING:
    from alerting.pipelines.ports import Platform
    from alerting.pipelines.ports import Progress as ProgressPort

P = ParamSpec("P")
R = TypeVar("R")

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@contextmanager
def platform() -> Iterator["Platform"]:
    """The running platform, or its database started for the duration of this command."""
    from alerting.settings import read_settings
    from alerting.wiring import open_platform

    with open_platform(read_settings(os.environ)) as opened:
        yield opened


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a refusal into its message and exit code 1, and Ctrl-C into exit code 130."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Refused as refusal:
            errors.print(f"[red]refused:[/red] {_escaped(str(refusal))}", soft_wrap=True)
            raise typer.Exit(1) from refusal
        except KeyboardInterrupt:
            errors.print("interrupted; run it again to go on, nothing is lost or doubled")
            raise typer.Exit(130) from None

    return run


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


def user() -> str:
    """Who runs this command, for audit and revisions."""
    return getpass.getuser()


def instant(text: str | None, option: str) -> datetime | None:
    """An ISO 8601 instant with zone, e.g. 2015-03-14T00:00Z. Raises a usage error (exit code 2)."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not an ISO 8601 time; write for example 2015-03-14T06:00Z", param_hint=option
        ) from error
    if value.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; add Z for UTC or an offset such as +01:00", param_hint=option)
    return value.astimezone(UTC)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: times in ISO 8601, durations in seconds, dataclasses and models as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(v) for v in value]
    return _plain_leaf(value)


def _plain_leaf(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool, empty: str) -> None:
    """Print rows as a table of these columns, or all of each row as JSON."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*[_cell(row.get(c)) for c in columns])
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return short(value)
    return _escaped(str(value))


def short(value: datetime | None) -> str:
    """An instant to the second, UTC, for tables."""
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%SZ")


def read_documents(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Definitions in YAML or JSON files, as written. Raises Refused for a file that holds none."""
    documents: list[dict[str, Any]] = []
    for file in files:
        documents += _read_file(file)
    return documents


def _read_file(file: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        parsed = list(yaml.safe_load_all(file.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise Refused(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Refused(f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except yaml.YAMLError as error:
        raise Refused(f"{file}: is not YAML or JSON: {error}") from error
    flat = [d for part in parsed if part is not None for d in (part if isinstance(part, list) else [part])]
    for document in flat:
        if not isinstance(document, dict):
            raise Refused(f"{file}: holds {type(document).__name__}, not a definition; write `name: …`, `kind: …`")
    if not flat:
        raise Refused(f"{file}: is empty")
    return flat


@contextmanager
def progress() -> Iterator["ProgressPort"]:
    """A progress bar on standard error."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(step: str, done: int, total: int | None) -> None:
            bar.update(task, description=step, completed=done, total=total)

        yield tell
