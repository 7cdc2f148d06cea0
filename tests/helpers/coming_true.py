"""A line evaluated live whose problem, too moist biscuits, a model predicts from the humidity."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.asset_documents import Asset
from alerting.definitions.revisions import definition_document
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord, EventRow, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.model_registry import register_model
from alerting.usecases.notification.delivery import deliver_due
from tests import small_models
from tests.in_memory_platform import Mailbox, in_memory_platform

START = small_models.START
# humidity with a high risk, one of .27 and a low one
CRITICAL = 16.0
HELD = 7.21
NORMAL = 2.0


@pytest.fixture(scope="module")
def last_humidity():
    """A model that sees the last humidity alone."""
    data = small_models.dataset(hours=60)
    made = small_models.linear_model(
        replace(data.plan, usual=()),  # a line whose other sensors are silent is no pause
        data.rows,
        {"humidity.last": 50.0},
        threshold=0.5,
        training_cutoff=START - timedelta(1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_files, "model_from_files", lambda files: made)
        patch.setattr("alerting.kinds.prediction_kind.advise", lambda *_: None)
        yield made


class Line:
    """A line whose minutes are given as values, evaluated live."""

    def __init__(self, delay=0, every=10, event_types=(), alarm=None, **problem):
        self.mail = Mailbox("mail")
        self.platform = in_memory_platform(self.mail)
        moisture = small_models.VARIABLES["moisture"].model_copy(
            update={"delay": timedelta(minutes=delay), "title": "Moisture"}
        )
        self.platform.assets.store_assets(
            [Asset(name="oven-1", variables={**small_models.VARIABLES, "moisture": moisture})]
        )
        self.platform.assets.put_event_types(event_types)
        if not problem.keys() & {"event", "any", "all"}:
            problem = {"variable": "moisture", "above": 5.0, "for": "10m", **problem}
        self.definition = small_models.definition(
            title="Biscuits too moist",
            problem=problem,
            features={"stride": f"{every}m", "windows": ["15m", "1h"], "aggregations": ["last"]},
            exclude=["moisture"],
            **(alarm or {}),
            guidance={"action": "Slow the belt down"},
        )
        apply(self.platform, [definition_document(self.definition)], "engineer", START, "test")
        register_model(self.platform, "too-moist", "run-1", {"version": b"1"}, {}, {})
        promoted = DecisionRecord(
            "too-moist", START, 1, 1, None, True, True, "promote", "", {}, "run-1", "platform"
        )
        self.platform.decisions.add(promoted)

    def feed(self, minutes, now=None, **values):
        rows = [ReadingRow("oven-1", at(m), values) for m in minutes]
        add_readings(self.platform, rows, at(minutes[0] if now is None else now))

    def run(self, *minutes):
        for minute in minutes:
            self.platform.clock.instant = at(minute)
            evaluate(self.platform, None, at(minute))
            deliver_due(self.platform, at(minute))

    def event(self, type, minute, end=None, now=None):
        row = EventRow("oven-1", type, at(minute), None if end is None else at(end), "test")
        add_events(self.platform, [row], at(minute if now is None else now))

    @property
    def episodes(self):
        return sorted(
            (e for e in self.platform.episodes.find() if not e.withdrawn), key=lambda e: e.raised_at
        )

    def subjects(self):
        return [message.subject for message in self.mail.messages]


def at(minute):
    return START + timedelta(minutes=minute)


def warned(line, until=90):
    """Moisture is too high from 25 on, of which the model warns at 10."""
    line.feed(range(1, 21), humidity=CRITICAL)
    line.feed(range(21, until), humidity=NORMAL)
    line.feed(range(1, 25), moisture=4.0)
    line.feed(range(25, 70), moisture=5.5)
    return line
