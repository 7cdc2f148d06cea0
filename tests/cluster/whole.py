"""The whole platform as on several machines: a replica set of three, PostgreSQL, Redis, Airflow,
three workers, two APIs, two stream services and MLflow, each a process of its own."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from alerting.client import Client
from alerting.local import parts
from alerting.local.parts import Part
from alerting.local.prepare import Secrets, load_or_create
from alerting.settings.environment import Settings
from tests.cluster.cluster import Cluster, running_cluster
from tests.helpers.replica_set import Members, replica_set
from tests.helpers.scheduler import PAUSED, Started, end_all
from tests.support import free_port

QUEUES = {
    "worker-1": "evaluation,background",
    "worker-2": "evaluation",
    "worker-3": "evaluation,background",
}
PATIENCE_S = 300.0
POLL_S = 0.1
QUIET_LOOKS = 20


@dataclass
class Whole:
    """All that runs. `services`: APIs, stream services and MLflow by name. `addresses`: of the
    APIs."""

    cluster: Cluster
    members: Members
    services: Mapping[str, Started]
    addresses: Mapping[str, str]
    secrets: Secrets

    def client(self, api: str, role: str = "engineer") -> Client:
        """Return a client of one API with the token of a role."""
        return Client(self.addresses[api], self.secrets.api_tokens[role])


@contextmanager
def whole_cluster(folder: Path, concurrency: int = 2, **variables: str) -> Iterator[Whole]:
    """Start everything in a folder, and stop it. `variables` are those of every process."""
    mlflow_port = free_port()
    common = {"ALERTING_MLFLOW_URI": f"http://127.0.0.1:{mlflow_port}", PAUSED: "False"}
    variables = common | variables
    with ExitStack() as stack:
        where = folder / "members"
        where.mkdir(mode=0o700)
        members = stack.enter_context(replica_set(where))
        cluster = stack.enter_context(
            running_cluster(folder, QUEUES, concurrency, members.uri, **variables)
        )
        settings = replace(cluster.settings, mlflow_port=mlflow_port)
        secrets = load_or_create(settings.home / "secrets")
        ports = {"api-1": settings.api_port, "api-2": free_port()}
        logs = settings.home / "logs"
        services: dict[str, Started] = {}
        stack.callback(lambda: end_all(services.values()))
        started = _services(settings, secrets, folder, ports, variables)
        for part in started:
            services[part.name] = Started(part.command, part.environ, logs / f"{part.name}.log")
        for part in started:
            wait_for(part.ready, f"{part.name} to answer")
        logs_of = [worker.log for worker in cluster.workers.values()]
        wait_for(lambda: all(" ready." in log.read_text() for log in logs_of), "all workers")
        _wait_for_dag_files(cluster)
        addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        yield Whole(cluster, members, services, addresses, secrets)


def _wait_for_dag_files(cluster: Cluster) -> None:
    """Wait until the DAG processor has read all files for the first time."""
    processor = psutil.Process(cluster.airflow.parts["airflow-dags"].process.pid)
    looks: list[int] = []

    def is_idle() -> bool:
        # beside it Airflow's manager, and a process for each file that is read
        looks.append(len(processor.children(recursive=True)))
        return looks[-QUIET_LOOKS:] == [1] * QUIET_LOOKS

    wait_for(is_idle, "all DAG files to be read once")


def _services(
    settings: Settings,
    secrets: Secrets,
    folder: Path,
    ports: Mapping[str, int],
    variables: Mapping[str, str],
) -> list[Part]:
    environ = {**parts.environment(settings, secrets, os.environ), **variables}
    mlflow = parts.mlflow_part(settings, environ)
    # it serves artifacts to hosts without a folder in common
    alone = mlflow.command[: mlflow.command.index("--no-serve-artifacts")]
    artifacts = ("--artifacts-destination", str(folder / "artifacts"))
    found = [replace(mlflow, command=(*alone, *artifacts))]
    for name, port in ports.items():
        own = replace(settings, api_port=port)
        api = parts.api_part(own, environ | {"ALERTING_API_PORT": str(port)}, ())
        found.append(replace(api, name=name))
    for name in ("stream-1", "stream-2"):
        alive = settings.home / "logs" / f"{name}.alive"
        stream = parts.stream_part(settings, environ, ())
        command = (*stream.command[:-1], str(alive))
        found.append(replace(stream, name=name, command=command, ready=alive.exists))
    return found


def wait_for(
    happened: Callable[[], object],
    what: str,
    seconds: float = PATIENCE_S,
    poll_s: float = POLL_S,
) -> float:
    """Wait until something is so; returns the seconds that it took."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds, f"waited {seconds:g} s for {what}"
        time.sleep(poll_s)
    return time.monotonic() - began
