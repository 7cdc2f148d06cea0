"""A cluster on one machine: real PostgreSQL, Redis and MongoDB, Airflow's parts, and Celery workers
that each have a home of their own."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.local import parts
from alerting.local.prepare import load_or_create
from alerting.settings.environment import Settings
from alerting.settings.home_folder import load_or_create_key
from alerting.wiring import prepare_database
from tests.cluster.host import HOST
from tests.helpers.brokers import Redis
from tests.helpers.postgres import postgres_server
from tests.helpers.scheduler import Airflow, Started, end_all, running_airflow
from tests.support import free_port

ROOT = Path(__file__).parents[2]


@dataclass
class Cluster:
    """A running cluster. `settings`: of its first home. `workers`: by name."""

    settings: Settings
    airflow: Airflow
    redis: Redis
    workers: dict[str, Started]


@contextmanager
def running_cluster(
    folder: Path,
    queues: Mapping[str, str],
    concurrency: int = 2,
    mongodb_uri: str | None = None,
    **variables: str,
) -> Iterator[Cluster]:
    """Start a cluster in a folder, and stop it. `queues`: those of each worker, separated by
    commas, by its name. `mongodb_uri`: a database that runs already, else one is started.
    `variables` are those of every part of Airflow."""
    home = folder / "home"
    home.mkdir()
    with ExitStack() as stack:
        if mongodb_uri is None:
            server = EmbeddedMongod(folder / "mongod", free_port())
            mongodb_uri = stack.enter_context(server).uri
        database = stack.enter_context(contextmanager(postgres_server)())
        redis = started_redis(folder)
        stack.callback(redis.stop)
        settings = Settings(
            home=home,
            mongodb_uri=mongodb_uri,
            airflow_port=free_port(),
            api_port=free_port(),
            evaluation_slots=concurrency * sum("evaluation" in each for each in queues.values()),
        )
        prepare_database(settings)
        load_or_create_key(home / "secrets" / "model_key")
        lines = (ROOT / "config" / "cluster.env").read_text().splitlines()
        common = {
            **dict(line.split("=", 1) for line in lines if line and not line.startswith("#")),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{database[10:]}",
            "AIRFLOW__CELERY__BROKER_URL": redis.address(redis.port),
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(concurrency),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "tests.cluster.host.name",
            "ALERTING_EVALUATION_SLOTS": str(settings.evaluation_slots),
            "PYTHONPATH": str(ROOT),
            **variables,
        }
        airflow = stack.enter_context(running_airflow(settings, **common))
        workers: dict[str, Started] = {}
        stack.callback(lambda: end_all(workers.values()))
        for name, of_worker in queues.items():
            workers[name] = start_worker(folder, settings, name, of_worker, common)
        yield Cluster(settings, airflow, redis, workers)


def started_redis(folder: Path, port: int | None = None) -> Redis:
    """Start an empty Redis, on the port of an earlier one if given."""
    redis = Redis(folder)
    redis.port = port or redis.port
    redis.start()
    return redis


def start_worker(
    folder: Path, settings: Settings, name: str, queues: str, variables: Mapping[str, str]
) -> Started:
    """Start a worker with a home of its own, which holds DAG files and the secrets alone."""
    secrets = load_or_create(settings.home / "secrets")
    own = replace(settings, home=folder / name)
    shutil.copytree(settings.home / "secrets", own.home / "secrets", dirs_exist_ok=True)
    write_dag_files(own.home)
    environ = parts.airflow_environment(own, secrets, parts.environment(own, secrets, os.environ))
    command = (
        *(sys.executable, "-m", "alerting.local.airflow.worker", "--skip-serve-logs"),
        *("--queues", queues, "--celery-hostname", f"{name}@cluster"),
        *("--without-mingle", "--without-gossip"),
    )
    log = settings.home / "logs" / f"{name}.log"
    return Started(command, environ | variables | {HOST: name}, log)
