"""One home with its ports, and the `alerting up` that runs on it."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import httpx
import psutil
import yaml

from alerting.local.demo import EXAMPLES, fill_up
from alerting.settings.environment import read_settings
from alerting.settings.shipped_files import shipped
from alerting.wiring import open_platform, open_stores
from tests.helpers.scheduler import Airflow, sign_in
from tests.support import free_port

HANG_S = 600.0  # a step that takes so long, also beside much other work, hangs
PORTS = ("MONGODB", "MLFLOW", "AIRFLOW", "API")
DAYS = 14
MODEL = "biscuits-too-moist"
SHORT = {"trials": 1, "folds": 2, "candidates": ["logistic_regression", "lightgbm"]}


class Up:
    """One home with its ports, and the `alerting up` that runs on it now."""

    def __init__(self, home, commands):
        self.home = home
        self.commands = commands
        self.ports = {name: free_port() for name in PORTS}
        self.environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("ALERTING_")
            },
            **{f"ALERTING_{name}_PORT": str(port) for name, port in self.ports.items()},
            "ALERTING_HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "ALERTING_DEMO_SPEED": "240",
        }
        self.process = None
        self.http = httpx.Client(trust_env=False, timeout=HANG_S)

    def start(self):
        self.output = self.home / f"output-{time.monotonic_ns()}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command("up"),
                env=self.environ,
                stdin=subprocess.DEVNULL,  # a question would get no answer
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def command(self, *words):
        return [sys.executable, "-c", "from alerting.cli.main import main; main()", *words]

    def run(self, *words):
        done = self.commands.run(*words, environ=self.environ, timeout=HANG_S)
        return done.returncode, done.stdout + done.stderr

    def fill(self):
        """Give the home a past of the line, and the definition that is trained first."""
        assert self.run("prepare")[0] == 0
        with patch.dict(os.environ, self.environ):
            fill_up(DAYS, only=["oven-too-hot"])
        document = yaml.safe_load((shipped(EXAMPLES) / f"{MODEL}.yaml").read_text(encoding="utf-8"))
        file = self.home / "definition.json"
        file.write_text(json.dumps(document | {"learning": SHORT}), encoding="utf-8")
        assert self.run("apply", str(file))[0] == 0

    def said(self):
        return self.output.read_text()

    def wait_for(self, words):
        self.wait_until(lambda: words in self.said(), f"{words!r} was not said")

    def wait_until(self, true, otherwise):
        """Wait for one step."""
        deadline = time.monotonic() + HANG_S
        while not true():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"{otherwise} within {HANG_S} s:\n{self.said()}"
            time.sleep(0.2)

    def follow_until(self, words):
        """Wait for words; every line that is said before them is a step."""
        while words not in (said := self.said()):
            self.wait_until(
                lambda said=said: self.said() != said,
                f"no step after the last, and {words!r} was not said",
            )

    def processes(self):
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if is_alive(child)]

    def of_processes(self, read):
        """Return what is read of each process; one that ends meanwhile is left out."""
        found = []
        for process in self.processes():
            try:
                found.append(read(process))
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:  # how an ending one answers an ordinary user
                if not ended([process], 5.0):
                    raise
        return found

    def listening(self):
        """Return the addresses (ip, port) at which processes of the platform listen.

        Airflow forbids all but root to read a process that has run a task. For one, all addresses
        of this user count that no process which may be read listens at.
        """
        found = set()
        is_unread = False
        for process in self.processes():
            try:
                found |= listening_of(process)
            except psutil.AccessDenied:
                is_unread = True
        if is_unread:
            lasting = set(own_addresses())
            for process in psutil.process_iter():
                with suppress(psutil.AccessDenied):
                    lasting -= listening_of(process)
            found |= lasting & set(own_addresses())
        return found

    def logs(self):
        """Return all logs. A folder that is removed meanwhile is left out."""
        return [
            Path(folder, name)
            for folder, _, names in os.walk(self.home)
            for name in names
            if name.endswith(".log")
        ]

    def port(self, name):
        return self.ports[name]

    def secret(self, name):
        return json.loads((self.home / "secrets" / name).read_text())

    def word(self, path):
        return (self.home / path).read_text().strip()

    def get(self, path):
        (token,) = (
            t for t, owner in self.secret("api_tokens.json").items() if owner["role"] == "operator"
        )
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{self.port('API')}/api/v1{path}"
        return self.http.get(url, headers=headers).raise_for_status().json()

    def episodes(self):
        """Return the raise of each episode, by id."""
        return {episode["id"]: episode["raised_at"] for episode in self.get("/episodes")["items"]}

    @contextmanager
    def opened(self):
        """Yield settings, stores and platform in this process, beside the running ones."""
        with patch.dict(os.environ, self.environ):
            settings = read_settings(os.environ)
            with open_stores(settings) as stores, open_platform(settings) as platform:
                yield settings, stores, platform

    def scheduler(self):
        """Return Airflow with its log, as a person uses it."""
        password = self.secret("airflow_passwords.json")["admin"]
        return Airflow(
            sign_in(f"http://127.0.0.1:{self.port('AIRFLOW')}", password), self.home / "logs"
        )


def is_alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def listening_of(process):
    """Return the addresses at which a process listens; none of one that has ended."""
    try:
        connections = process.net_connections(kind="inet")
    except psutil.NoSuchProcess:
        return set()
    return {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}


def own_addresses():
    """Yield the addresses at which any process of this user listens."""
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
            _, address, _, state, *_, owner = line.split()[:8]
            if state == "0A" and int(owner) == os.getuid():
                digits, port = address.split(":")
                packed = b"".join(
                    bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8)
                )
                family = socket.AF_INET if table == "tcp" else socket.AF_INET6
                yield socket.inet_ntop(family, packed), int(port, 16)


def ended(processes, patience=HANG_S):
    """Return whether all processes have ended in time."""
    _, alive = psutil.wait_procs(processes, timeout=patience)
    return [process.cmdline() for process in alive if is_alive(process)] == []
