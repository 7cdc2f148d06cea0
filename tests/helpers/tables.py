"""Tables to import."""

from datetime import UTC, datetime

import pytest

from alerting.adapters.files.events import EventColumns, EventsFile
from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.definitions.faults import UserError
from alerting.usecases.ingestion.tables import check_events, check_readings
from tests.memory_plant import Plant

NOW = datetime(2026, 1, 5, tzinfo=UTC)


SIX = datetime(2015, 1, 1, 6, tzinfo=UTC)


class Importer:
    """Importer of text from a file into in-memory stores."""

    def __init__(self, folder):
        self.folder = folder
        self.plant = Plant()
        self.rejects = []

    def file(self, content):
        path = self.folder / "file.csv"
        path.write_text(content, encoding="utf-8")
        return path

    def readings(self, content, skip_bad=False, take_back=False, **layout):
        source = ReadingsFile(self.file(content), Layout(**layout))
        reject = self.rejects.append if skip_bad else None
        checked = check_readings(source, self.plant, reject=reject, take_back=take_back)
        return checked.write(now=NOW, actor="me")

    def events(
        self, content, columns=None, duration=None, skip_bad=False, take_back=False, **layout
    ):
        source = EventsFile(self.file(content), Layout(**layout), EventColumns(**(columns or {})))
        reject = self.rejects.append if skip_bad else None
        checked = check_events(
            source, self.plant, duration=duration, reject=reject, take_back=take_back
        )
        return checked.write(now=NOW, actor="me")

    def expect_refusal(self, *message, call=None, **options):
        with pytest.raises(UserError) as refusal:
            (call or self.readings)(**options)
        for part in message:
            assert part in str(refusal.value)

    @property
    def values(self):
        return {(asset, ts - SIX): v for (asset, ts), v in self.plant.readings.values.items()}


@pytest.fixture
def importer(tmp_path):
    return Importer(tmp_path)
