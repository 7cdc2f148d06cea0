"""The compose file, and how a service gets its secrets."""

import os
import re
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from alerting.adapters.airflow.dag_files import bundles, dag_folder
from alerting.cli import home_commands as commands
from alerting.cli.main import app as alerting
from alerting.console.app import create_app
from tests.helpers.compose_files import usual_services
from tests.in_memory_platform import in_memory_platform

ROOT = Path(__file__).parents[1]
ENTRYPOINT = ROOT / "config" / "docker" / "entrypoint.sh"
BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
JOBS = {"secrets", "prepare"}
SECRETS = (
    "mongodb_password",
    "api_tokens.json",
    "feedback_link_key",
    "model_key",
    "airflow_database_password",
    "broker_password",
    "airflow_fernet",
    "airflow_session",
    "airflow_jwt",
    "airflow_passwords.json",
    "mlflow_database_password",
    "mlflow_password",
    "reporting_database_password",
)


@pytest.fixture(scope="module")
def services() -> dict:
    return usual_services()


def write_secrets(folder: Path, names: tuple[str, ...] = SECRETS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"the-{name}")


def start(folder: Path, *command: str) -> subprocess.CompletedProcess:
    environ = {"PATH": os.environ["PATH"], "ALERTING_SECRETS": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(
        [ENTRYPOINT, *command], check=False, env=environ, capture_output=True, text=True
    )


def test_every_published_port_is_a_setting(services):
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {
        "api": ["127.0.0.1:${ALERTING_API_PORT:-8000}:8000"],
        "airflow-api": ["127.0.0.1:${ALERTING_AIRFLOW_PORT:-8080}:8080"],
        "mlflow": ["127.0.0.1:${ALERTING_MLFLOW_PORT:-5050}:5000"],
    }
    # The default address of links and pages follows the published port.
    assert services["api"]["environment"]["ALERTING_API_PORT"] == "${ALERTING_API_PORT:-8000}"


def test_one_command_of_the_documents_prints_the_link_of_the_first_sign_in(services, monkeypatch):
    command = "docker compose exec api alerting access person add ada --role admin"
    assert command in (ROOT / "docs" / "install.md").read_text()
    assert command in (ROOT / "README.md").read_text()
    platform = in_memory_platform()
    monkeypatch.setattr(commands, "platform", lambda: nullcontext(platform))
    environ = {"ALERTING_API_PORT": "8000", "COLUMNS": "300"}  # as of the image
    printed = CliRunner().invoke(alerting, command.split()[5:], env=environ).output
    link = re.search(r"http://(localhost|127\.0\.0\.1):8000/password/\S+", printed)[0]
    app = create_app(platform, {"operator-token-0123456789": ("operator", "operator")})
    browser = TestClient(app, base_url=link.partition("/password/")[0], follow_redirects=False)
    given = {"password": "correct horse battery", "again": "correct horse battery"}
    assert browser.post(link, data=given).status_code == 303
    assert browser.get("/access").status_code == 200
    assert browser.post(link, data=given).status_code == 410


def test_the_database_takes_no_compressed_message_of_a_stranger(services):
    """A server older than 7.0.28 inflates it before any sign-in, and answers with pieces of its
    memory (CVE-2025-14847)."""
    assert "--networkMessageCompressors=disabled" in services["mongodb"]["command"]


def test_a_worker_is_healthy_while_celery_has_given_its_process_its_name():
    check = [sys.executable, "-I", "-S", ENTRYPOINT.parent / "running.py"]
    named = ["bash", "-c", "exec -a '[celeryd: celery@host:MainProcess] -active-' sleep 600"]
    with subprocess.Popen(named) as worker:
        name = "[celeryd: celery@host:MainProcess]"
        try:
            until = time.monotonic() + 60
            while found := subprocess.run([*check, name], check=False).returncode:
                assert time.monotonic() < until
        finally:
            worker.kill()
    assert found == 0
    ended = subprocess.run([*check, name], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, f"no process {name} runs\n")


def test_every_service_is_checked_and_comes_back_every_job_runs_once_and_each_waits_for_its_needs(
    services,
):
    restarts = {name: service["restart"] for name, service in services.items()}
    assert restarts == {name: "no" if name in JOBS else "unless-stopped" for name in services}
    assert [name for name in services if ("healthcheck" in services[name]) == (name in JOBS)] == []
    needs = [need for one in services.values() for need in one.get("depends_on", {}).values()]
    conditions = {need["condition"] for need in needs}
    assert conditions == {"service_healthy", "service_completed_successfully"}


def test_only_the_job_that_makes_secrets_may_write_them_and_none_stands_in_the_compose_file(
    services,
):
    writers = {
        name
        for name, service in services.items()
        for volume in service["volumes"]
        if volume.split(":")[0].endswith("-secrets") and not volume.endswith(":ro")
    }
    assert writers == {"secrets"}
    words = ("PASSWORD", "SECRET", "TOKEN", "KEY")
    keys = {key for service in services.values() for key in service.get("environment", {})}
    secret = {key for key in keys if any(word in key for word in words)}
    assert {key for key in secret if not key.endswith("_FILE")} == set()


def test_every_service_reads_the_dag_files_of_its_image_and_the_dag_processor_makes_its_own(
    services,
):
    folder = Path(services["airflow-scheduler"]["environment"]["AIRFLOW__CORE__DAGS_FOLDER"])
    assert f"write_dag_files(Path('{folder.parent}'))" in (ROOT / "Dockerfile").read_text()
    assert dag_folder(folder.parent) == folder
    assert services["airflow-dags"]["command"][-1] == "alerting.local.airflow.dag_processor"
    home = re.search(r"ALERTING_HOME=(\S+)", (ROOT / "Dockerfile").read_text())[1]
    names = ("airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer")
    found = {services[name]["environment"][BUNDLES] for name in names}
    assert found == {bundles(Path(home))}


def start_database(folder: Path, database: str) -> subprocess.CompletedProcess:
    script = ENTRYPOINT.parent / "with-secrets.sh"
    environ = {"PATH": os.environ["PATH"], "ALERTING_SECRETS": str(folder)}
    command = ["/bin/sh", script, database, "echo", "started"]
    return subprocess.run(command, check=False, env=environ, capture_output=True, text=True)


SECRETS_OF_DATABASES = {
    "mongodb": ("keyfile", "root_password"),
    "postgres": ("root_password", "airflow", "mlflow"),
    "redis": ("redis.conf",),
}


def test_what_lacks_a_secret_refuses_to_start_and_says_which(tmp_path):
    found = {}
    for missing in SECRETS:
        folder = tmp_path / missing
        write_secrets(folder)
        (folder / missing).unlink()
        done = start(folder, "echo", "started")
        said = missing in done.stderr and "started" not in done.stdout
        found[missing] = (done.returncode, said)
    for database, names in SECRETS_OF_DATABASES.items():
        for missing in names:
            folder = tmp_path / database / missing
            write_secrets(folder, names)
            (folder / missing).write_text("")
            done = start_database(folder, database)
            said = f"{folder}/{missing} of {database} is missing" in done.stderr
            found[database, missing] = (done.returncode, said)
    assert found == dict.fromkeys(found, (1, True))


def test_secrets_become_the_settings_of_the_parts(services, tmp_path):
    write_secrets(tmp_path)
    environ = dict(line.split("=", 1) for line in start(tmp_path, "env").stdout.splitlines())

    assert environ["ALERTING_MONGODB_URI"].startswith(
        "mongodb://alerting:the-mongodb_password@mongodb:27017/"
    )
    assert environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith(
        "the-airflow_database_password@postgres:5432/airflow"
    )
    assert environ["MLFLOW_BACKEND_STORE_URI"].endswith(
        "the-mlflow_database_password@postgres:5432/mlflow"
    )
    broker = "redis://:the-broker_password@broker:6379/0"
    assert environ["AIRFLOW__CELERY__BROKER_URL"] == broker
    assert environ["AIRFLOW__API_AUTH__JWT_SECRET"] == "the-airflow_jwt"
    assert environ["ALERTING_LINK_KEY_FILE"] == str(tmp_path / "feedback_link_key")
    assert environ["ALERTING_MODEL_KEY_FILE"] == str(tmp_path / "model_key")
    passwords = Path(environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert passwords.stat().st_mode & 0o077 == 0
    assert passwords.read_text() == "the-airflow_passwords.json"
    command = services["mlflow"]["command"]
    assert command[command.index("--app-name") + 1] == "alerting"
    assert environ["MLFLOW_TRACKING_USERNAME"] == "alerting"
    assert environ["MLFLOW_TRACKING_PASSWORD"] == "the-mlflow_password"
    assert environ["ALERTING_MLFLOW_PASSWORD_FILE"] == str(tmp_path / "mlflow_password")


def test_a_program_of_the_image_finds_the_settings_also_when_it_is_started_by_exec(tmp_path):
    """`docker compose exec` starts what the image's PATH names, without its entry point and its
    variables."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    programs = dockerfile.split("for name in ")[1].split(";")[0].split()
    assert {"alerting", "airflow", "mlflow"} <= set(programs)
    assert "PATH=/opt/alerting/bin:$PATH" in dockerfile
    secrets, real, front = (tmp_path / name for name in ("secrets", "programs", "bin"))
    write_secrets(secrets)
    real.mkdir()
    front.mkdir()
    (real / "alerting").write_text('#!/bin/sh\necho "$ALERTING_MONGODB_URI" "$@"\n')
    (real / "alerting").chmod(0o755)
    (front / "alerting").symlink_to(ENTRYPOINT.parent / "with-settings.sh")
    environ = {
        "PATH": f"{front}:{os.environ['PATH']}",
        "ALERTING_SECRETS": str(secrets),
        "TMPDIR": str(tmp_path),
        "ALERTING_ENTRYPOINT": str(ENTRYPOINT),
        "ALERTING_PROGRAMS": str(real),
    }
    command = ["alerting", "list", "--json", "two words"]
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("mongodb://alerting:the-mongodb_password@mongodb:27017/")
    assert done.stdout.endswith("list --json two words\n")
