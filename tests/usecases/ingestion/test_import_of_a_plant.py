"""A new user's CSV file through the command, with the asset's name as its only option; and what
stopped everything before."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.helpers.stores import real  # noqa: F401 - a fixture

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[3]
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2025, 10, 25, 22, tzinfo=UTC)


@pytest.fixture
def plant(real, real_server, tmp_path, commands):  # noqa: F811
    """Runs commands in a folder of the user's, away from the home of the platform."""
    folder = tmp_path / "anywhere"
    folder.mkdir()
    own = {
        "ALERTING_MONGODB_URI": real_server,
        "ALERTING_DATABASE": real.database.name,
        "ALERTING_HOME": str(tmp_path / "home"),
        "ALERTING_TIMEZONE": "Europe/Berlin",
        "COLUMNS": "80",
    }

    def run(*arguments, **environment):
        done = commands.run(*arguments, cwd=folder, environ={**os.environ, **own, **environment})
        assert "Traceback" not in done.stderr, done.stderr
        return done

    run.folder = folder
    run.stores = real
    return run


def line_of_bread():
    """Ten hours of minutes over the end of summer time, as a German historian on Windows exports
    them."""
    lines = ["Zeitstempel;Temperatur Zone 1 [°C];Druck (bar);Rezeptur;Labor Feuchte [%]"]
    for i in range(600):
        local = (START + timedelta(minutes=i)).astimezone(BERLIN)
        temperature = (
            "#NV" if i == 30 else "---" if i == 31 else f"{200 + i / 8:.3f}".replace(".", ",")
        )
        laboratory = f"{4 + i / 1000:.2f}".replace(".", ",") if i % 60 == 5 else ""
        lines.append(
            f"{local:%d.%m.%Y %H:%M:%S};{temperature};1.0{i % 90 + 10},5;{'Vollkorn' if i < 300 else 'Brötchen'};{laboratory}"  # noqa: E501
        )
    return ("\r\n".join(lines) + "\r\n").encode("cp1252")


def test_a_new_users_file_is_imported_with_the_name_of_the_asset_alone(plant):
    (plant.folder / "linie.csv").write_bytes(line_of_bread())
    told = plant("import", "readings", "linie.csv", "--asset", "oven-1")
    assert told.returncode == 0, told.stderr
    understood, _, written = told.stdout.partition("600 new of 600 readings")
    assert written
    for part in (
        "separator ;, decimal mark ,, encoding cp1252",
        "'Zeitstempel', dd.mm.yyyy, local time of Europe/Berlin (ALERTING_TIMEZONE)",
        "600 lines, 2025-10-26 00:00:00 to 2025-10-26 08:59:00",
        "oven-1 (new)",
        "2 cells are not numbers (1 x #NV, 1 x ---) and count as missing",
        "60 stamps are of its first time and 60 of its second",
        "'Labor Feuchte [%]' has a value about every 1h only",
    ):
        assert part in understood
    asset = plant.stores.assets.get("oven-1")
    assert {(v.title or n, v.type, v.unit) for n, v in asset.variables.items()} == {
        ("Temperatur Zone 1", "number", "°C"),
        ("Druck", "number", "bar"),
        ("Rezeptur", "category", None),
        ("Labor Feuchte", "number", "%"),
    }
    readings = plant.stores.readings.load(asset, None, None).readings
    assert len(readings) == 600
    assert readings.index[0] == START
    assert readings.index[-1] == START + timedelta(minutes=599)
    assert readings["Temperatur_Zone_1"].iloc[[0, 8, 180]].tolist() == [200.0, 201.0, 222.5]
    assert readings["Temperatur_Zone_1"].isna().sum() == 2
    assert readings["Druck"].iloc[0] == 1010.5
    assert readings["Labor_Feuchte"].notna().sum() == 10
    assert set(readings["Rezeptur"]) == {"Vollkorn", "Brötchen"}
    again = plant("import", "readings", "linie.csv", "--asset", "oven-1", "--json")
    assert json.loads(again.stdout)["new"] == 0


def test_a_dry_run_says_what_was_understood_and_writes_nothing(plant):
    (plant.folder / "linie.csv").write_bytes(line_of_bread())
    told = plant("import", "readings", "linie.csv", "--asset", "oven-1", "--dry-run", "--skip-bad")
    assert (told.returncode, "dry run: nothing was written" in told.stdout) == (0, True)
    document = json.loads(
        plant("import", "readings", "linie.csv", "--asset", "oven-1", "--dry-run", "--json").stdout
    )
    assert document["understood"]["form"]["time_format"] == "dd.mm.yyyy"
    assert [c["bad"] for c in document["understood"]["columns"]] == [2, 0, 0, 0]
    assert plant.stores.assets.all() == []
    assert plant.stores.database["readings"].count_documents({}) == 0
    assert sorted(p.name for p in plant.folder.iterdir()) == ["linie.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoding", "rot13"], "not an encoding of text files"),
        (["--encoding", "zlib_codec"], "not an encoding of text files"),
        (["--asset", "x" * 500], "is not a name of an asset"),
        (["--time-format", "%Q"], "is not known"),
        (["--missing", "x", "--decimal", "x"], "is not a decimal mark"),
        (["--sep", '"'], "is not a separator"),
    ],
)
def test_a_wrong_option_is_refused_without_a_traceback(plant, arguments, message):
    (plant.folder / "f.csv").write_text("ts,x\n2026-01-05,1\n", encoding="utf-8")
    options = arguments if "--asset" in arguments else ["--asset", "a", *arguments]
    done = plant("import", "readings", "f.csv", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in " ".join(done.stderr.split())


WIDE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from alerting.usecases.ingestion.tables import check_readings
from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from benchmarks.helpers.memory import peak_mib
from tests.memory_plant import Plant

plant = Plant()
plant.readings.insert = lambda rows, arrived_at: []
result = check_readings(ReadingsFile(Path(sys.argv[1]), Layout(asset="a")), plant).write(now=datetime.now(UTC), actor="me")
print(result.rows, peak_mib())
"""  # noqa: E501


@pytest.mark.night
def test_two_thousand_columns_need_less_than_a_gigabyte_however_long_the_file(tmp_path):
    def peak(rows):
        path = tmp_path / f"{rows}.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("Zeit;" + ";".join(f"Werk.Linie.Tag_{i} [°C]" for i in range(2000)) + "\n")
            cells = ";".join(f"{i % 300},{i % 7}" if i % 13 else "#NV" for i in range(2000))
            for i in range(rows):
                file.write(f"{1_767_571_200 + i};{cells}\n")
        done = subprocess.run(
            [sys.executable, "-c", WIDE, str(path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        imported, megabytes = map(int, done.stdout.split())
        assert imported == rows
        return megabytes

    # about 9 and 36 MB
    small = peak(800)
    large = peak(3200)
    assert large < 1000
    assert large < small + 80
