"""Commands in processes forked from one that has imported their libraries: each starts in
milliseconds instead of seconds."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SERVER = Path(__file__).with_name("forked_server.py")
TIMEOUT_S = 600.0
LIBRARIES_OF_COMMANDS = (
    "alerting.adapters.receivers.egress",
    "alerting.adapters.mongo.shared_mongod",
    "alerting.adapters.mlflow.mlflow_registry",
    "alerting.adapters.mongo.prepare",
    "alerting.local.prepare",
    "alerting.usecases.definitions.revisions_and_evaluation_plan",
    "alerting.usecases.evaluation.rounds",
    "alerting.usecases.ingestion.arrived_rows",
    "alerting.wiring",
)


class Forked:
    """A process that has imported `function` ("module:function") and `modules`. A context manager.

    `run` is like `subprocess.run`: a process of its own with its own exit code, output, folder and
    environment. A function that raises ends it with a traceback, as a script would. One runs at a
    time.
    """

    def __init__(
        self, folder: Path, function: str, *modules: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self._program = function.partition(".")[0]
        self._out = folder / "out"
        self._err = folder / "err"
        self._words = folder / "server"
        with self._words.open("wb") as words:
            self._server = subprocess.Popen(
                [sys.executable, SERVER, "-", function, *modules],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                bufsize=0,  # what is read beyond a line would be hidden from `select`
                start_new_session=True,
            )

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate(timeout=600)

    def run(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> subprocess.CompletedProcess[str]:
        """Return how the command ended and what it printed. Raises TimeoutExpired, and the command
        is killed."""
        words = [self._program, *map(str, arguments)]
        request = {
            "arguments": words,
            "cwd": str(cwd or Path.cwd()),
            "environ": dict(os.environ if environ is None else environ),
            "stdout": str(self._out),
            "stderr": str(self._err),
        }
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        child = self._answer()
        is_late = not select.select([self._server.stdout], [], [], timeout)[0]
        if is_late:
            os.kill(child, signal.SIGKILL)
        code = self._answer()
        if is_late:
            raise subprocess.TimeoutExpired(
                words, timeout, self._out.read_text(), self._err.read_text()
            )
        return subprocess.CompletedProcess(
            words, code, self._out.read_text(), self._err.read_text()
        )

    def _answer(self) -> int:
        """Return the next line of the server: the id of a process or its exit code."""
        line = self._server.stdout.readline()
        assert line, f"the process that imports the libraries has ended: {self._words.read_text()}"
        return int(line)


def alerting_commands(folder: Path) -> Forked:
    """Return the command `alerting` with its libraries imported, which costs each a second.

    What a command itself loads is a matter of tests/cli/test_light_commands.py.
    """
    # A console that is made where COLUMNS is set keeps that width.
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return Forked(folder, "alerting.cli.main:main", *LIBRARIES_OF_COMMANDS, environ=environ)
