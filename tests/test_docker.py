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

from alerting.adapters.airflow.dag_files import dag_folder
from alerting.cli import up as commands
from alerting.cli.main import app as alerting
from alerting.console.app import create_app
from tests.helpers.compose_files import usual_services
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[1]
ENTRYPOINT = ROOT / "config" / "docker" / "entrypoint.sh"
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
)


@pytest.fixture(scope="module")
def services() -> dict:
    return usual_services()


def start(folder: Path, *command: str) -> subprocess.CompletedProcess:
    environ = {"PATH": os.environ["PATH"], "ALERTING_SECRETS": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(
        [ENTRYPOINT, *command], check=False, env=environ, capture_output=True, text=True
    )


def test_nothing_is_published_beyond_the_loopback_address(services):
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"api", "airflow-api", "mlflow"}
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)


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
    assert command in (ROOT / "docs" / "operations.md").read_text()
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


def test_every_service_has_a_health_check_and_comes_back_and_every_job_runs_once(services):
    for name, service in services.items():
        if name in JOBS:
            assert service["restart"] == "no"
        else:
            assert "healthcheck" in service, name
            assert service["restart"] == "unless-stopped", name


def test_services_start_when_what_they_need_is_ready_and_not_merely_started(services):
    conditions = {
        c["condition"] for s in services.values() for c in s.get("depends_on", {}).values()
    }
    assert conditions == {"service_healthy", "service_completed_successfully"}


def test_only_the_job_that_makes_secrets_may_write_them(services):
    for name, service in services.items():
        mounts = [
            volume
            for volume in service.get("volumes", [])
            if volume.split(":")[0].endswith("-secrets")
        ]
        assert mounts, name
        assert all(mount.endswith(":ro") for mount in mounts) == (name != "secrets"), name


def test_every_service_reads_the_dag_files_of_its_image_and_the_dag_processor_makes_its_own(
    services,
):
    folder = Path(services["airflow-scheduler"]["environment"]["AIRFLOW__CORE__DAGS_FOLDER"])
    assert f"write_dag_files(Path('{folder.parent}'))" in (ROOT / "Dockerfile").read_text()
    assert dag_folder(folder.parent) == folder
    assert services["airflow-dags"]["command"][-1] == "alerting.local.airflow.dag_processor"


def test_no_password_stands_in_the_compose_file(services):
    for service in services.values():
        for key, value in service.get("environment", {}).items():
            if any(word in key for word in ("PASSWORD", "SECRET", "TOKEN", "KEY")):
                assert key.endswith("_FILE"), f"{key}={value}"


@pytest.mark.parametrize("missing", SECRETS)
def test_a_service_without_a_secret_refuses_to_start_and_says_which(tmp_path, missing):
    for name in SECRETS:
        if name != missing:
            (tmp_path / name).write_text("x")

    refused = start(tmp_path, "echo", "started")

    assert refused.returncode == 1
    assert missing in refused.stderr
    assert "started" not in refused.stdout


@pytest.mark.parametrize(
    ("database", "names"),
    [
        ("mongodb", ("keyfile", "root_password")),
        ("postgres", ("root_password", "airflow", "mlflow")),
        ("redis", ("redis.conf",)),
    ],
)
def test_a_database_without_a_secret_refuses_to_start_and_says_which(tmp_path, database, names):
    script = ENTRYPOINT.parent / "with-secrets.sh"
    environ = {"PATH": os.environ["PATH"], "ALERTING_SECRETS": str(tmp_path)}
    for missing in names:
        for name in names:
            (tmp_path / name).write_text("" if name == missing else "x")

        refused = subprocess.run(
            ["/bin/sh", script, database, "echo"],
            check=False,
            env=environ,
            capture_output=True,
            text=True,
        )

        assert refused.returncode == 1
        assert f"{tmp_path}/{missing} of {database} is missing" in refused.stderr


def test_secrets_become_the_settings_of_the_parts(tmp_path):
    for name in SECRETS:
        (tmp_path / name).write_text(f"the-{name}")

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


def test_mlflow_is_started_behind_its_password_and_services_know_it(services, tmp_path):
    for name in SECRETS:
        (tmp_path / name).write_text(f"the-{name}")

    environ = dict(line.split("=", 1) for line in start(tmp_path, "env").stdout.splitlines())

    command = services["mlflow"]["command"]
    assert command[command.index("--app-name") + 1] == "alerting"
    assert (environ["MLFLOW_TRACKING_USERNAME"], environ["MLFLOW_TRACKING_PASSWORD"]) == (
        "alerting",
        "the-mlflow_password",
    )
    assert environ["ALERTING_MLFLOW_PASSWORD_FILE"] == str(tmp_path / "mlflow_password")


@pytest.mark.parametrize("program", ["alerting", "airflow", "mlflow"])
def test_a_program_of_the_image_finds_the_settings_also_when_it_is_started_by_exec(
    tmp_path, program
):
    """`docker compose exec` starts what the image's PATH names, without its entry point and its
    variables."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert program in dockerfile.split("for name in ")[1].split(";")[0].split()
    assert "PATH=/opt/alerting/bin:$PATH" in dockerfile
    secrets, programs, front = (tmp_path / name for name in ("secrets", "programs", "bin"))
    for folder in (secrets, programs, front):
        folder.mkdir()
    for name in SECRETS:
        (secrets / name).write_text(f"the-{name}")
    (programs / program).write_text('#!/bin/sh\necho "$ALERTING_MONGODB_URI" "$@"\n')
    (programs / program).chmod(0o755)
    (front / program).symlink_to(ENTRYPOINT.parent / "with-settings.sh")
    environ = {
        "PATH": f"{front}:{os.environ['PATH']}",
        "ALERTING_SECRETS": str(secrets),
        "TMPDIR": str(tmp_path),
        "ALERTING_ENTRYPOINT": str(ENTRYPOINT),
        "ALERTING_PROGRAMS": str(programs),
    }

    done = subprocess.run(
        [program, "list", "--json", "two words"],
        check=False,
        env=environ,
        capture_output=True,
        text=True,
    )

    assert done.stderr == ""
    assert done.stdout.startswith("mongodb://alerting:the-mongodb_password@mongodb:27017/")
    assert done.stdout.endswith("list --json two words\n")
