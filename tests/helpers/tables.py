"""Tables to import."""

from datetime import UTC, datetime

import pytest

from alerting.adapters.files.assets import read_assets
from alerting.adapters.files.readings_and_events import EventsFile, ReadingsFile
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm
from alerting.usecases.ingestion.asset_import import import_assets
from alerting.usecases.ingestion.tables import check_events, check_readings
from tests.memory_plant import Plant

NOW = datetime(2026, 1, 5, tzinfo=UTC)
SIX = datetime(2015, 1, 1, 6, tzinfo=UTC)


class Importer:
    """Importer of the content of a file into stores in memory. `layout`: what it is told of each
    file that says nothing else."""

    def __init__(self, folder, **layout):
        self.folder = folder
        self.layout = layout
        self.plant = Plant()
        self.rejects = []

    def file(self, content, name="file.csv"):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def check(self, content, skip_bad=False, take_back=False, **layout):
        source = ReadingsFile(self.file(content), FileForm(**(self.layout | layout)))
        reject = self.rejects.append if skip_bad else None
        return check_readings(source, self.plant, reject=reject, take_back=take_back)

    def readings(self, content, skip_bad=False, take_back=False, **layout):
        return self.check(content, skip_bad, take_back, **layout).write(now=NOW, actor="me")

    def events(
        self, content, columns=None, duration=None, skip_bad=False, take_back=False, **layout
    ):
        of_events = {"event_type" if k == "type" else k: v for k, v in (columns or {}).items()}
        source = EventsFile(self.file(content), FileForm(**(self.layout | layout | of_events)))
        reject = self.rejects.append if skip_bad else None
        checked = check_events(
            source, self.plant, duration=duration, reject=reject, take_back=take_back
        )
        return checked.write(now=NOW, actor="me")

    def given(self, content, name="file.yaml", **layout):
        return read_assets(self.file(content, name), FileForm(**(self.layout | layout)))

    def assets(self, content, name="file.yaml", dry_run=False, **layout):
        given = self.given(content, name, **layout)
        return import_assets(name, given, self.plant, now=NOW, actor="me", dry_run=dry_run)

    def alone(self, content, **layout):
        """Return an importer into which only this was imported, with its outcome."""
        other = Importer(self.folder, **self.layout)
        other.outcome = other.readings(content, **layout)
        return other

    def refusal(self, content, call=None, **options):
        """Return why an import is refused, if it is and changes nothing."""
        before = self.plant.contents()
        try:
            (call or self.readings)(content, **options)
        except UserError as refusal:
            return str(refusal) if self.plant.contents() == before else f"written: {refusal}"
        return "it was imported"

    def expect_refusal(self, *message, **options):
        told = self.refusal(**options)
        assert [part for part in message if part not in told] == [], told

    def unsaid(self, rows, call=None):
        """Return the answer to each row of (content, options, parts of its refusal) that lacks a
        part."""
        answers = [
            (parts, self.refusal(content, call, **options)) for content, options, *parts in rows
        ]
        return [
            (parts, told)
            for parts, told in answers
            if len(told) > 3000 or any(part not in told for part in parts)
        ]

    @property
    def values(self):
        return {(asset, ts - SIX): v for (asset, ts), v in self.plant.readings.values.items()}

    @property
    def rows(self):
        """Values by instant, of whatever asset."""
        return {ts: v for (_, ts), v in self.plant.readings.values.items()}

    def variables(self, asset="a"):
        """Return title and unit of each variable."""
        found = self.plant.assets.get(asset).variables
        return {name: (v.title, v.unit) for name, v in found.items()}


@pytest.fixture
def importer(tmp_path):
    return Importer(tmp_path)
