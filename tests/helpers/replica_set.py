"""A replica set of three real servers on this machine, whose members can be killed."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from pymongo.errors import PyMongoError

from alerting.adapters.mongo import mongod_access
from alerting.adapters.mongo.embedded_mongod import make_primary, mongod_command
from tests.support import free_port

ELECTION_MS = 5000
_MEMBERS = 3
_PATIENCE_S = 120.0
_LITTLE = {"--wiredTigerCacheSizeGB": "0.5"}


class Members:
    """The members of a set; all have the secrets of the first one."""

    def __init__(self, folder: Path) -> None:
        self.ports = [free_port() for _ in range(_MEMBERS)]
        self.folders = [folder / str(number) for number in range(_MEMBERS)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def hosts(self) -> str:
        """Return the addresses of all members."""
        return ", ".join(f"{mongod_access.HOST}:{port}" for port in sorted(self.ports))

    @property
    def uri(self) -> str:
        """Return the URI that names all members."""
        password = quote((self.folders[0] / mongod_access.PASSWORD_FILE).read_text(), safe="")
        options = f"replicaSet={mongod_access.REPLICA_SET}&authSource=admin"
        return f"mongodb://{mongod_access.USER}:{password}@{self.hosts.replace(' ', '')}/?{options}"

    @property
    def pid(self) -> int:
        """Return the number of the first member's process."""
        return self._processes[0].pid

    def begin_alone(self) -> None:
        """Start all members; the first is a set of one, which has not heard of the others."""
        self.start(0)
        make_primary(self.folders[0], self.ports[0])
        for number in range(1, _MEMBERS):
            self.folders[number].mkdir(mode=0o700)
            for name in (mongod_access.KEY_FILE, mongod_access.PASSWORD_FILE):
                shutil.copy2(self.folders[0] / name, self.folders[number] / name)
            self.start(number)

    def begin(self) -> None:
        """Start all members as one set, and wait until each of them has its data."""
        self.begin_alone()
        with self.server(0) as client:
            config = client.admin.command("replSetGetConfig")["config"]
            config["members"] = [
                {"_id": number, "host": f"{mongod_access.HOST}:{port}"}
                for number, port in enumerate(self.ports)
            ]
            config["settings"]["electionTimeoutMillis"] = ELECTION_MS
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)
        self.await_all()

    def start(self, number: int) -> None:
        """Start a member, which may have been killed."""
        command = mongod_command(self.folders[number], self.ports[number], os.getpid())
        for option, value in _LITTLE.items():
            command[command.index(option) + 1] = value
        self._processes[number] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def server(self, number: int) -> mongod_access.Client:
        """Return a client of one member with the rights of the server itself."""
        return mongod_access.as_server(self.folders[number], self.ports[number])

    def await_all(self) -> None:
        """Wait until one member is primary and the others follow it."""
        deadline = time.monotonic() + _PATIENCE_S
        while sorted(self._states()) != ["PRIMARY", "SECONDARY", "SECONDARY"]:
            assert time.monotonic() < deadline, "the set is not complete"
            time.sleep(0.1)

    def primary(self) -> int:
        """Return the number of the primary; assert that there is one."""
        number = self.primary_or_none()
        assert number is not None, "the set has no primary"
        return number

    def primary_or_none(self) -> int | None:
        """Return the number of the primary, by its own word; None while there is none. Others still
        call a member primary for a while after it was killed."""
        for number in range(_MEMBERS):
            try:
                with self.server(number) as client:
                    if client.admin.command("hello")["isWritablePrimary"]:
                        return number
            except (PyMongoError, FileNotFoundError):  # away, or not a member yet
                continue
        return None

    def kill_primary(self) -> int:
        """Kill the primary at once; return its number."""
        number = self.primary()
        process = self._processes[number]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return number

    def step_down(self) -> None:
        """Let the primary give up its office to another member."""
        with self.server(self.primary()) as client:
            client.admin.command("replSetStepDown", 10)

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _states(self) -> list[str]:
        for number in range(_MEMBERS):
            try:
                with self.server(number) as client:
                    members = client.admin.command("replSetGetStatus")["members"]
            except (PyMongoError, FileNotFoundError):  # away, or not a member yet
                continue
            return [str(one["stateStr"]) for one in sorted(members, key=lambda one: one["_id"])]
        return []


@contextmanager
def replica_set(folder: Path) -> Iterator[Members]:
    """Run a replica set of three members."""
    members = Members(folder)
    try:
        members.begin()
        yield members
    finally:
        members.end()
