"""Processes of the demo line: `python -m alerting.local.demo fill` writes its past, `train` trains
its first model, and `run` continues the line."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import NamedTuple

import yaml

from alerting import wiring
from alerting.adapters.mongo.mongo import MongoClock
from alerting.definitions.alert_definition import ModelDefinition
from alerting.definitions.faults import UserError
from alerting.demo.stored_line import DAYS, Filled, MongoLines, fill, run_line
from alerting.local import parts, prepare
from alerting.local.airflow_client import UNFINISHED, AirflowClient, AirflowSilent
from alerting.ports import ModelUnavailable, Platform
from alerting.settings.environment import read_settings
from alerting.settings.shipped_files import shipped
from alerting.usecases.definitions import revisions_and_evaluation_plan
from alerting.usecases.definitions.versions import last_promotion
from alerting.usecases.evaluation.rounds import evaluate_past
from alerting.usecases.make_reports import make_report
from alerting.usecases.training.due import DueTraining, find_due_trainings, unfinished_training

EXAMPLES = "config/examples/demo"
FIRST = ("biscuits-too-moist", "oven-too-hot")
"""Examples that are there before the line runs: one training has the machine to itself, and the
others follow in Airflow."""
POLL_S = 1.0


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


def train() -> None:
    """Start the first training and follow it until there is a champion or a reason for having none;
    the platform runs without one."""
    settings = read_settings(os.environ)
    password = prepare.load_or_create(settings.home / "secrets").airflow_password
    airflow = AirflowClient(parts.airflow_uri(settings), password)
    with wiring.open_platform(settings, channels=False) as platform:
        due = [
            training
            for training in find_due_trainings(platform, platform.clock.now())
            if training.definition in FIRST
        ]
        outcomes = [
            f"{training.definition}: {first_training(platform, airflow, training)}"
            for training in due
        ]
        past = evaluate_unseen_days(platform, [training.definition for training in due], _report)
        if past:
            outcomes.append(past)
    _report("; ".join(outcomes) or "the first question has been trained before")


def first_training(platform: Platform, airflow: AirflowClient, due: DueTraining) -> str:
    """Start the first training unless it was started before, and follow it. Returns the result as
    text."""
    name = due.definition
    dag_id = f"train__{due.definition}"
    try:
        airflow.start(dag_id, due.run)
        state = airflow.state(dag_id, due.run)
        while state in UNFINISHED:
            with suppress(ModelUnavailable):
                step = unfinished_training(platform, name, ())
                _report(f"{name}, {step['step'] if step else 'waiting to begin'}")
            time.sleep(POLL_S)
            state = airflow.state(dag_id, due.run)
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


class FilledUp(NamedTuple):
    """The result of filling a line: its past, None for one that existed, and new definitions."""

    past: Filled | None
    definitions: Sequence[str]

    def __str__(self) -> str:
        """Return the result for people."""
        past = "exists already"
        if self.past is not None:
            past = (
                f"{self.past.start:%Y-%m-%d} to {self.past.end:%Y-%m-%d}, {self.past.rows} readings"
            )
        return ", ".join([past, *(f"new definition {name}" for name in self.definitions)])


def fill_up(days: int = DAYS, end: datetime | None = None, only: Sequence[str] = ()) -> FilledUp:
    """Write the past of the line up to `end` (None: now) and apply the example definitions, or only
    some. Idempotent.

    A line that exists keeps its past.
    """
    settings = read_settings(os.environ)
    with wiring.open_stores(settings) as stores:
        platform = wiring.assemble(settings, stores, channels=False)
        lines = MongoLines(stores.database)
        clock = MongoClock(stores.database)
        filled = fill(
            assets=platform.assets,
            plant=platform,
            lines=lines,
            days=days,
            end=end or datetime.now(UTC),
            progress=lambda step, done, total: _report(
                f"{step} {done}" + ("" if total is None else f" of {total}")
            ),
        )
        if not platform.definitions.latest_revisions():
            clock.start(filled.end, 1.0, timedelta(0))
            clock.freeze()
        return FilledUp(filled if filled.rows else None, _apply_examples(platform, only))


def run() -> None:
    """Run the line at the demo's speed until SIGTERM, after all example definitions are there."""
    settings = read_settings(os.environ)
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with wiring.open_stores(settings) as stores:
        platform = wiring.assemble(settings, stores, channels=False)
        _apply_examples(platform)
        run_line(
            plant=platform,
            lines=MongoLines(stores.database),
            clock=MongoClock(stores.database),
            speed=settings.demo_speed,
            wait=stopped.wait,
            report_step=lambda step: _report(
                f"{step.line.state.until.isoformat()} {step.rows} readings, {step.events} events"
            ),
        )


def _apply_examples(platform: Platform, only: Sequence[str] = ()) -> list[str]:
    """Apply examples with a new name only: people's changes stay. Returns their names."""
    names = {revision.name for revision in platform.definitions.latest_revisions()}
    documents = [
        yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(shipped(EXAMPLES).glob("*.yaml"))
        if not path.name.endswith(".test.yaml")
    ]
    new = [
        document
        for document in documents
        if document["name"] not in names and (not only or document["name"] in only)
    ]
    revisions_and_evaluation_plan.apply(
        platform, new, "demo", platform.clock.now(), "example of the demo line"
    )
    return [document["name"] for document in new]


def main(arguments: list[str]) -> int:
    """Entry point."""
    try:
        if arguments[0] == "fill":
            _report(str(fill_up(only=FIRST)))
        elif arguments[0] == "train":
            train()
        else:
            run()
    except UserError as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
