"""`alerting export`: readings as a file that an import reads again."""

import json

import pyarrow.parquet as pq
from typer.testing import CliRunner

from alerting.cli.main import app
from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow, WantedHistory
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at

DAY = 60 * 24
VARIABLES = {
    "t": Variable(unit="°C"),
    "open": Variable(type="boolean"),
    "recipe": Variable(type="category"),
    "twice": Variable.model_validate(
        {"computed": {"kind": "ratio", "of": "t", "by": "t", "within": "5m"}}
    ),
}


def run(*words):
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


def test_an_export_is_imported_again_as_it_was(plant, tmp_path):
    plant.assets.store_assets([Asset(name="press", variables=VARIABLES)])
    rows = [
        ReadingRow("press", at(day * DAY), {"t": day + 0.5, "open": day % 2 == 0, "recipe": "a"})
        for day in range(-20, 0)
    ] + [ReadingRow("press", at(-DAY // 2), {"recipe": "b"})]
    add_readings(plant, rows, at(0))
    file = tmp_path / "press.parquet"
    code, said = run("export", "press", "--out", str(file), "--json")
    assert (code, json.loads(said)["rows"]) == (0, 21), said
    assert pq.read_schema(file).names == ["time", "asset", "t", "open", "recipe"]
    before = plant.readings.load(WantedHistory(plant.assets.get("press"), None, None))
    plant.reading_writes.delete_samples(rows)
    assert plant.readings.span("press") is None
    code, said = run("import", "readings", str(file))
    assert code == 0, said
    after = plant.readings.load(WantedHistory(plant.assets.get("press"), None, None))
    assert after.readings.equals(before.readings)


def test_an_asset_without_readings_is_refused_and_no_file_is_made(plant, tmp_path):
    file = tmp_path / "none.parquet"
    code, said = run("export", "nothing", "--out", str(file))
    assert code == 1 and "there is no asset 'nothing' with readings" in " ".join(said.split())
    assert not file.exists()
