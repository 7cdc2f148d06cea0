"""`import readings` refuses hostile files and options in a sentence, or reads them; it never ends
in a traceback."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.cli.main import app
from tests.helpers.hostile_files import NAMES, UNREADABLE, make_files
from tests.in_memory_platform import in_memory_platform

ROOT = Path(__file__).parents[2]
GOOD = b"ts,x\n2026-01-05T06:00:00Z,1\n2026-01-05T06:01:00Z,2\n"


@pytest.fixture
def take(monkeypatch):
    """Imports a file into a new platform in memory; returns what came of it and the platform."""
    monkeypatch.setenv("COLUMNS", "400")

    def take(file, *options):
        platform = in_memory_platform()
        words = ["import", "readings", "--asset", "oven-1", *options, "--", str(file)]
        opened = lambda *_, **__: nullcontext(platform)  # noqa: E731
        with monkeypatch.context() as patch:  # undone here: a patch keeps what it replaces
            patch.setattr("alerting.wiring.open_platform", opened)
            return CliRunner().invoke(app, words), platform

    return take


def fault_of(done, platform):
    """Return what is wrong with the end of an import that was to be a sentence, or nothing."""
    if not isinstance(done.exception, SystemExit | None) or done.exit_code not in (0, 1):
        return repr(done.exc_info)
    if len(done.output) > 4000:
        return done.output
    if done.exit_code and ("refused: " not in done.output or platform.assets.all() != []):
        return done.output
    return ""


def test_every_hostile_file_is_imported_or_refused_in_a_sentence_that_names_it(tmp_path, take):
    files = make_files(tmp_path)
    assert len(files) > 150
    faults = {}
    codes = set()
    for name, file in files.items():
        done, platform = take(file)
        codes.add(done.exit_code)
        faults[name] = fault_of(done, platform)
        if done.exit_code and file.parent.name not in done.output:
            faults[name] = done.output
    assert codes == {0, 1}
    assert {name: fault for name, fault in faults.items() if fault} == {}


def test_a_file_that_cannot_be_read_is_refused_with_its_place_and_any_name_is_printed(
    tmp_path, take
):
    faults = {}
    for case, (content, words) in UNREADABLE.items():
        (tmp_path / "line.csv").write_bytes(content)
        done, platform = take(tmp_path / "line.csv")
        told = done.exit_code == 1 and words in " ".join(done.output.split())
        faults[case] = fault_of(done, platform) or not told
    for name, encoded in NAMES.items():
        file = tmp_path / os.fsdecode(encoded)
        for content, code in ((GOOD, 0), (b"ts,x\nnever,1\n", 1)):
            file.write_bytes(content)
            done, platform = take(file, "--json")
            faults[name, code] = fault_of(done, platform) or done.exit_code != code
    assert {case: fault for case, fault in faults.items() if fault} == {}


def test_an_import_that_the_database_interrupts_says_that_it_can_be_repeated(
    tmp_path, take, monkeypatch
):
    def interrupt(*_, **__):
        raise DatabaseDown("the database does not answer")

    monkeypatch.setattr("alerting.usecases.ingestion.tables.Checked.write", interrupt)
    (tmp_path / "line.csv").write_bytes(GOOD)
    done, _ = take(tmp_path / "line.csv")
    assert done.exit_code == 1
    assert "the same command does the rest, and nothing twice" in " ".join(done.output.split())
    assert "the database does not answer" in done.output


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
