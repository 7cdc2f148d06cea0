"""A folder of files that are imported into stores in memory."""

from datetime import UTC, datetime

import pytest

from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.definitions.faults import UserError
from alerting.usecases.ingestion.tables import check_readings
from tests.memory_plant import Plant

NOW = datetime(2026, 1, 5, tzinfo=UTC)


class Folder:
    """Files by content, and what their import made of them."""

    def __init__(self, path):
        self.path = path
        self.plant = Plant()

    def file(self, content, name="file.csv"):
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def readings(self, content, **layout):
        source = ReadingsFile(self.file(content), Layout(**{"asset": "a", **layout}))
        return check_readings(source, self.plant).write(now=NOW, actor="me")

    def understood(self, content, **layout):
        return check_readings(
            ReadingsFile(self.file(content), Layout(**{"asset": "a", **layout})), self.plant
        ).understood

    def expect_refusal(self, content, *parts, **layout):
        with pytest.raises(UserError) as refusal:
            self.readings(content, **layout)
        for part in parts:
            assert part in str(refusal.value)
        assert self.plant.untouched()
        return str(refusal.value)

    def column(self, name):
        return {ts: v[name] for (_, ts), v in self.plant.readings.values.items() if name in v}
