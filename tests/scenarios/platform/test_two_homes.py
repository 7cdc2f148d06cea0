"""Two hosts with nothing in common but servers: no file that one writes is used by the other."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from alerting.adapters.mongo.mongo import open_stores
from alerting.ports import ReadingRow
from alerting.settings.environment import LINK_KEY, MODEL_KEY
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import HandClock, platform_on
from tests.support import free_port, local_client

pytestmark = pytest.mark.server
DATABASE = "two-homes"
HANG_S = 600.0
# Python imports a module of this name at its start: each file that is opened or renamed is recorded
RECORDER = """
import os, sys
_log = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def _record(event, given):
    if event == "open":
        found = [(given[0], (given[2] or 0) & _WRITES)]
    elif event in ("os.rename", "os.link"):
        found = [(given[0], True), (given[1], True)]
    elif event in ("os.utime", "os.mkdir", "os.remove"):
        found = [(given[0], True)]
    elif event == "sqlite3.connect":
        found = [(given[0], True)]
    else:
        return
    for path, writes in found:
        if isinstance(path, (str, bytes, os.PathLike)):
            path = os.path.realpath(os.fsdecode(path))
            os.write(_log, f"{'w' if writes else 'r'} {path}\\n".encode(errors="replace"))
sys.addaudithook(_record)
"""


@dataclass
class Host:
    """A host: a folder of its own for home, user and temporary files, and its mounted secrets."""

    folder: Path
    servers: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("recorder", "user", "tmp"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "recorder" / "sitecustomize.py").write_text(RECORDER)

    def mount(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        variable = "LINK" if name == LINK_KEY else "MODEL"
        self.secrets[f"ALERTING_{variable}_KEY_FILE"] = str(path)

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "alerting.cli.main", *words],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(self.folder / "recorder"), *sys.path]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "RECORD": str(self.folder / "record"),
                "HOME": str(self.folder / "user"),
                "TMPDIR": str(self.folder / "tmp"),
                "ALERTING_HOME": str(self.folder / "home"),
                **self.servers,
                **self.secrets,
            },
            cwd=self.folder / "user",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self, *access: str) -> set[str]:
        lines = (self.folder / "record").read_text(errors="replace").splitlines()
        return {one[2:] for one in lines if one[0] in access and not one[2:].startswith("/dev/")}


@pytest.fixture
def mlflow(tmp_path):
    """Address of an MLflow server that serves its artifacts."""
    port = free_port()
    folder = tmp_path / "mlflow"
    folder.mkdir()
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    )
    environ = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environ, stdout=log, stderr=log, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + HANG_S
    try:
        while not _answers(address):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(HANG_S)


def _answers(address: str) -> bool:
    try:
        return local_client().get(f"{address}/health").is_success
    except httpx.HTTPError:
        return False


@pytest.fixture
def hosts(real_server, mlflow, tmp_path):
    servers = {
        "ALERTING_MONGODB_URI": real_server,
        "ALERTING_DATABASE": DATABASE,
        "ALERTING_MLFLOW_URI": mlflow,
        "ALERTING_LATENCY": "0s",
    }
    one, other = (Host(tmp_path / name, servers) for name in ("one", "other"))
    one.run("prepare")
    for name in (LINK_KEY, MODEL_KEY):
        text = (one.folder / "home" / "secrets" / name).read_text()
        one.mount(name, text)
        other.mount(name, text)
    with open_stores(real_server, DATABASE) as stores:
        yield one, other, platform_on(stores, (), HandClock(at(8 * DAY)))
        stores.database.client.drop_database(DATABASE)


@pytest.mark.night
def test_one_host_trains_and_the_other_scores_evaluates_and_notifies_without_a_common_file(hosts):
    one, other, platform = hosts
    platform.assets.store_assets([humid_oven(), oven()])
    add_readings(platform, line(days=8), at(0))
    definitions = one.folder / "definitions.yaml"
    definitions.write_text(yaml.safe_dump_all([learned_quickly(), too_hot()]))
    one.run("apply", str(definitions))
    one.run("train", NAME, "--as-of", at(8 * DAY).isoformat())
    (scored,) = json.loads(other.run("score", NAME, "--json"))
    assert (scored["asset"], scored["model_version"]) == (ASSET, 1)
    now = datetime.now(UTC)  # a definition evaluates from its activation on
    add_readings(platform, [ReadingRow("oven-1", now, {"temperature": 240.0})], now)
    said = other.run("evaluate", "too-hot")
    (episode,) = platform.episodes.find(definition="too-hot")
    assert f'"episode":"{episode.id}"' in said.replace(" ", ""), said
    assert not list((other.folder / "home").rglob("notifications.log"))

    assert one.files("r") and other.files("r")
    for writer, reader in ((one, other), (other, one)):
        assert writer.files("w") & reader.files("r", "w") == set()
        foreign = {file for file in reader.files("r", "w") if file.startswith(f"{writer.folder}/")}
        assert foreign == set()
