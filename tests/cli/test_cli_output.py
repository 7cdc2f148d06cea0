"""Output of commands: with --json one document in every command, tables that fit 80 columns, text
as people wrote it."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import create_model

from alerting.cli.command import cell, plain, printing, readable, say
from alerting.cli.main import app
from alerting.definitions.wording.language import in_english, joined
from alerting.ports import Training
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.operators import operate
from tests.builders import at, too_hot
from tests.helpers.command_line import TITLE, output, run, write
from tests.humid_line import NAME, learned_quickly, line

TABLES = ("list", "episodes", "list routes")
RUNS_ON = {"up", "stream", "mcp"}  # they have no result


def commands(group=None, path=()):
    """Every command of the tree, as the words one types."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def written_files():
    """A file of each kind that a command reads, by what is in it."""
    hot = {
        "title": "hot",
        "readings": {"temperature": [230, 230]},
        "expect": [{"at": "0m", "raised": "medium"}],
    }
    return {
        "definition": write("too-moist.yaml", learned_quickly(promotion={"mode": "approval"})),
        "scenario": write("too-hot.test.yaml", {"definition": too_hot(), "scenarios": [hot]}),
        "readings": write("r.csv", "ts,temperature\n2026-02-01T00:00:00Z,200\n"),
        "events": write("e.csv", "ts\n2026-02-01T00:00:00Z\n"),
        "assets": write("a.yaml", {"name": "mill-1", "attributes": {"age": 3}}),
        "route": write("route.yaml", {"name": "night", "channels": ["mail"]}),
    }


def document_commands(route):
    """The words of the commands on sources, sinks and routes."""
    pattern = str(Path("*.csv").absolute())
    source = {"name": "lab", "kind": "files", "pattern": pattern, "asset": "oven-1"}
    lab = write("source.yaml", source | {"unchanged_for": "0s"})
    bi = write("sink.yaml", {"name": "bi", "kind": "sql", "url": {"env": "BI_URL"}})
    return [
        *((word, file) for file in (lab, bi, route) for word in ("check", "apply")),
        *(("list", what) for what in ("sources", "sinks", "routes", "dead")),
        *(("show", name) for name in ("lab", "bi", "night")),
        *(("try", name) for name in ("lab", "bi", "mail")),
        ("read", "lab"),
        ("read", "lab", "--again"),
        *(("retry", name) for name in ("lab", "bi", "notifications")),
        ("replay", "oven-1", "--to", "lab"),  # which no program sends to: refused
    ]


def every_command(plant, files, episode):
    """The words of every command, in an order in which each has something to do."""
    span = ("--from", "2026-01-15T00:00Z", "--to", "2026-01-16T00:00Z")

    def trained_run():
        return next(i for i, r in plant.runs.runs.items() if r.parent is None)

    return [
        ("check", files["definition"]),
        ("apply", files["definition"]),
        ("list",),
        ("show", "too-hot"),
        ("show",),
        ("dataset", NAME, "--as-of", "2026-01-17T00:00Z"),
        ("train", NAME, "--as-of", "2026-01-17T00:00Z"),
        ("models", NAME),
        ("score", NAME),
        ("score", NAME, "--history", "--out", "scores.csv"),
        ("model", "export", NAME, "--out", "model.onnx"),
        ("model", "approve", trained_run),
        ("model", "rollback", NAME, "--reason", "worse"),
        ("evaluate",),
        ("episodes",),
        ("episodes", episode),
        ("why", "too-hot", "oven-1"),
        ("report", "too-hot"),
        ("backtest", "too-hot", *span),
        ("test", files["scenario"]),
        ("import", "readings", files["readings"], "--asset", "oven-1"),
        ("import", "events", files["events"], "--asset", "oven-1", "--type", "stop"),
        ("import", "assets", files["assets"]),
        *document_commands(files["route"]),
        ("access", "person", "add", "anna"),
        ("demo", "past", "--days", "1"),
        ("demo", "status"),
        ("demo", "set", "belt_speed_setpoint", "8"),
        ("export", "oven-1", "--out", "oven-1.parquet"),
        ("backup", "."),  # a folder that is not empty: refused
        ("restore", "."),
        ("prepare",),
    ]


@pytest.mark.models
def test_with_json_every_command_prints_one_document_and_nothing_else(plant):
    """Also where libraries print, warn and show progress; a refusal is a document, too."""
    add_readings(plant, line(), at(0))
    plant.clock.instant = at(14 * 24 * 60)  # after the instants that are given
    walked = set()
    for words in every_command(plant, written_files(), plant.episodes.find()[0].id):
        done = run(*(word() if callable(word) else word for word in words), "--json")
        assert done.exit_code in (0, 1), (words, done.output)
        assert done.stdout, (words, done.stderr, done.exception)
        json.loads(done.stdout, parse_constant=pytest.fail)
        walked |= {words[:1], words[:2], words[:3]}
    assert {path for path in commands() if path not in walked} == {(name,) for name in RUNS_ON}


def test_what_a_library_in_c_prints_does_not_reach_the_document(tmp_path):
    """In a process of its own, because it is about file descriptors."""
    script = tmp_path / "noisy.py"
    script.write_text(
        "import os, typer\n"
        "from alerting.cli.command import Output\n"
        "from alerting.cli.command import command\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "@command\n"
        "def noisy() -> Output:\n"
        "    os.write(1, b'from C'); print('from Python')\n"
        "    return Output({'value': float('nan'), 'text': '\\u2192'})\n"
        "app()\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script, "--json"], capture_output=True, check=True, timeout=600
    )
    assert json.loads(done.stdout) == {"value": None, "text": "→"}
    assert b"from C" in done.stderr
    assert b"from Python" in done.stderr


def test_show_prints_yaml_that_apply_reads_back(plant):
    guidance = {
        "action": "Open [valve 3] :wrench: and wait. " * 12,
        "cause": "[bold]the valve[/bold]",
    }
    document = too_hot(stale_after="10h", title=TITLE, severity="high", guidance=guidance)
    output("apply", write("d.yaml", document))
    shown = output("show", "too-hot")
    assert yaml.safe_load(shown) == document
    assert "# " in shown
    assert "because [of] this" in shown
    write("again.yaml", shown)
    assert "applied: 0 of 1 changed" in output("apply", Path("again.yaml"))


def test_text_is_printed_as_it_was_written_without_control_characters_in_times_of_the_plant(plant):
    id = plant.episodes.find()[0].id
    text = "see [1] and :fire: [/red] \x1b[2J\u202e cleared"
    operate.comment(plant, id, operate.Actor("emil", "engineer"), at(8), text)
    shown = output("episodes", id, columns=200, ALERTING_TIMEZONE="Europe/Berlin")
    assert TITLE in shown
    assert "see [1] and :fire: [/red] \\x1b[2J" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "CET" in shown
    listed = output("episodes", ALERTING_TIMEZONE="Europe/Berlin")
    assert "2026-01-05 01:05" in listed
    assert "times: Europe/Berlin" in listed
    assert "[red]no[/red]:fire:" in run("show", "[red]no[/red]:fire:").stderr


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_the_screen_and_break_neither_times_nor_ids(plant, columns):
    name = "a-rather-long-name-of-a-definition-2"
    output("apply", write("d.yaml", too_hot(name=name, severity="low", state="draft")))
    shown = {words: output(*words.split(), columns=columns) for words in TABLES}
    lines = {words: text.splitlines() for words, text in shown.items()}
    assert [one for words in TABLES for one in lines[words] if len(one) > columns] == []
    assert name in shown["list"]
    assert "2026-01-05 00:00" in shown["list"]
    assert "+00:00" not in shown["list"]
    id = plant.episodes.find()[0].id
    [row] = [text for text in lines["episodes"] if text.startswith(id[:10])]
    assert "2026-01-05 00:05" in row


NEXT = (
    ({}, "evaluated every 1m on oven-1, for the first time within 1m"),
    ({"state": "draft"}, "is a draft and not evaluated"),
    ({"schedule": {"every": "5m"}}, "within 5m"),
)


def test_apply_ends_with_what_happens_next_with_a_threshold(plant):
    said = {}
    for changes, words in NEXT:
        shown = output("apply", write("d.yaml", too_hot(name="new", **changes)))
        said[words] = " ".join(shown.split())
    assert {words: text for words, text in said.items() if words not in text} == {}


def test_apply_says_that_a_new_question_is_trained_and_one_that_was_trained_is_not(plant):
    shown = " ".join(output("apply", write("d.yaml", learned_quickly())).split())
    assert "is new: training starts within two minutes; then" in shown
    assert "`alerting train --due`" in shown
    assert f"{NAME}: training starts within two minutes" in output("list")
    assert "# training starts within two minutes" in output("show", NAME)
    assert "next" not in output("apply", Path("d.yaml"), "--dry-run")

    revision = plant.definitions.newest_revision(NAME)
    plant.trainings.begin(Training(NAME, revision.question, "run", 1, at(0), at(1)))
    for retrain, words in (
        ("0 3 * * 0", "trains next at 20"),
        (None, "trains for another question only, or with"),
    ):
        shown = " ".join(
            output(
                "apply",
                write("d.yaml", learned_quickly(schedule={"retrain": retrain}, title=words)),
            ).split()
        )
        assert (
            "its question has been trained without a champion, so it is not evaluated yet" in shown
        )
        assert words in shown
        assert "alerting train too-moist" in shown
    dated = learned_quickly(periods={"test": {"from": "2026-03-01T00:00Z"}})
    checked = " ".join(output("check", write("d.yaml", dated)).split())
    assert "validates and tests on the same days" in checked


def test_an_instant_in_a_text_is_of_the_plant_in_a_line_a_table_and_json(monkeypatch):
    monkeypatch.setenv("ALERTING_TIMEZONE", "Europe/Berlin")
    learned = in_english("learned up to {until}", until=datetime(2026, 1, 5, 6, tzinfo=UTC))
    told = "learned up to 2026-01-05 07:00 CET"
    with printing(False):
        assert say(learned) == readable(joined("", learned)) == cell(learned) == told
        assert plain({learned: 3}) == {told: 3}
        assert plain({"notes": (learned, {"more": learned})}) == {"notes": [told, {"more": told}]}
        noted = create_model("Noted", note=(Any, learned), length=(timedelta, timedelta(hours=1)))
        assert plain([noted(), {learned}]) == [{"note": told, "length": 3600.0}, [told]]
