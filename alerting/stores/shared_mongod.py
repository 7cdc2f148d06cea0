"""One embedded MongoDB server for whoever needs it at the same time: `alerting up`, or commands run without it.

The first command that finds no server starts a *keeper*, a process that runs the server until its last user is gone, however
that user ended. The kernel counts the users: each holds a shared lock on one file, the keeper waits for the exclusive one.
`alerting up` holds the exclusive lock as long as it runs, so that commands use its server and start none.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from alerting.definitions.faults import Refused
from alerting.stores import embedded_mongod
from alerting.stores.embedded_mongod import HOST, EmbeddedMongod, address

PATIENCE_S = 60.0
_POLL_S = 0.1
_READY = "ready"


def data_folder(home: Path) -> Path:
    """Where the server of this installation keeps its data."""
    return home / "mongod"


@contextmanager
def shared_mongod(home: Path, patience: float = PATIENCE_S) -> Iterator[str]:
    """The URI of the server that has its data in `home`: the one that runs, or one that runs until nobody uses it any more.

    Raises Refused when there is no server to start, or `alerting up` runs but its server does not answer in `patience` seconds.
    """
    data_folder(home).mkdir(parents=True, exist_ok=True)
    with _users_file(home) as users:
        port = _join(home, users, patience)
        if port is None:
            port = _running_or_started(home)
        yield address(port)


@contextmanager
def exclusive_mongod(home: Path, waiting: Callable[[], None]) -> Iterator[Callable[[int], None]]:
    """Reserve the data folder for a server of the caller's own; gives the function that tells commands its port.

    `waiting` is called once if commands must finish first.
    """
    data_folder(home).mkdir(parents=True, exist_ok=True)
    with _users_file(home) as users:
        if not _locked(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
            waiting()
            fcntl.flock(users, fcntl.LOCK_EX)
        try:
            yield lambda port: _tell(home, port)
        finally:
            _port_file(home).unlink(missing_ok=True)


def _users_file(home: Path) -> TextIO:
    return (home / "mongod.users").open("a")


def _port_file(home: Path) -> Path:
    return home / "mongod.port"


def _tell(home: Path, port: int) -> None:
    draft = home / "mongod.port.new"
    draft.write_text(json.dumps(port))
    draft.replace(_port_file(home))


def _known_port(home: Path) -> int | None:
    try:
        port = int(json.loads(_port_file(home).read_text()))
    except FileNotFoundError:
        return None
    ours = data_folder(home).absolute()
    return port if embedded_mongod.data_folder(port) == ours else None  # that port may be another installation's by now


def _locked(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    return True


def _join(home: Path, users: TextIO, patience: float) -> int | None:
    """Become a user: of nobody's server yet or a keeper's (None), or of the one that holds the folder (its port)."""
    deadline = time.monotonic() + patience
    while not _locked(users, fcntl.LOCK_SH | fcntl.LOCK_NB):
        if (port := _known_port(home)) is not None:
            return port
        if time.monotonic() > deadline:
            raise Refused(
                f"the platform in {home} is running, but its database has not answered for {patience:.0f} s: "
                f"see {data_folder(home) / 'mongod.log'}"
            )
        time.sleep(_POLL_S)
    return None


def _running_or_started(home: Path) -> int:
    """The port of the keeper's server; of several commands at once only one starts it, the others wait for that."""
    with (home / "mongod.start").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        return _known_port(home) or _start_keeper(home)


def _start_keeper(home: Path) -> int:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__, str(home)],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it outlives the command that started it while another one uses its server
        text=True,
    )
    assert keeper.stdout is not None  # noqa: S101 - a pipe was asked for
    with keeper.stdout as answer:
        select.select([answer], [], [], PATIENCE_S)
        text = answer.readline().strip()
    port = _known_port(home)
    if text != _READY or port is None:
        keeper.kill()
        raise Refused(text if text not in {"", _READY} else "the embedded MongoDB server could not be started")
    return port


def keep(home: Path) -> int:
    """Run the server until nobody uses it any more; the first line of output is `ready`, or why it is not."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = EmbeddedMongod(data_folder(home), _free_port()).start()
    except Refused as refusal:
        print(" ".join(str(refusal).split()), flush=True)  # noqa: T201 - the starter reads it
        return 1
    try:
        _tell(home, server.port)
        print(_READY, flush=True)  # noqa: T201
        sys.stdout.close()
        with _users_file(home) as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            _port_file(home).unlink(missing_ok=True)
            server.stop()
    finally:
        server.stop()
    return 0


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1])))
