"""Nightly cleaning of what Airflow and MLflow store: `python -m alerting.local.clean
[--once]`.

Airflow's rows and task logs are deleted when they are older than 30 days. Of MLflow
the runs and models are removed that the retention has marked as deleted. Logs of the parts are
shortened when they are long. Airflow forbids its tasks the use of its database, so this is a
process of its own; it can be killed and started at any time.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerting.definitions.faults import UserError
from alerting.settings.environment import Settings, read_settings
from alerting.settings.logs import configure_logging

FIRST_AFTER_S = 600.0
EVERY_S = 24 * 3600.0
# One command may take this long: the first cleaning after a year ends before the next night.
LONGEST_S = 6 * 3600.0
LONGEST_LOG = 64 << 20
SHORTENED_LOG = 8 << 20
_REMOVED_AFTER = "1d"
_log = logging.getLogger(__name__)


def clean(settings: Settings, environ: Mapping[str, str], now: datetime) -> list[str]:
    """Clean once. Return the failures, which are tried again the next night."""
    before = now - timedelta(days=30)
    options = [
        "--clean-before-timestamp",
        before.isoformat(timespec="seconds"),
        "--skip-archive",
        "--yes",
        "--batch-size",
        "1000",  # rows of one transaction: a longer one would hold up the scheduler on SQLite
        "--error-on-cleanup-failure",
    ]
    commands = {
        "airflow": ["airflow", "db", "clean", *options],
        "mlflow": _clean_mlflow(settings, environ),
    }
    faults = [
        fault
        for name, command in commands.items()
        if command and (fault := _run(name, command, environ))
    ]
    if logs := environ.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER"):
        delete_older(Path(logs), before.timestamp())
    for log in (*(settings.home / "logs").glob("*.log"), settings.home / "mongod" / "mongod.log"):
        shorten(log)
    return faults


def _clean_mlflow(settings: Settings, environ: Mapping[str, str]) -> list[str] | None:
    store = (
        environ.get("MLFLOW_BACKEND_STORE_URI") if settings.mlflow_uri else settings.mlflow_database
    )
    if not store:
        return None
    addresses = ["--backend-store-uri", store, "--tracking-uri", settings.mlflow_uri or store]
    return ["mlflow", "gc", *addresses, "--older-than", _REMOVED_AFTER]


def _run(name: str, command: list[str], environ: Mapping[str, str]) -> str | None:
    whole = [sys.executable, "-m", *command]
    try:
        done = subprocess.run(
            whole, env=dict(environ), capture_output=True, text=True, check=False, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return (
            f"{name} could not be cleaned: it took more than {LONGEST_S / 3600:g} hours and was "
            "ended"
        )
    if done.returncode == 0:
        return None
    last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
    return f"{name} could not be cleaned: {last}"


def delete_older(folder: Path, before: float) -> int:
    """Delete files written before an instant (s), and empty folders. Return how many files."""
    count = 0
    for parent, folders, files in os.walk(folder, topdown=False):  # passes over what has gone
        for path in (Path(parent, name) for name in (*files, *folders)):
            try:
                if path.is_symlink() or path.stat().st_mtime >= before:
                    continue
                if path.is_dir():
                    path.rmdir()
                else:
                    path.unlink()
                    count += 1
            except OSError:  # not empty, or another process was first
                continue
    return count


def shorten(log: Path) -> None:
    """Keep the end of a long log as `<name>.1`, and empty it. Its writers append, so they go on at
    its beginning.

    It is emptied first, because its end may be all that the disk has no room for. A log that cannot
    be changed stays as it is.
    """
    try:
        size = log.stat().st_size
        if size <= LONGEST_LOG:
            return
        with log.open("rb") as file:
            file.seek(size - SHORTENED_LOG)
            end = file.read()
        os.truncate(log, 0)
        log.with_name(f"{log.name}.1").write_bytes(end)
    except FileNotFoundError:
        return
    except OSError as fault:
        _log.warning("%s could not be shortened: %s", log, fault.strerror)


def main() -> int:
    """Clean every night, or once. Returns the exit code."""
    try:
        settings = read_settings(os.environ)
    except UserError as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    configure_logging(os.environ)
    once = "--once" in sys.argv[1:]
    while True:
        if not once:
            time.sleep(FIRST_AFTER_S)
        faults = clean(settings, os.environ, datetime.now(UTC))
        for fault in faults:
            _log.warning("%s", fault)
        if once:
            return bool(faults)
        time.sleep(EVERY_S - FIRST_AFTER_S)


if __name__ == "__main__":
    sys.exit(main())
