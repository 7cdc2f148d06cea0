"""Start the trainings that are due at once, over Airflow's REST API."""

import json
from datetime import datetime

from alerting.adapters.embedded.running import running
from alerting.adapters.platform import Platform
from alerting.local import parts
from alerting.local.airflow_client import AirflowClient, AirflowSilent
from alerting.settings.environment import Settings
from alerting.usecases.training.due import find_due_trainings

PATIENCE_S = 2.0
MOST = 5  # the platform starts further ones within the next minute


def start_trainings(settings: Settings, platform: Platform) -> dict[str, str]:
    """Return the page of each training that was started, by definition.

    Whatever goes wrong does no harm: the platform starts the same runs, by the same ids, within a
    minute or two.
    """
    airflow = _client(settings)
    started: dict[str, str] = {}
    if airflow is None:
        return started
    for due in find_due_trainings(platform, platform.clock.now())[:MOST]:
        dag_id = f"train__{due.definition}"
        try:
            airflow.start(dag_id, due.run)
        except AirflowSilent:  # also while the DAG of a new definition is not read yet
            break
        started[due.definition] = airflow.page(dag_id, due.run)
    return started


def start_training(
    settings: Settings, platform: Platform, name: str, as_of: datetime | None
) -> str | None:
    """Return the id of the training of a definition that Airflow has started, or was to start; None
    if none is due, or Airflow does not answer. `as_of`: of one that is started now."""
    airflow = _client(settings)
    due = find_due_trainings(platform, platform.clock.now()) if airflow is not None else []
    own = next((one for one in due if one.definition == name), None)
    if airflow is None or own is None:
        return None
    try:
        airflow.start(f"train__{name}", own.run, as_of)
    except AirflowSilent:
        return None
    return own.run


def _client(settings: Settings) -> AirflowClient | None:
    """Return a client of the settings' Airflow, or of this home's; None without one."""
    if settings.airflow_uri is None and running(settings.home) is None:
        return None
    try:
        passwords = json.loads(
            (settings.home / "secrets" / "airflow_passwords.json").read_text(encoding="utf-8")
        )
        return AirflowClient(
            settings.airflow_uri or parts.airflow_uri(settings), passwords["admin"], PATIENCE_S
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
