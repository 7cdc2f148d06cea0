"""Evaluation of the demo's days after the training cutoff of its first champions, so that a new
console is not empty.

No notification is sent, and every episode is marked as backfilled.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from alerting.adapters.platform import Platform
from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition
from alerting.ports import ModelUnavailable
from alerting.usecases.definitions.versions import last_promotion
from alerting.usecases.evaluation.evaluate import evaluate_past
from alerting.usecases.reports.make import make_report
from alerting.usecases.reports.plants import for_each_plant
from alerting.usecases.reports.running import refresh_plant


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
    for_each_plant(platform, lambda view: refresh_plant(view, now, report, at_once=True))
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
