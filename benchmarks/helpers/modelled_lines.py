"""Lines whose moisture follows the humidity of the air, with a threshold on several variables and a
classifier of the moisture each, and the champions of these."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alerting.adapters.memory.platform import MemoryModels
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.revisions import question_of
from alerting.ports import DecisionRecord, Platform, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from alerting.usecases.training.training_steps import train

MODEL = "moist"
VARIABLES = ("moisture", "humidity", "dough", "speed")
STRIDE = timedelta(seconds=5)
HUMID = 15.0
"""By how much the humidity rises before a problem."""
_PAST_S = 96 * 60
_EVERY_S = 190 * 0.5
_AFTER_S = 15


def line(number: int) -> str:
    """Return the name of a line."""
    return f"oven-{number}"


def model(number: int) -> str:
    """Return the name of the classifier of a line."""
    return f"{MODEL}-{number}"


def usual(random: np.random.Generator, count: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return values of a line without a problem."""
    return {
        "moisture": 3.5 + random.normal(0, 0.1, count),
        "humidity": 40 + random.normal(0, 1, count),
        "dough": 50 + random.normal(0, 1, count),
        "speed": 80 + random.normal(0, 1, count),
    }


def prepare(
    platform: Platform, lines: int, thresholds: int, models: int, champions: int, now: datetime
) -> Platform:
    """Return the platform with lines, definitions in service, and a champion of each classifier, of
    which so many were trained; with a registry in memory."""
    registry = MemoryModels()
    platform = replace(platform, runs=registry, models=registry)
    variables = {name: Variable() for name in VARIABLES}
    platform.assets.store_assets([Asset(name=line(i), variables=variables) for i in range(lines)])
    limits = [_threshold(i, lines) for i in range(thresholds)]
    classifiers = [classifier(model(i), line(i)) for i in range(models)]
    apply(platform, [*limits, *classifiers], "benchmark", now, "benchmark")
    for i in range(champions):
        add_readings(platform, past_readings(i, now), now)
        decided = train(platform, model(i), now)
        assert decided.promote, decided.reason
    for i in range(champions, models):
        promote_copy(platform, model(i % champions), model(i), now)
    return platform


def promote_copy(platform: Platform, source: str, name: str, at: datetime) -> int:
    """Register the present champion of one definition as that of another one; return its
    version."""
    copied = register_copy(platform, source, name, at)
    promote(platform, copied)
    assert copied.challenger_version is not None
    return copied.challenger_version


def promote(platform: Platform, copied: DecisionRecord) -> None:
    """Record the promotion of a registered copy."""
    rank = len(_promotions(platform, copied.definition)) + 1
    assert platform.decisions.add(copied, rank=rank)


def register_copy(platform: Platform, source: str, name: str, at: datetime) -> DecisionRecord:
    """Register the present champion of one definition as a model of another one; return the
    decision that promotes it."""
    decision = _promotions(platform, source)[-1]
    assert decision.challenger_version is not None
    files = platform.models.model_files(source, decision.challenger_version)
    tags = platform.models.version_tags(source, decision.challenger_version)
    run = platform.runs.start_run(name, f"copy {at.isoformat()}", {"definition": name})
    version = register_model(platform, name, run, files, {**tags, "training_run": run}, {})
    platform.runs.finish(run)
    before = _promotions(platform, name)
    revision = platform.definitions.revisions(name)[-1]
    return replace(
        decision,
        definition=name,
        at=at,
        run_id=run,
        challenger_version=version,
        champion_version=before[-1].challenger_version if before else None,
        question=question_of(revision),
    )


def _promotions(platform: Platform, name: str) -> list[DecisionRecord]:
    return [one for one in platform.decisions.for_definition(name) if one.promoted]


def _threshold(number: int, lines: int) -> dict[str, Any]:
    return {
        "name": f"limit-{number}",
        "kind": "threshold",
        "assets": [line(number % lines)],
        "variable": VARIABLES[number // lines % len(VARIABLES)],
        "above": 200,
        "severity": "critical",
    }


def classifier(name: str, assets: str) -> dict[str, Any]:
    """Return the definition of a classifier of the moisture of lines."""
    return {
        "name": name,
        "kind": "classifier",
        "assets": [assets],
        "problem": {"variable": "moisture", "above": 4.5, "for": "3s"},
        "horizon": "15s",
        "features": {"stride": "5s", "windows": ["10s", "15s", "30s"]},
        "learning": {"trials": 1, "folds": 2, "candidates": ["lightgbm"]},
        "schedule": {"retrain": None},
        "severity": "critical",
    }


def past_readings(number: int, now: datetime) -> Sequence[ReadingRow]:
    """Return an hour and a half of readings, one in five seconds, each line's of its own."""
    random = np.random.default_rng(number)
    seconds = np.arange(0, _PAST_S, STRIDE.total_seconds())
    values = usual(random, len(seconds))
    for start in np.arange(75, _PAST_S - 100, _EVERY_S):
        humid = (seconds >= start) & (seconds < start + 30)
        values["humidity"][humid] += HUMID
        wet = (seconds >= start + _AFTER_S) & (seconds < start + _AFTER_S + 22)
        values["moisture"][wet] += 1.6
    begin = now - timedelta(seconds=_PAST_S)
    columns = [values[name].tolist() for name in VARIABLES]
    return [
        ReadingRow(
            line(number), begin + timedelta(seconds=at), dict(zip(VARIABLES, row, strict=True))
        )
        for at, *row in zip(seconds.tolist(), *columns, strict=True)
    ]
