"""`import readings` refuses hostile files and options in a sentence, or reads them; it never ends
in a traceback."""

import io
import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.cli.main import app
from tests.helpers.hostile_files import NAMES, UNREADABLE, make_files
from tests.in_memory_platform import in_memory_platform

ROOT = Path(__file__).parents[2]
GOOD = b"ts,x\n2026-01-05T06:00:00Z,1\n2026-01-05T06:01:00Z,2\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `import readings` on bytes, on a platform in memory; returns what came of it and the
    platform."""
    platform = in_memory_platform()

    @contextmanager
    def opened(*_, **__):
        yield platform

    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("alerting.wiring.open_platform", opened)

    def run(content, *options):
        file = tmp_path / "line.csv"
        file.write_bytes(content)
        return CliRunner().invoke(
            app, ["import", "readings", str(file), "--asset", "oven-1", *options]
        ), platform

    return run


def assert_refused(done, words):
    assert done.exit_code == 1, done.output[:500]
    assert isinstance(done.exception, SystemExit), repr(done.exception)[:500]
    assert "refused: " in done.output and "Traceback" not in done.output
    assert words in " ".join(done.output.split())
    assert len(done.output) < 3000


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_read_is_refused_with_its_place_and_writes_nothing(run, case):
    content, words = UNREADABLE[case]
    done, platform = run(content)
    assert_refused(done, words)
    assert list(platform.assets.all()) == []


def test_an_import_that_the_database_interrupts_says_that_it_can_be_repeated(run, monkeypatch):
    def interrupt(*_, **__):
        raise DatabaseDown("the database does not answer")

    monkeypatch.setattr("alerting.usecases.ingestion.tables.Checked.write", interrupt)
    done, _ = run(GOOD)
    assert_refused(done, "the same command does the rest, and nothing twice")
    assert "the database does not answer" in done.output


def test_every_hostile_file_is_imported_or_refused_in_a_sentence_that_names_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "400")
    files = make_files(tmp_path)
    assert len(files) > 150
    codes = set()
    for name, file in files.items():
        platform = in_memory_platform()
        monkeypatch.setattr(
            "alerting.wiring.open_platform",
            lambda *_, platform=platform, **__: nullcontext(platform),
        )
        done = CliRunner().invoke(app, ["import", "readings", "--asset", "oven-1", "--", str(file)])
        assert isinstance(done.exception, SystemExit | None), (name, done.exc_info)
        assert done.exit_code in (0, 1), name
        assert len(done.output) < 4000, name
        if done.exit_code:
            assert "refused: " in done.output, name
            assert file.parent.name in done.output, name
            assert platform.assets.all() == [], name
        codes.add(done.exit_code)
    assert codes == {0, 1}


def good_parquet():
    file = io.BytesIO()
    pd.DataFrame({"ts": pd.to_datetime(["2026-01-05T06:00Z"]), "x": [1.0]}).to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_file_stops_the_output_of_a_command(tmp_path, monkeypatch, name):
    file = tmp_path / os.fsdecode(NAMES[name])
    for content, code in (
        (GOOD, 0),
        (good_parquet(), 0),
        (b"", 1),
        (b"ts,x\nnever,1\n", 1),
        (b"PAR1PAR1", 1),
    ):
        file.write_bytes(content)
        for options in ([], ["--json"]):
            monkeypatch.setattr(
                "alerting.wiring.open_platform", lambda *_, **__: nullcontext(in_memory_platform())
            )
            done = CliRunner().invoke(
                app, ["import", "readings", "--asset", "oven-1", *options, "--", str(file)]
            )
            assert isinstance(done.exception, SystemExit | None), done.exc_info
            assert done.exit_code == code


def test_a_refusal_of_a_file_whose_name_is_no_utf_8_reaches_a_terminal(tmp_path):
    file = tmp_path / os.fsdecode(NAMES["not UTF-8"])
    file.write_bytes(b"")
    words = ["import", "readings", "--asset", "oven-1", str(file)]
    script = "from alerting.cli.main import main; main()"
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "utf-8:strict",
        "ALERTING_MONGODB_URI": "mongodb://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env=environment,
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"refused: " in done.stderr
    assert b"the file is empty" in done.stderr
