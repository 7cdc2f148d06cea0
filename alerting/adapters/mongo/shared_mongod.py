"""One embedded MongoDB server shared by its users: `alerting up`, or commands that run without it.

The first command that finds no server starts a *keeper*, a process that runs the server until its
last user has ended in any way. The kernel counts the users: each has a shared lock on one file, and
the keeper waits for the exclusive lock. `alerting up` has the exclusive lock as long as it runs, so
that commands use its server and start none. A lock on the users does not show whether the server
runs: `alerting up` waits separately for the end of the server (`embedded_mongod.server_in`).
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from alerting.adapters.mongo import embedded_mongod
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongod_access import address
from alerting.adapters.mongo.running import try_lock
from alerting.definitions.faults import UserError
from alerting.settings.home_folder import claim_folder, home_errors
from alerting.settings.machine import free_port

PATIENCE_S = 60.0
_ANSWERS_WITHIN_S = 4.0  # a server that runs; a command says within ten seconds if it does not
_POLL_S = 0.1
_READY = "ready"


def data_folder(home: Path) -> Path:
    """Return the folder with the data of the server of this installation."""
    return home / "mongod"


@contextmanager
def shared_mongod(home: Path, patience: float = PATIENCE_S) -> Iterator[str]:
    """Yield the URI of the server with its data in `home`: the running server, or a new one that
    runs until its last user has ended.

    Raises UserError if no server can start, or `alerting up` runs but its server does not answer in
    `patience` seconds.
    """
    with _users_file(home) as users:
        port = _join(home, users, patience)
        if port is None:
            port = _find_or_start_server(home, users)
        yield address(data_folder(home), port)


@contextmanager
def exclusive_mongod(
    home: Path, waiting: Callable[[], None], patience: float = PATIENCE_S
) -> Iterator[Callable[[int], None]]:
    """Reserve the data folder for a server of the caller; yield the function that publishes its
    port to commands.

    `waiting` is called once if commands must finish first. Raises UserError if the server has no
    users left and still runs after `patience` seconds.
    """
    with _users_file(home) as users:
        _reserve(home, users, waiting, patience)
        _port_file(home).unlink(missing_ok=True)  # of a server that was killed
        try:
            yield lambda port: _record_port(home, port)
        finally:
            _port_file(home).unlink(missing_ok=True)


def _reserve(home: Path, users: TextIO, waiting: Callable[[], None], patience: float) -> None:
    """Wait until no command uses the server and its process has ended; its keeper needs the
    lock."""
    has_reported = False
    unused_since = None
    while True:
        if try_lock(users, fcntl.LOCK_EX):
            server = embedded_mongod.server_in(data_folder(home))
            if server is None:
                return
            fcntl.flock(users, fcntl.LOCK_UN)
            unused_since = unused_since or time.monotonic()
            if time.monotonic() - unused_since > patience:
                raise UserError(
                    f"the database server of {home} (process {server}) is still running, though no "
                    "command uses it: "
                    f"stop it with `kill {server}`, and try again"
                )
        else:
            unused_since = None
        if not has_reported:
            waiting()
            has_reported = True
        time.sleep(_POLL_S)


@contextmanager
def _users_file(home: Path) -> Iterator[TextIO]:
    claim_folder(home)
    with home_errors(home):
        data_folder(home).mkdir(exist_ok=True)
        users = (home / "mongod.users").open("a")
    with users:
        yield users


def _port_file(home: Path) -> Path:
    return home / "mongod.port"


def _record_port(home: Path, port: int) -> None:
    draft = home / "mongod.port.new"
    draft.write_text(json.dumps(port))
    draft.replace(_port_file(home))


def _recorded_port(home: Path) -> int | None:
    try:
        return int(json.loads(_port_file(home).read_text()))
    except FileNotFoundError:
        return None


def _current_port(home: Path) -> int | None:
    port = _recorded_port(home)
    if port is None:
        return None
    ours = data_folder(home).absolute()
    # another installation may use that port by now
    return port if embedded_mongod.serves(ours, port) else None


def _join(home: Path, users: TextIO, patience: float) -> int | None:
    """Become a user of the server and return its port. None if no keeper has published a port: the
    caller waits for it, or starts a keeper."""
    since = time.monotonic()
    deadline = since + patience
    while not try_lock(users, fcntl.LOCK_SH):
        if (port := _current_port(home)) is not None:
            return port
        _require_answer(home, since)
        if time.monotonic() > deadline:
            raise UserError(
                f"the platform in {home} is running, but its database has not answered for "
                f"{patience:.0f} s: "
                f"see {data_folder(home) / 'mongod.log'}"
            )
        time.sleep(_POLL_S)
    return None


def _require_answer(home: Path, since: float) -> None:
    """Raise UserError if a server runs, has published its port, and has not answered since then."""
    if time.monotonic() < since + _ANSWERS_WITHIN_S or _recorded_port(home) is None:
        return
    if (refusal := describe_unresponsive(home)) is not None:
        raise UserError(refusal)


def describe_unresponsive(home: Path) -> str | None:
    """Return what to do about the server of this home that does not answer; None if none runs."""
    if not (server := embedded_mongod.server_in(data_folder(home))):
        return None
    return (
        f"the database in {home} (process {server}) does not answer: try again, or end it with "
        f"`kill -9 {server}`, which loses nothing; its log: {data_folder(home) / 'mongod.log'}"
    )


def _find_or_start_server(home: Path, users: TextIO) -> int:
    """Return the port of the keeper's server. Of several commands at once one starts it and the
    others wait.

    A server that runs and does not answer is busy or ending: a second server could not use its
    folder.
    """
    since = time.monotonic()
    with (home / "mongod.start").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        deadline = since + PATIENCE_S
        while (port := _current_port(home)) is None:
            _require_answer(home, since)
            if embedded_mongod.server_in(data_folder(home)) is None or time.monotonic() > deadline:
                return _start_keeper(home, users)
            time.sleep(_POLL_S)
        return port


def _start_keeper(home: Path, users: TextIO) -> int:
    """Start a keeper and return its port.

    It inherits our lock on the users until its server runs, so that a killed command leaves the
    folder reserved.
    """
    environ = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__, str(home), str(users.fileno())],
        pass_fds=(users.fileno(),),
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # it outlives the command that started it while another one uses its server
        start_new_session=True,
        text=True,
    )
    assert keeper.stdout is not None  # noqa: S101 - a pipe was asked for
    with keeper.stdout as answer:
        select.select([answer], [], [], PATIENCE_S)
        text = answer.readline().strip()
    port = _recorded_port(home)  # the keeper has just seen an answer of the server
    if text != _READY or port is None:
        keeper.kill()
        raise UserError(
            text if text not in {"", _READY} else "the embedded MongoDB server could not be started"
        )
    return port


def keep(home: Path, inherited: int) -> int:
    """Run the server until its last user has ended; the first line of output is `ready`, or the
    reason of a failure.

    `inherited`: descriptor with the lock of the command that started this process.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = EmbeddedMongod(data_folder(home), free_port()).start()
    except UserError as refusal:
        print(" ".join(str(refusal).split()), flush=True)  # noqa: T201 - the starter reads it
        return 1
    try:
        _record_port(home, server.port)
        # the command still has the lock; the keeper has none from here on, wherever it is stopped
        os.close(inherited)
        print(_READY, flush=True)  # noqa: T201
        sys.stdout.close()
        with _users_file(home) as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            _port_file(home).unlink(missing_ok=True)
            server.stop()
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), int(sys.argv[2])))
