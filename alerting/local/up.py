"""`alerting up`: the platform on this machine, from the check of ports to the end of the last
part."""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.adapters.mlflow.mlflow_registry import public_address
from alerting.adapters.mongo import mongod_access
from alerting.adapters.mongo.running import hold
from alerting.adapters.mongo.shared_mongod import data_folder, exclusive_mongod
from alerting.definitions.faults import UserError
from alerting.local import parts
from alerting.local.prepare import LINK_VALID, Secrets, make_link, prepare_home
from alerting.local.supervisor import StartFailed, Supervisor, run_guarded
from alerting.settings.environment import Settings
from alerting.settings.home_folder import database_of, make_private_folder, record_last_home
from alerting.settings.machine import check_ports
from alerting.wiring import MLFLOW_USER, database_warning

GIB = 1 << 30
LEAST = 2 * GIB
"""Bytes that a first start, its training and the first days write, with space for a crash log."""
SCANT = 5 * GIB


def check_space(home: Path) -> str | None:
    """Return a warning if the disk of `home` has little space, None if it has enough. Raises
    UserError if there is too little to start."""
    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    if free < LEAST:
        raise UserError(
            f"there is too little space for {home}: {_gib(free)} are free, at least {_gib(LEAST)} "
            "are needed; free some space, or set ALERTING_HOME to a folder on a larger disk"
        )
    if free < SCANT:
        return f"only {_gib(free)} are free on the disk of {home}: enough for days, not for months"
    return None


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


MAY = {
    "viewer": "reads everything",
    "operator": "also answers alarms",
    "engineer": "also sends data, runs jobs",
    "admin": "also manages people",
    "sender": "sends data, reads nothing",
}
"""The rights of a role beyond those of the role before, in a few words; docs/api.md, "Roles", has
the whole list."""
FIRST_COMMANDS = """\
Nothing is watched yet. The first page has the first steps. Or in another terminal,
in this folder:
  alerting import readings FILE --asset NAME   reads a table of readings
  alerting apply FILE                          connects a line, or puts an alert into service
"""


def up(settings: Settings, environ: Mapping[str, str], demo: bool) -> int:
    """Run the platform until Ctrl-C. Returns the exit code: 0 on request, 1 when refused."""
    return run_guarded(lambda: _work(settings, environ, demo))


class Screen:
    """Terminal output: lines of news above one status line. Silent once the terminal is closed."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._going_on = ""

    def say(self, text: str) -> None:
        """Print a line of news with the time since the start."""
        self.print(self._fitted(text, f"{time.monotonic() - self._began:6.1f} s  "))

    def _fitted(self, text: str, first: str) -> str:
        """Return a line as a paragraph broken between words on a terminal, else as it is."""
        if not self._console.is_terminal or "\n" in text:
            return first + text
        return textwrap.fill(
            text, self._console.width, initial_indent=first, subsequent_indent=" " * len(first),
            break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip

    def show(self, text: str) -> None:
        """Replace the status line; do nothing if the output is not a terminal."""
        if self._console.is_terminal and text != self._going_on:
            self._going_on = text
            self._write(f"\r\x1b[2K{text[: self._console.width - 1]}")

    def print(self, text: str) -> None:
        """Print permanent text."""
        if self._going_on:
            self._going_on = ""
            self._write("\r\x1b[2K")
        try:
            self._console.print(text, markup=False)
        except OSError:
            self._mute()

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            self._mute()

    def _mute(self) -> None:
        """Discard output after the terminal is closed: the parts still stop in order."""
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        self._console = Console(file=sys.stdout)


def _work(settings: Settings, environ: Mapping[str, str], demo: bool) -> int:
    screen = Screen()
    try:
        _run_with_lock(settings, environ, demo, screen)
    except UserError as refusal:
        screen.print(f"refused: {refusal}")
        return 1
    except StartFailed as failure:
        screen.print(f"failed: {failure}")
        return 1
    except KeyboardInterrupt:  # while waiting for another process, before any part was started
        return 130
    screen.say("all stopped")
    return 0


def _run_with_lock(
    settings: Settings, environ: Mapping[str, str], demo: bool, screen: Screen
) -> None:
    """Reserve home, ports and database, then run. Raises UserError before any part is started."""
    new = database_of(settings.home) is None
    with ExitStack() as stack:
        running_file = stack.enter_context(
            hold(
                settings.home,
                parts.mlflow_uri(settings),
                lambda: screen.say("waiting for the platform that is stopping"),
            )
        )
        record_port: Callable[[int], None] = _ignore_port
        if (scant := check_space(settings.home)) is not None:
            screen.say(scant)
        if (warning := database_warning(settings)) is not None:
            screen.say(warning)
        if settings.mongodb_uri is None:
            record_port = stack.enter_context(
                exclusive_mongod(
                    settings.home,
                    lambda: screen.say("waiting for other commands to finish with the database"),
                )
            )
        check_ports(settings.ports)
        secrets = prepare_home(settings)
        if new:
            screen.say(f"a new platform in {settings.home}")
        record_port(settings.mongodb_port)
        record_last_home(settings.home, environ)
        for folder in ("logs", "airflow", "mlflow/artifacts"):
            make_private_folder(settings.home / folder)
        write_dag_files(settings.home)
        started = parts.all_parts(settings, secrets, environ, demo)
        logs = settings.home / "logs"
        supervisor = Supervisor(started, settings.home, logs, screen.say, screen.show)
        milestones: dict[tuple[str, ...], Callable[[], None]] = {
            ("api", "stream"): lambda: _welcome(
                screen, settings, secrets, environ, is_empty=new and not demo
            ),
        }
        supervisor.run(milestones, running_file.stopping)


def _welcome(
    screen: Screen,
    settings: Settings,
    secrets: Secrets,
    environ: Mapping[str, str],
    *,
    is_empty: bool,
) -> None:
    """Print the page to open first, other addresses, and first commands if it is empty.

    The journal of the system, which others may read, gets the address of the console alone.
    """
    if is_journal(environ, sys.stdout):
        screen.say(f"ready: {settings.api_address}")
        return
    link = make_link(secrets.folder, settings.api_address, datetime.now(UTC))
    screen.print(f"\nOpen this first: {link}")
    screen.print(
        f"(it signs you in once, within {int(LINK_VALID.total_seconds() // 60)} minutes, on this "
        "machine)\n"
    )
    for line in address_lines(settings, secrets):
        screen.print(line)
    screen.print("")
    if is_empty:
        screen.print(FIRST_COMMANDS)


def is_journal(environ: Mapping[str, str], output: TextIO) -> bool:
    """Return whether systemd passes an output of this process to its journal."""
    if not (stream := environ.get("JOURNAL_STREAM")):
        return False
    status = os.fstat(output.fileno())
    return stream == f"{status.st_dev}:{status.st_ino}"


def _ignore_port(_port: int) -> None:
    """Do nothing: commands have an external database's address by its setting."""


def address_lines(settings: Settings, secrets: Secrets) -> list[str]:
    """Return the lines of the table. If no address or secret has unusual length, no line exceeds 80
    columns.

    A narrower terminal wraps a line at its end, where an address or a secret stands, and cuts
    nothing off.
    """
    lines = ["Addresses, open to this machine alone, and how to sign in:"]
    for name, texts in _sections(settings, secrets):
        lines += [
            f"{name:<8} {first}" if i == 0 else f"{'':<8} {first}" for i, first in enumerate(texts)
        ]
    return lines


def _sections(settings: Settings, secrets: Secrets) -> Iterator[tuple[str, list[str]]]:
    tokens = [
        f"{role:<8} {MAY[role]:<26} {secrets.api_tokens[role]}"
        for role in MAY
        if role in secrets.api_tokens
    ]
    yield "Console", [settings.api_address, *tokens]
    yield (
        "Airflow",
        [parts.airflow_uri(settings), f"{'admin':<8} password {secrets.airflow_password}"],
    )
    own_mlflow = (
        [] if settings.mlflow_uri else [f"{MLFLOW_USER:<8} password {secrets.mlflow_password}"]
    )
    yield "MLflow", [parts.mlflow_page(settings), *own_mlflow]
    address, *sign_in = _mongodb(settings)
    yield "MongoDB", [address, f"database {settings.database}", *sign_in]
    yield "Files", [f"data, logs, secrets: {settings.home}"]


def _mongodb(settings: Settings) -> list[str]:
    """Return the address of the database, and for the embedded server how to sign in."""
    if settings.mongodb_uri is not None:
        return [public_address(settings.mongodb_uri)]
    password = data_folder(settings.home) / mongod_access.PASSWORD_FILE
    address = f"mongodb://{mongod_access.HOST}:{settings.mongodb_port}/?authSource=admin"
    return [address, f"user {mongod_access.USER}, password in {password}"]
