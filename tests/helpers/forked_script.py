"""The script `alerting` for shells, forked from a process that has imported its libraries: a
training imports for six seconds of CPU time, every other command for one or more."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.helpers.forked import LIBRARIES_OF_COMMANDS, SERVER

HANG_S = 600.0
LIBRARIES_OF_MODELS = (
    *(
        f"alerting.kinds.{kind}.kind"
        for kind in ("anomaly", "classifier", "control_chart", "forecast", "threshold")
    ),
    "alerting.learning.models.families.lightgbm",
    "alerting.learning.models.families.logistic_regression",
    "alerting.learning.models.families.random_forest",
    "alerting.usecases.notification.delivery",
    "alerting.usecases.make_reports",
    "alerting.usecases.training.training_steps",
    "matplotlib.pyplot",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "onnx",
    "optuna",
    "shap",
)
SCRIPT = """#!{python} -IS
import json, os, socket, sys

request = {{
    "arguments": ["alerting", *sys.argv[1:]], "cwd": os.getcwd(), "environ": dict(os.environ)
}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps(request).encode() + b"\\n"], [0, 1, 2])
    code = int(server.recv(20))
sys.exit(code if code >= 0 else 128 - code)
"""


@contextmanager
def alerting_script() -> Iterator[Path]:
    """Yield a folder for the beginning of PATH, with `alerting` alone. One command runs at a
    time."""
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with TemporaryDirectory() as folder:  # the address of a socket has 107 characters at most
        address = Path(folder, "socket")
        script = Path(folder, "bin", "alerting")
        script.parent.mkdir()
        script.write_text(SCRIPT.format(python=sys.executable, address=str(address)))
        script.chmod(stat.S_IRWXU)
        with subprocess.Popen(
            [
                *(sys.executable, SERVER, address, "alerting.cli.main:main"),
                *(*LIBRARIES_OF_COMMANDS, *LIBRARIES_OF_MODELS),
            ],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # no file: a stream that could seek cannot take over a pipe
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as server:
            try:
                deadline = time.monotonic() + HANG_S
                while not address.exists():
                    assert server.poll() is None, server.stderr.read()
                    assert time.monotonic() < deadline, "the libraries were not imported"
                    time.sleep(0.05)
                yield script.parent
            finally:
                os.killpg(server.pid, signal.SIGTERM)
