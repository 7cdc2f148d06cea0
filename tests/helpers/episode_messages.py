"""Episodes of every kind from raise to end, with all their messages in order, in every
language."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import numpy as np

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.wording.language import LANGUAGES
from alerting.kinds.forecast.training import TRAINING
from alerting.kinds.registry import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord, EventRow, ReadingRow, silent
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.model_registry import register_model
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.training.training_steps import train
from tests import small_models
from tests.builders import at as first_minute_and
from tests.helpers import fan_line, press_line
from tests.in_memory_platform import Mailbox, in_memory_platform

START = small_models.START
CALM = 8.0
VARIABLES = {
    **small_models.VARIABLES,
    "setpoint": Variable(
        title="Zone 1 set-point", unit="°C", controllable=True, min=180, max=260, step=1
    ),
    "belt": Variable(title="Belt speed", unit="m/min", controllable=True, min=1, max=3, step=0.1),
    "humidity": Variable(title="Air humidity", unit="g/kg"),
    "moisture": Variable(title="Moisture", unit="%"),
}
GUIDANCE = {
    "cause": "Wet dough or damp air.",
    "action": "Raise zone 3 by 5 °C.",
    "consequence": "The biscuits go soft.",
}
FEATURES = {
    "stride": "5m",
    "windows": ["15m", "1h"],
    "aggregations": ["mean", "last", "std", "slope"],
}
TOO_MOIST = {"variable": "moisture", "above": 5.0, "for": "10m"}


@dataclass
class Told:
    """One episode's platform, its phase after each round of messages, and the messages by
    language."""

    platform: Any
    start: Any
    mails: dict[str, Mailbox] = field(default_factory=dict)
    phases: list[tuple[int, str]] = field(default_factory=list)

    def at(self, minute):
        return self.start + timedelta(minutes=minute)

    def feed(self, asset, minutes, **values):
        """Add a reading a minute; a value may be a function of the minute."""
        rows = [
            ReadingRow(
                asset, self.at(m), {n: v(m) if callable(v) else v for n, v in values.items()}
            )
            for m in minutes
        ]
        add_readings(self.platform, rows, self.at(minutes[0]))

    def run(self, minutes):
        for minute in minutes:
            self.platform.clock.instant = self.at(minute)
            evaluate(self.platform, None, self.at(minute))
            before = len(self.mails["en"].messages)
            deliver_due(self.platform, self.at(minute))
            phase = (
                max(self.platform.episodes.find(), key=lambda e: e.raised_at).phase
                if self.platform.episodes.find()
                else ""
            )
            self.phases += [(minute, phase)] * (len(self.mails["en"].messages) - before)
        return self

    @property
    def episode(self):
        return max(self.platform.episodes.find(), key=lambda e: e.raised_at)

    def messages(self, language="en"):
        return self.mails[language].messages


def told_platform(start, repeat):
    """Return an empty platform that sends every message in each language, and reminders after
    `repeat`."""
    mails = {code: Mailbox(code) for code in LANGUAGES}
    made = in_memory_platform(*mails.values())
    routes = [
        {"name": code, "channels": [code], "language": code, "repeat": repeat} for code in LANGUAGES
    ]
    ROUTES.apply(made, routes, "engineer", start)
    return Told(made, start, mails)


def weighted_model(weights=None, intercept=-5.0, threshold=0.5, **problem):
    """Return a model whose risk rises with the humidity, its trend, and the speed of the belt."""
    data = small_models.dataset(
        hours=60, features=FEATURES, exclude=["moisture"], problem={**TOO_MOIST, **problem}
    )
    weights = (
        {"humidity.last": 2.0, "humidity.slope.1h": 0.5, "belt.last": 3.0}
        if weights is None
        else weights
    )
    named = {name: weight for name, weight in weights.items() if name in data.plan.columns}
    assert named.keys() == weights.keys(), data.plan.columns
    return small_models.linear_model(
        data.plan, data.rows, named, intercept, threshold, START - timedelta(1)
    )


def predicting(
    model, problem=TOO_MOIST, kind="classifier", types=(), delay=0, variables=None, **changes
):
    """Return a platform with this model in service for a problem on `oven-1`."""
    told = told_platform(START, "10m")
    known = variables or VARIABLES
    known = {
        **known,
        "moisture": known["moisture"].model_copy(update={"delay": timedelta(minutes=delay)}),
    }
    told.platform.assets.store_assets([Asset(name="oven-1", variables=known)])
    told.platform.assets.put_event_types(types)
    document = {
        "name": "too-moist", "title": "Biscuits too moist", "kind": kind, "assets": ["oven-1"],
        "problem": problem,
        "horizon": "30m", "features": FEATURES, "guidance": GUIDANCE,
        "learning": {"trials": 1, "folds": 2},
    }  # fmt: skip
    apply(told.platform, [document | changes], "engineer", START, "test")
    register_model(told.platform, "too-moist", "run-1", {"version": b"1"}, {}, {})
    told.platform.decisions.add(
        DecisionRecord(
            "too-moist", START, 1, 1, None, True, True, "promote", "", {}, "run-1", "platform"
        )
    )
    return told, patch.object(model_files, "model_from_files", lambda *_: model)


def rising(minute):
    """Return a humidity that rises from calm to critical within 20 minutes, and is calm again
    afterwards."""
    return CALM - 3.0 if minute > 20 else CALM + 1.5 + 0.1 * minute


def comes_true(until=90, **changes):
    """It is raised at 5 or 10; moisture is beyond its limit from 25 on, known as the problem at 35,
    over at 70."""
    told, model = predicting(weighted_model(), **changes)
    told.feed("oven-1", range(-60, 1), humidity=CALM, belt=2.1, setpoint=220.0, moisture=4.0)
    told.feed("oven-1", range(1, 90), humidity=rising, belt=2.1, setpoint=220.0)
    told.feed("oven-1", range(1, 90), moisture=lambda m: 5.5 if 25 <= m < 70 else 4.2)
    with model:
        return told.run(range(1, until))


def does_not_come(**changes):
    """The crew slows the belt at 15, the risk falls under the threshold, and moisture stays within
    its limit."""
    told, model = predicting(weighted_model(), **changes)
    told.feed("oven-1", range(-60, 1), humidity=CALM, belt=2.1, setpoint=220.0, moisture=4.0)
    told.feed("oven-1", range(1, 60), humidity=rising, setpoint=220.0, moisture=4.2)
    told.feed("oven-1", range(1, 60), belt=lambda m: 2.1 if m < 15 else 1.7)
    with model:
        return told.run(range(1, 60))


def nothing_to_set():
    """No variable can be set; the problem comes within `for` and goes on."""
    fixed = {name: v.model_copy(update={"controllable": False}) for name, v in VARIABLES.items()}
    return comes_true(variables=fixed, guidance={})


def state():
    """A value that is known 5 minutes later: the model predicts that it will be beyond its
    limit."""
    return comes_true(delay=5)


def of_event(duration):
    """A failure at 25; a lasting one ends at 60."""
    types = [EventType(name="failure", duration=duration)]
    told, model = predicting(
        weighted_model(), problem={"event": "failure"}, types=types, title="Drive fails"
    )
    told.feed("oven-1", range(-60, 1), humidity=CALM, belt=2.1, setpoint=220.0, moisture=4.0)
    told.feed("oven-1", range(1, 90), humidity=rising, belt=2.1, setpoint=220.0, moisture=4.2)
    with model:
        told.run(range(1, 26))
        end = told.at(25) if duration == "instant" else None
        add_events(
            told.platform, [EventRow("oven-1", "failure", told.at(25), end, "test")], told.at(26)
        )
        told.run(range(26, 61))
        if end is None:
            add_events(
                told.platform,
                [EventRow("oven-1", "failure", told.at(25), told.at(60), "test")],
                told.at(61),
            )
        return told.run(range(61, 90))


def forecast():
    """The forecast of the moisture, which follows the speed of the belt within minutes."""
    history = small_models.line(120)
    random = np.random.default_rng(1)
    belt = np.repeat(random.choice([1.6, 2.0, 2.4], len(history.readings) // 36 + 1), 36)[
        : len(history.readings)
    ]
    moisture = (
        4.2
        + 2.5 * (np.convolve(belt, np.full(8, 0.125))[: len(belt)] - 2.0)
        + random.normal(0, 0.05, len(belt))
    )
    known = {name: VARIABLES[name] for name in ("belt", "moisture")}
    readings = history.readings[["belt", "moisture"]].assign(belt=belt, moisture=moisture)
    line = replace(history, asset=Asset(name="oven-1", variables=known), readings=readings)
    problem = {"variable": "moisture", "above": 5.0}
    document = {
        "name": "too-moist", "kind": "forecast", "assets": ["oven-1"], "problem": problem,
        "horizon": "30m",
        "features": {"stride": "5m", "windows": ["15m", "1h"],
        "aggregations": ["mean", "last", "slope"]},
        "learning": {"trials": 1, "folds": 2, "candidates": ["ridge"]},
    }  # fmt: skip
    definition = parse_definition(document)
    data = build_dataset(definition, 1, [line], small_models.as_of(line))
    candidates = [
        TRAINING.train(data, definition, family, silent, None)
        for family in ("persistence", "ridge")
    ]
    _, challenger = TRAINING.choose(data, definition, candidates)
    trained = replace(challenger.model, training_cutoff=START - timedelta(1))
    told, model = predicting(
        trained,
        **{name: document[name] for name in ("kind", "features", "problem")},
        variables=known,
    )
    told.feed("oven-1", range(-120, 1), belt=2.0, moisture=4.2)
    told.feed("oven-1", range(1, 130), belt=lambda m: 2.4 if m < 70 else 1.6)
    told.feed(
        "oven-1",
        range(1, 130),
        moisture=lambda m: 4.2 + min(m, 60) * 0.025 if m < 75 else max(5.7 - (m - 74) * 0.05, 3.5),
    )
    with model:
        return told.run(range(1, 130))


def threshold():
    """Moisture is beyond its limit from 10 on for 3 minutes, far beyond it from 20 on, and over at
    30."""
    told = told_platform(START, "10m")
    told.platform.assets.store_assets([Asset(name="oven-1", variables=VARIABLES)])
    document = {
        "name": "moist", "title": "Moisture too high", "kind": "threshold", "assets": ["oven-1"],
        "variable": "moisture",
        "levels": {"medium": {"above": 5.0}, "critical": {"above": 6.0}}, "for": "3m",
        "guidance": GUIDANCE,
    }  # fmt: skip
    apply(told.platform, [document], "engineer", START, "test")
    told.feed(
        "oven-1",
        range(1, 50),
        moisture=lambda m: 4.0 if m < 10 or m >= 35 else 5.4 if m < 25 else 6.3,
    )
    return told.run(range(1, 50))


def estimated(asset, rows, document, trained, minutes):
    """Return a platform whose model learns from readings alone, and is evaluated at these
    minutes."""
    told = told_platform(first_minute_and(0), "4h")
    told.platform.assets.store_assets([asset])
    add_readings(told.platform, rows, told.at(0))
    apply(told.platform, [document], "engineer", told.at(0), "test")
    told.platform.clock.instant = told.at(trained)
    train(told.platform, document["name"], told.at(trained))
    return told.run(minutes)


def control_chart():
    """The force of a press is higher for a day."""
    name = {"name": "press-shifted", "title": "Press force has shifted", "kind": "control_chart"}
    document = name | {
        "assets": [press_line.ASSET],
        "variable": "force",
        "guidance": {"action": "Check the die."},
    }
    minutes = range(press_line.SHIFTED - 190, press_line.BACK + 600, 95)
    return estimated(press_line.press(), press_line.rows(), document, press_line.TRAINED, minutes)


def anomaly():
    """The air flow of a fan does not follow its load for five hours."""
    name = {
        "name": "fan-unlike-normal",
        "title": "Fan unlike normal",
        "kind": "anomaly",
        "assets": [fan_line.ASSET],
    }
    document = name | {
        "windows": ["40m"],
        "guidance": {"action": "Check the filter."},
    }
    minutes = range(fan_line.BROKEN - 95, fan_line.REPAIRED + 300, 45)
    return estimated(fan_line.fan(), fan_line.rows(), document, fan_line.TRAINED, minutes)


EPISODES = {
    "threshold": threshold,
    "classifier, onset, the problem comes": comes_true,
    "classifier, onset, the problem does not come": does_not_come,
    "classifier, onset, nothing can be set and no instruction": nothing_to_set,
    "classifier, state of a laboratory value": state,
    "classifier, instant event": lambda: of_event("instant"),
    "classifier, lasting event": lambda: of_event("lasting"),
    "forecast": forecast,
    "control chart": control_chart,
    "anomaly": anomaly,
}
