"""Parts of the platform on one machine: the command, needs and readiness check of each."""

from __future__ import annotations

import math
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from alerting.adapters.airflow.dag_files import bundles, dag_folder, write_pools
from alerting.adapters.mongo import embedded_mongod
from alerting.adapters.mongo.embedded_mongod import cause
from alerting.adapters.mongo.mongod_access import address
from alerting.adapters.mongo.shared_mongod import data_folder
from alerting.deferred import httpx
from alerting.definitions.faults import UserError
from alerting.local.mlflow_app import PASSWORD_FILE
from alerting.local.prepare import NEW_KEYS, Secrets
from alerting.local.supervisor import Part
from alerting.settings.environment import LOOPBACK, Settings, variable
from alerting.settings.shipped_files import shipped
from alerting.wiring import MLFLOW_PASSWORD, mlflow_sign_in

PREPARE = "prepare"
# Once on a machine, while the others start: else the first evaluation of a model would wait for it.
_COMPILE_WINDOWS = (
    sys.executable,
    "-c",
    "import os, contextlib\nos.nice(10)\n"
    "with contextlib.suppress(Exception): import alerting.learning.features.compiled",
)
# Airflow waits so long for its SQLite file; after the usual 5 s its API answers 500 on a busy
# machine.
_LOCK_PATIENCE_S = 60
PROBE_TIMEOUT_S = 0.5


def answers(
    url: str,
    is_well: Callable[[httpx.Response], bool] = lambda _: True,
    tls_cert: Path | None = None,
) -> Callable[[], bool]:
    """Return a check that this address answers with success, and that its answer says that all is
    well.

    `tls_cert`: the certificate that it shows.
    """

    def ask() -> bool:
        try:
            answer = _probing_client(tls_cert).get(url)
        except httpx.HTTPError:
            return False
        return answer.is_success and is_well(answer)

    return ask


@cache
def _probing_client(tls_cert: Path | None = None) -> httpx.Client:
    """Return the client of all checks. Making a client takes 20 ms, and each starting part is
    checked ten times a second. With a certificate it trusts this one alone, whatever name it
    bears."""
    if tls_cert is None:
        return httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False)
    trust = ssl.create_default_context(cafile=str(tls_cert))
    trust.check_hostname = False
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False, verify=trust)


def environment(
    settings: Settings, secrets: Secrets, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of every part. It omits MLflow's address: parts find their home's
    server, and work without it.

    Parts always write compiled Python files, even if the caller's shell disables them: that halves
    the time to start.
    """
    shared = {
        variable("home"): str(settings.home),
        variable("mongodb_uri"): mongodb_uri(settings),
        variable("api_tokens_file"): str(secrets.tokens_file),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # parts import nothing from their working directory
        "NO_PROXY": f"{LOOPBACK},localhost",
        "no_proxy": f"{LOOPBACK},localhost",
    }
    of_home = {  # the parts have one home
        variable("notification_log"): str(settings.home / "logs" / "notifications.log"),
    }
    passed_on = {
        name: value for name, value in inherited.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    return (
        of_home
        | passed_on
        | shared
        | (mlflow_sign_in(settings) if settings.mlflow_uri is None else {})
    )


def mongodb_uri(settings: Settings) -> str:
    """Return the database's URI, including the password of the embedded one."""
    return settings.mongodb_uri or address(data_folder(settings.home), settings.mongodb_port)


def mlflow_uri(settings: Settings) -> str:
    """Return MLflow's address for the parts."""
    return settings.mlflow_uri or f"http://{LOOPBACK}:{settings.mlflow_port}"


def mlflow_page(settings: Settings) -> str:
    """Return the page of runs and models: without its option, language models are shown."""
    return f"{mlflow_uri(settings)}/#/experiments?workflowType=machine_learning"


def airflow_uri(settings: Settings) -> str:
    """Return Airflow's address for people and parts."""
    return f"http://{LOOPBACK}:{settings.airflow_port}"


def airflow_environment(
    settings: Settings, secrets: Secrets, shared: Mapping[str, str]
) -> dict[str, str]:
    """Return the shared environment, `config/airflow.env`, and own folders, secrets."""
    home = settings.home / "airflow"
    of_home = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dag_folder(settings.home)),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": bundles(settings.home),
        "AIRFLOW__CORE__PARALLELISM": str(
            settings.background_slots + max(2, settings.evaluation_slots) + 1
        ),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow_uri(settings)}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": secrets.airflow_fernet,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secrets.airflow_passwords_file),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout={_LOCK_PATIENCE_S}",  # noqa: E501
        "AIRFLOW__API__BASE_URL": airflow_uri(settings),
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__SECRET_KEY": secrets.airflow_session,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.airflow_jwt,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(settings.home / "logs" / "airflow"),
    }
    lines = (line.strip() for line in shipped("config/airflow.env").read_text().splitlines())
    return {
        **shared,
        **dict(line.split("=", 1) for line in lines if line and not line.startswith("#")),
        **of_home,
    }


def all_parts(
    settings: Settings, secrets: Secrets, inherited: Mapping[str, str], demo: bool
) -> list[Part]:
    """Return all parts in display order: database, jobs that prepare, then the rest."""
    environ = environment(settings, secrets, inherited)
    if demo:  # its clock is faster than Airflow
        environ = _in_demo_time(settings) | environ
    airflow = airflow_environment(settings, secrets, environ)
    database = ("mongod",) if settings.mongodb_uri is None else ()
    filled = ("demo-past",) if demo else ()
    mlflow = ("mlflow",) if settings.mlflow_uri is None else ()
    parts = [mongod_part(settings, environ)] if database else []
    parts.append(Part("windows", "compiling feature windows", _COMPILE_WINDOWS, environ, once=True))
    if mlflow:
        parts.append(mlflow_part(settings, environ))
    migration = airflow_migration(settings, airflow)
    # keys of the embedded database are those of its home
    command = f"prepare {NEW_KEYS}" if database else "prepare"
    parts.append(_job(PREPARE, "preparing the database", command, environ, database))
    if demo:
        parts.append(
            _job("demo-past", "filling the past of the demo line", "demo fill", environ, (PREPARE,))
        )
    parts += migration
    parts.append(api_part(settings, environ, (PREPARE, *mlflow)))
    parts += airflow_parts(
        settings, airflow, (PREPARE, *filled, *(part.name for part in migration))
    )
    parts.append(stream_part(settings, environ, ("airflow-dags",)))
    parts.append(
        Part("clean", "nightly cleaning", _module("clean"), airflow, ("airflow-scheduler",))
    )
    if demo:
        needs = (*mlflow, "airflow-scheduler", "airflow-dags")
        parts.append(_job("first-training", "training", "demo train", environ, needs))
        parts.append(
            Part("demo-line", "demo line", _module("demo run"), environ, ("first-training",))
        )
    return parts


def _in_demo_time(settings: Settings) -> dict[str, str]:
    limits = {
        "evaluation_late": settings.health_limits.evaluation_late,
        "source_stale": settings.health_limits.source_stale,
    }
    return {
        variable(name): f"{math.ceil(limit.total_seconds() * settings.demo_speed)}s"
        for name, limit in limits.items()
    }


def mongod_part(settings: Settings, environ: Mapping[str, str]) -> Part:
    """Return the embedded database."""
    folder = data_folder(settings.home)

    def primary() -> bool:
        try:
            embedded_mongod.make_primary(folder, settings.mongodb_port, patience=0.0)
        except UserError:
            return False
        return True

    command = embedded_mongod.mongod_command(folder, settings.mongodb_port)
    log = folder / embedded_mongod.LOG
    return Part(
        "mongod",
        "MongoDB",
        command,
        environ,
        ready=primary,
        grace_s=30.0,
        writes_to=log,
        cause=lambda: cause(log, folder),
    )


def api_part(settings: Settings, environ: Mapping[str, str], needs: tuple[str, ...]) -> Part:
    """Return the API with the operator's pages."""
    return Part(
        "api",
        "API",
        (sys.executable, "-m", "alerting.console.serve"),
        environ,
        needs,
        answers(f"{settings.api_address}/api/v1/health", tls_cert=settings.tls_cert),
    )


def stream_part(settings: Settings, environ: Mapping[str, str], needs: tuple[str, ...]) -> Part:
    """Return the service that stores and evaluates messages of brokers, or waits."""
    alive = settings.home / "logs" / "stream.alive"
    command = (sys.executable, "-m", "alerting.cli.main", "stream", "--alive", str(alive))
    return Part("stream", "stream service", command, environ, needs, lambda: _is_recent(alive))


def _is_recent(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime < 5.0
    except FileNotFoundError:
        return False


def airflow_migration(settings: Settings, environ: Mapping[str, str]) -> list[Part]:
    """Return the job that creates or migrates Airflow's database with the pools of long work; none
    if database and pools are up to date.

    Airflow never starts a task that names a missing pool.
    """
    done = settings.home / "airflow" / "migrated_to"
    slots = str(settings.background_slots)
    now = f"{version('apache-airflow-core')} with {slots} background slots and a predict pool"
    if done.exists() and done.read_text() == now:
        return []
    pools = write_pools(settings.home, settings.background_slots)
    command = (
        *(sys.executable, "-m", "alerting.adapters.airflow.migrate"),
        *(now, str(done), str(pools)),
    )
    return [Part("airflow-database", "Airflow's database", command, environ, once=True)]


def airflow_parts(
    settings: Settings, environ: Mapping[str, str], needs: tuple[str, ...]
) -> list[Part]:
    """Return Airflow's API server, scheduler, DAG processor, and triggerer where the settings want
    one; each can restart alone."""
    command = (sys.executable, "-m", "airflow")
    url = airflow_uri(settings)
    return [
        Part(
            "airflow-api",
            "Airflow's API",
            (*command, "api-server"),
            environ,
            needs,
            answers(f"{url}/api/v2/version"),
        ),
        Part(
            "airflow-scheduler",
            "Airflow's scheduler",
            # its log server listens on all addresses; the API reads the files
            (*command, "scheduler", "--skip-serve-logs"),
            environ,
            needs,
            _alive(url, "scheduler"),
            uses=("airflow-api",),
            grace_s=20.0,  # the scheduler waits for its tasks, which report to the API
        ),
        Part(
            "airflow-dags",
            "Airflow's DAGs",
            _module("airflow.dag_processor"),
            environ,
            needs,
            _alive(url, "dag_processor"),
        ),
    ] + [
        Part(
            "airflow-triggerer",
            "Airflow's triggerer",
            (*command, "triggerer", "--skip-serve-logs"),
            environ,
            needs,
            _alive(url, "triggerer"),
            uses=("airflow-api",),
        )
    ] * settings.triggerer


def _alive(airflow: str, component: str) -> Callable[[], bool]:
    return answers(
        f"{airflow}/api/v2/monitor/health",
        lambda answer: answer.json()[component]["status"] == "healthy",
    )


def mlflow_part(settings: Settings, environ: Mapping[str, str]) -> Part:
    """Return MLflow on SQLite, behind its password.

    Clients write artifacts directly to disk, so a run is readable with and without the server.
    """
    arguments = {
        "--host": LOOPBACK,
        "--port": str(settings.mlflow_port),
        "--app-name": "alerting",
        "--workers": "1",
        "--backend-store-uri": settings.mlflow_database,
    }
    command = (
        *(sys.executable, "-m", "mlflow", "server"),
        *(word for argument in arguments.items() for word in argument),
        *("--no-serve-artifacts", "--default-artifact-root", settings.mlflow_artifacts.as_uri()),
    )
    password = settings.home / "secrets" / MLFLOW_PASSWORD
    options = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", PASSWORD_FILE: str(password)}
    return Part(
        "mlflow",
        "MLflow",
        command,
        {**environ, **options},
        ready=answers(f"{mlflow_uri(settings)}/health"),
    )


def _job(
    name: str, busy: str, module: str, environ: Mapping[str, str], needs: tuple[str, ...]
) -> Part:
    return Part(name, busy, _module(module), environ, needs, once=True, talks=True)


def _module(command: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *f"alerting.local.{command}".split())
