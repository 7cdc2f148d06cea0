"""First training of the demo line: start its DAG and follow it until there is a champion or a
reason for having none.

Each line of output reports the progress. A failed training is printed for an engineer; the platform
runs without a champion.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition
from alerting.local import parts, secrets
from alerting.local.airflow_client import UNFINISHED, AirflowClient, AirflowSilent
from alerting.local.demo import FIRST
from alerting.ports import ModelUnavailable, Platform
from alerting.settings.environment import read_settings
from alerting.usecases.definitions.versions import last_promotion
from alerting.usecases.evaluation.evaluate import evaluate_past
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.due import DueTraining, find_due_trainings
from alerting.usecases.training.progress import unfinished_training
from alerting.wiring import open_platform


def evaluate_unseen_days(
    platform: Platform, trained: Sequence[str], report: Callable[[str], None]
) -> str:
    """Evaluate the days after the champions' training cutoffs, for these definitions and those
    without a model; make a report for each, and the figures of the plant. Returns the result as
    text; empty without a champion.
    """
    began = time.monotonic()
    starts = {
        name: start for name in trained if (start := _unseen_from(platform, name)) is not None
    }
    if not starts:
        return ""
    now = platform.clock.now()
    first = min(starts.values())
    for revision in platform.definitions.latest_revisions():
        if revision.definition.state == "active" and not isinstance(
            revision.definition, ModelDefinition
        ):
            starts[revision.name] = first
    raised = 0
    for name, start in starts.items():
        report(f"{name}, evaluating the unseen days since {start:%Y-%m-%d}")
        try:
            raised += evaluate_past(platform, name, start, now, revision="latest").raised
            make_report(platform, name, start, now, now, unseen=name in trained)
        except (UserError, ModelUnavailable) as fault:
            report(f"{name}, not evaluated: {fault}")
    days = (now - first).days
    took = time.monotonic() - began
    return (
        f"{days} unseen days evaluated in {took:.0f} s: {raised} episodes, marked as past, without "
        "notifications"
    )


def _unseen_from(platform: Platform, name: str) -> datetime | None:
    """Return the end of the training data of a classifier's champion; None without a champion."""
    serving = last_promotion(platform.decisions.for_definition(name), question=None)
    if serving is None or serving.challenger_version is None:
        return None
    try:
        return datetime.fromisoformat(
            platform.models.version_tags(name, serving.challenger_version)["training_cutoff"]
        )
    except (ModelUnavailable, KeyError):
        return None


POLL_S = 1.0


def main() -> int:
    """Entry point."""
    settings = read_settings(os.environ)
    password = secrets.load_or_create(settings.home / "secrets").airflow_password
    airflow = AirflowClient(parts.airflow_uri(settings), password)
    with open_platform(settings, channels=False) as platform:
        due = [
            one
            for one in find_due_trainings(platform, platform.clock.now())
            if one.definition in FIRST
        ]
        outcomes = [f"{one.definition}: {first_training(platform, airflow, one)}" for one in due]
        if past := evaluate_unseen_days(platform, [one.definition for one in due], _report):
            outcomes.append(past)
    _report("; ".join(outcomes) or "the first question has been trained before")
    return 0


def first_training(platform: Platform, airflow: AirflowClient, due: DueTraining) -> str:
    """Start a training unless that was done, and follow it. Returns the result as text."""
    name = due.definition
    dag_id = f"train__{due.definition}"
    try:
        airflow.start(dag_id, due.run)
        while (state := airflow.state(dag_id, due.run)) in UNFINISHED:
            with suppress(ModelUnavailable):
                step = unfinished_training(platform, name, ())
                _report(f"{name}, {step['step'] if step else 'waiting to begin'}")
            time.sleep(POLL_S)
    except AirflowSilent as silence:
        return f"not trained: Airflow does not answer ({silence})"
    decided = platform.decisions.for_definition(name)
    if not decided:
        return f"no decision: the run ended as {state}: see the DAG {dag_id} in Airflow"
    decision = decided[-1]
    if not decision.promoted:
        return f"no champion, {decision.verdict}: {decision.reason}"
    return (
        f"version {decision.challenger_version} is "
        f"champion{' (provisional)' if decision.provisional else ''}"
    )


def _report(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
