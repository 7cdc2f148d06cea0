"""First training of each active classifier: start its DAG and follow it until there is a champion or a reason for having none.

Each line of output reports the progress. A failed training is printed for an engineer; the platform runs without a champion.
"""

import os
import sys
import time

from alerting.definitions.model import TrainedDefinition
from alerting.local import parts, secrets
from alerting.local.airflow_client import UNFINISHED, AirflowClient, AirflowSilent
from alerting.local.unseen_days import evaluate_unseen_days
from alerting.ports import DecisionRecord, Platform
from alerting.settings.environment import read_settings
from alerting.wiring import open_platform

POLL_S = 1.0


def main() -> int:
    """Entry point."""
    settings = read_settings(os.environ)
    password = secrets.load_or_create(settings.home / "secrets").airflow_password
    airflow = AirflowClient(parts.airflow_uri(settings), password)
    with open_platform(settings, channels=False) as platform:
        names = find_untrained(platform)
        outcomes = [f"{name}: {first_training(platform, airflow, name)}" for name in names]
        if past := evaluate_unseen_days(platform, names, _report):
            outcomes.append(past)
    _report("; ".join(outcomes) or "every classifier has been trained before")
    return 0


def find_untrained(platform: Platform) -> list[str]:
    """Return the active classifier definitions without any promotion decision."""
    active = [r.definition for r in platform.definitions.latest() if r.definition.state == "active"]
    return [d.name for d in active if isinstance(d, TrainedDefinition) and not platform.decisions.of(d.name)]


def first_training(platform: Platform, airflow: AirflowClient, name: str) -> str:
    """Run the definition's training DAG, or follow the run of an earlier start. Returns the result as text."""
    dag_id = f"train__{name}"
    try:
        airflow.wait_for_dag(dag_id)
        state = _follow(airflow, dag_id, airflow.unfinished_run(dag_id) or airflow.trigger(dag_id), name)
    except AirflowSilent as silence:
        return f"not trained: Airflow does not answer ({silence})"
    decided = platform.decisions.of(name)
    if not decided:
        return f"no decision: the run ended as {state}: see the DAG {dag_id} in Airflow"
    return _decision_text(decided[-1])


def _follow(airflow: AirflowClient, dag_id: str, run_id: str, name: str) -> str:
    while (run := airflow.progress(dag_id, run_id)).state in UNFINISHED:
        doing = f": {', '.join(run.active)}" if run.active else ""
        _report(f"{name}, task {run.done + 1} of {run.total}{doing}")
        time.sleep(POLL_S)
    return run.state


def _decision_text(decision: DecisionRecord) -> str:
    if not decision.promoted:
        return f"no champion, {decision.verdict}: {decision.reason}"
    return f"version {decision.challenger_version} is champion{' (provisional)' if decision.provisional else ''}"


def _report(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
